"""`audit`: who did what, when."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import MOST, Json

if TYPE_CHECKING:
    from returns_pipeline.records.audit import AuditEvent

app = typer.Typer(help="The audit log: who did what, when.", no_args_is_help=True)


@app.command("list")
def list_events(
    by: Annotated[str | None, typer.Option(help="Only what this person did: the exact name.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, like log_in.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only from this day on: like 2026-11-25, today or yesterday.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Show the newest events, reviews included."""
    from zoneinfo import ZoneInfo

    from returns_pipeline.records.audit import AuditFilter
    from returns_pipeline.store import audit

    settings, database = open_installation()
    begin = _begin(since, ZoneInfo(settings.timezone)) if since else None
    found = audit.page(database, AuditFilter(by, action, begin), None, limit)
    if as_json:
        console.print_json([_as_dict(event) for event in found], default=str)
    else:
        _show(found)


def _begin(day: str, zone: Any) -> datetime:
    from returns_pipeline.store.database import utc_now
    from returns_pipeline.web.downloads import Day, day_of, moments_of

    moving: dict[str, Day] = {"today": "today", "yesterday": "yesterday"}
    try:
        chosen = moving.get(day) or date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter(f"{day!r} is not a day like 2026-11-25, today or yesterday.") from None
    first = day_of(chosen, utc_now(), zone)
    return moments_of(first, first, zone)[0]


def _as_dict(event: "AuditEvent") -> dict[str, Any]:
    values = event._asdict()
    del values["id"]
    return values


def _show(events: "list[AuditEvent]") -> None:
    from returns_pipeline.report import words
    from returns_pipeline.terminal import Terminal, framed_table

    if not events:
        console.print_line("There is no such event.")
        return
    table = framed_table()
    table.add_column("when (UTC)", no_wrap=True)
    for heading in ("who", "what", "to what", "details"):
        table.add_column(heading, overflow="fold")
    for event in events:
        table.add_row(
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            event.who,
            words.AUDIT_ACTIONS.get(event.action, event.action),
            words.audit_subject(event),
            "; ".join(words.audit_details(event)),
        )
    Terminal().print_table(table)
