"""`returns-pipeline events`: what customers did with products."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.returns import RefusedLine

app = typer.Typer(help="Events: what customers kept, returned and viewed.", no_args_is_help=True)

#: Refused lines on a terminal; JSON has more.
_MOST_LINES = 20


@app.command("import")
def import_events(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, Excel, JSON or Parquet: customer, product, kind, at.")
    ],
    as_json: Json = False,
) -> None:
    """Import events. A second import of the same file changes nothing.

    The kind is kept, returned or viewed. A line that is wrong is refused alone. Exit code 1 if lines were
    refused.
    """
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.report.words import counted
    from returns_pipeline.usecases.events import import_file

    database = open_database()
    with progress_bar(file.name) as on_progress:
        found = import_file(database, file, lambda lines: on_progress(lines, None))
    counts = found.counts
    if as_json:
        refused = [{"line": each.line, "reason": each.reason} for each in found.refused]
        console.print_json(
            {"file": str(file), "encoding": found.encoding, **counts._asdict(), "refused_lines": refused}
        )
    else:
        if found.encoding == "cp1252":
            console.print_note("The file is not UTF-8: it was read as Windows-1252.")
        console.print_line(
            f"{counted(counts.lines, 'line')}; added {counts.added:,}, unchanged {counts.unchanged:,}, "
            f"refused {counts.refused:,}."
        )
        _print_refused(found.refused, counts.refused)
    if counts.refused:
        raise typer.Exit(1)


def _print_refused(refused: "Sequence[RefusedLine]", total: int) -> None:
    from returns_pipeline.terminal import Terminal, plain_table

    if not refused:
        return
    table = plain_table()
    for heading in ("line", "reason"):
        table.add_column(heading, overflow="fold")
    for each in refused[:_MOST_LINES]:
        table.add_row(str(each.line), each.reason)
    Terminal().print_table(table)
    if total > _MOST_LINES:
        console.print_line(f"{total - _MOST_LINES:,} more. `--json` prints up to 10,000.")


@app.command("forget")
def forget(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer in the events.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete all events of a customer for ever. A later import does not add those of before again.

    `returns delete-customer` does this, too, and deletes what the returns say.
    """
    import getpass

    from returns_pipeline.report.words import counted
    from returns_pipeline.store import events as stored
    from returns_pipeline.usecases import events

    database = open_database()
    if not yes and (known := stored.count_of(database, customer)):
        typer.confirm(f"Delete {counted(known, 'event')} of this customer for ever?", abort=True)
    count = events.forget(database, customer, who=getpass.getuser())
    console.print_line(f"Deleted {counted(count, 'event')}.")
