"""`notify`: try the addresses that get notices, and see and repeat what was not delivered."""

from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database, open_installation
from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.records.notices import NoticeKind

app = typer.Typer(help="Notices to webhooks, mail and chat.", no_args_is_help=True)

_KINDS = [kind.value for kind in NoticeKind if kind is not NoticeKind.UNKNOWN]
_ADVICE = "Set RETURNS_WEBHOOKS or RETURNS_APPRISE; see docs/notices.md."


@app.command("test")
def send_test(
    event: Annotated[str, typer.Option(help=f"What to pretend: {', '.join(_KINDS)}.")] = NoticeKind.TEST,
) -> None:
    """Send a test to every address now, and show what each answered. Exit code 1 if one did not take it."""
    from returns_pipeline.errors import ConfigFault
    from returns_pipeline.settings import load_settings
    from returns_pipeline.usecases.notices import try_out

    if event not in _KINDS:
        raise typer.BadParameter(f"{event!r} is not one of {', '.join(_KINDS)}.")
    answers = []
    for recipient, answer in try_out(load_settings(), NoticeKind(event)):
        sign = "ok  " if answer.is_delivered else "FAIL"
        console.print_line(f"{sign} {recipient.channel:<8} {recipient.shown}: {answer.text}")
        answers.append(answer)
    if not answers:
        raise ConfigFault("No address gets notices.", _ADVICE)
    if not all(answer.is_delivered for answer in answers):
        raise typer.Exit(1)


@app.command("list")
def list_undelivered(
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Show the notices that are not delivered yet, and those that were given up."""
    from returns_pipeline.cli.output.notices import as_dict, print_deliveries
    from returns_pipeline.store import outbox

    found = outbox.undelivered(open_database(), limit)
    if as_json:
        console.print_json([as_dict(each) for each in found])
    else:
        print_deliveries(found)


@app.command("retry")
def retry() -> None:
    """Deliver everything again that is not delivered, also what was given up."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.records.audit import AuditAction, AuditSubject
    from returns_pipeline.store.audit import note
    from returns_pipeline.usecases.models import person
    from returns_pipeline.usecases.notices import try_again

    settings, database = open_installation()
    count = try_again(database, open_queue(settings))
    note(database, person(), AuditAction.NOTICE_RETRY, AuditSubject.NOTICE, count)
    console.print_line(f"{count:,} deliveries are tried again now." if count else "Nothing is undelivered.")


@app.command("secret")
def secret() -> None:
    """Print a new secret for RETURNS_WEBHOOK_SECRET. It is stored nowhere."""
    import secrets

    from returns_pipeline.settings.notices import new_secret

    console.print_line(new_secret(secrets.token_bytes(32)))
