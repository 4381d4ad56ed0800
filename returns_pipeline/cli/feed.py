"""`feed`: what became of the addresses of each feed, and another attempt at those that were refused."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import MOST, Json

if TYPE_CHECKING:
    from returns_pipeline.store.database import Database
    from returns_pipeline.usecases.feeds import FeedStatus

app = typer.Typer(help="Feeds: files that list the addresses of photos.", no_args_is_help=True)
Limit = Annotated[int, typer.Option(min=0, max=MOST, help="Most addresses and lines that are listed.")]


@app.command("status")
def show_status(
    name: Annotated[str, typer.Argument(help="Name of a feed; every feed if not given.")] = "",
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Show how many addresses of a feed wait, are fetched or are refused, and why."""
    from returns_pipeline.usecases import feeds

    settings, database = open_installation()
    if name:
        feeds.require_feed(settings, name)
    found = [each for each in feeds.status(settings, database) if name in {"", each.name}]
    if as_json:
        console.print_json([_as_dict(database, each, limit) for each in found])
        return
    if not found:
        console.print_line("RETURNS_INTAKES has no feed.")
    for each in found:
        _print(database, each, limit)


@app.command("retry")
def retry(name: Annotated[str, typer.Argument(help="Name of a feed.")]) -> None:
    """Let the addresses of a feed be fetched again that were refused or that failed."""
    from returns_pipeline.records.audit import AuditAction, AuditSubject
    from returns_pipeline.report.words import counted
    from returns_pipeline.store.audit import note
    from returns_pipeline.store.feeds import try_again
    from returns_pipeline.usecases import feeds
    from returns_pipeline.usecases.models import person

    settings, database = open_installation()
    feeds.require_feed(settings, name)
    count = try_again(database, name)
    note(database, person(), AuditAction.FEED_RETRY, AuditSubject.INTAKE, name, addresses=count)
    console.print_line(f"Tried again within a minute, or by the next scan: {counted(count, 'address')}.")


def _as_dict(database: "Database", status: "FeedStatus", limit: int) -> dict[str, Any]:
    from returns_pipeline.store import feeds

    reading = status.reading
    return {
        "feed": status.name,
        "file": str(status.file),
        **status.counts._asdict(),
        "read_at": reading.read_at.isoformat() if reading else None,
        "lines": reading.lines if reading else 0,
        "error": reading.error if reading else None,
        "refused_lines": [each._asdict() for each in reading.faults[:limit]] if reading else [],
        "refused_addresses": [each._asdict() for each in feeds.refused(database, status.name, limit)],
        "failing_addresses": [each._asdict() for each in feeds.failing(database, status.name, limit)],
    }


def _print(database: "Database", status: "FeedStatus", limit: int) -> None:
    from returns_pipeline.report.words import feed_line
    from returns_pipeline.store import feeds

    console.print_line(f"{feed_line(status.name, status.counts)} File: {status.file}")
    if status.reading is None:
        console.print_line("  It was not read yet.")
        return
    reading = status.reading
    console.print_line(
        f"  Read {reading.read_at:%Y-%m-%d %H:%M} UTC: {reading.lines:,} lines, {reading.refused:,} refused."
    )
    if reading.error:
        console.print_line(f"  Not read to its end: {reading.error}")
    for line in reading.faults[:limit]:
        console.print_line(f"  line {line.line:,}: {line.reason}")
    for each in feeds.refused(database, status.name, limit):
        console.print_line(f"  refused: {each.address}: {each.reason}")
    for each in feeds.failing(database, status.name, limit):
        console.print_line(f"  tried again later: {each.address}: {each.reason}")
