"""`returns-pipeline returns`: what was expected, and whether it came."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console, mappings
from returns_pipeline.cli.evaluate_products import evaluate_products
from returns_pipeline.cli.evaluate_reuse import evaluate_reuse
from returns_pipeline.cli.installation import open_database, open_installation
from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.cli.return_decisions import decide, show
from returns_pipeline.cli.verdicts import evaluate

if TYPE_CHECKING:
    from returns_pipeline.records.returns import RefusedLine

app = typer.Typer(help="Returns: what was expected, and whether it came.", no_args_is_help=True)
app.command("show")(show)
app.command("decide")(decide)
app.command("evaluate")(evaluate)
app.command("evaluate-reuse")(evaluate_reuse)
app.command("evaluate-products")(evaluate_products)

#: Refused lines on a terminal; JSON has more.
_MOST_LINES = 20


@app.command("import")
def import_manifest(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Excel, JSON lines or Parquet.")],
    mapping: Annotated[
        str | None,
        typer.Option(
            help='Names of columns: a JSON file like {"number": "RMA"}, or the name of a saved mapping.'
        ),
    ] = None,
    save_mapping: Annotated[
        str | None, typer.Option(help="Save this mapping under a name, for the next imports.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import the returns that a file announces. A second import of the same file changes nothing.

    A line that is wrong is refused alone. Exit code 1 if lines were refused.
    """
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.manifests.columns import checked_mapping
    from returns_pipeline.report.words import counted
    from returns_pipeline.store.mappings import OF_RETURNS
    from returns_pipeline.usecases.manifests import import_file
    from returns_pipeline.usecases.models import person

    settings, database = open_installation()
    columns = mappings.mapping_of(database, OF_RETURNS, mapping, checked_mapping)
    if save_mapping is not None:
        mappings.save_mapping(database, OF_RETURNS, save_mapping, columns)
    with progress_bar(file.name) as on_progress:
        found = import_file(
            settings, database, file, person(), columns, lambda lines: on_progress(lines, None)
        )
    if as_json:
        console.print_json(
            {
                "import": found.import_id,
                "file": str(file),
                "encoding": found.encoding,
                **found.counts._asdict(),
                "refused_lines": [each._asdict() for each in found.refused],
            }
        )
    else:
        counts = found.counts
        if found.encoding == "cp1252":
            console.print_note("The file is not UTF-8: it was read as Windows-1252.")
        console.print_line(
            f"Import {found.import_id}: {counted(counts.lines, 'line')}; added {counts.added:,}, "
            f"changed {counts.changed:,}, unchanged {counts.unchanged:,}, refused {counts.refused:,}."
        )
        _print_refused(found.refused, counts.refused)
    if found.counts.refused:
        raise typer.Exit(1)


def _print_refused(refused: "list[RefusedLine]", total: int) -> None:
    from returns_pipeline.terminal import Terminal, plain_table

    if not refused:
        return
    table = plain_table()
    for heading in ("line", "number", "reason"):
        table.add_column(heading, overflow="fold")
    for each in refused[:_MOST_LINES]:
        table.add_row(str(each.line), each.number, each.reason)
    Terminal().print_table(table)
    if total > _MOST_LINES:
        console.print_line(f"{total - _MOST_LINES:,} more. `--json` prints up to 10,000.")


@app.command("delete-customer")
def delete_customer(
    reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The customer in the manifests.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a customer's data for ever: the reference, orders, notes, the photos and what came from them.

    The returns stay with their verdicts, so that counts stand.
    """
    import getpass

    from returns_pipeline.report.words import counted
    from returns_pipeline.store.customers import returns_of
    from returns_pipeline.usecases import customers

    settings, database = open_installation()
    if not yes and (known := len(returns_of(database, reference))):
        typer.confirm(f"Delete the customer's data of {counted(known, 'return')} for ever?", abort=True)
    done = customers.delete(settings, database, reference, who=getpass.getuser())
    count, photos = counted(done.returns, "return"), counted(done.photos, "photo")
    console.print_line(f"Deleted the customer's data of {count}, and {photos}.")
    if done.files_left:
        console.print_note(
            f"Not removed yet: {counted(done.files_left, 'file')}. The program tries again; "
            "`returns-pipeline doctor` says why."
        )


@app.command("imports")
def list_imports(
    import_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=MOST, help="Show the refused lines of one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest imports of returns, or the refused lines of one."""
    from returns_pipeline.records.text import iso
    from returns_pipeline.store import return_imports
    from returns_pipeline.terminal import Terminal, plain_table

    database = open_database()
    if import_id is not None:
        refused = return_imports.faults(database, import_id)
        if as_json:
            console.print_json([each._asdict() for each in refused])
        elif refused:
            _print_refused(refused, len(refused))
        else:
            console.print_line("No line was refused.")
        return
    found = return_imports.latest(database, limit)
    if as_json:
        rows = [{**each._asdict(), **each.counts._asdict()} for each in found]
        console.print_json([{k: v for k, v in row.items() if k != "counts"} for row in rows], iso)
        return
    if not found:
        console.print_line("No returns were imported yet.")
        return
    table = plain_table()
    for heading in ("id", "at", "by", "file", "lines", "added", "changed", "unchanged", "refused", "state"):
        table.add_column(heading, overflow="fold")
    for each in found:
        state = each.error or ("done" if each.finished_at else "not finished")
        counts = (f"{count:,}" for count in each.counts)
        table.add_row(str(each.id), iso(each.at), each.who, each.source, *counts, state)
    Terminal().print_table(table)
