"""`returns-pipeline catalogue`: what the shop sells."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli import catalogue_removal, console, mappings, spaces
from returns_pipeline.cli.installation import open_database, open_installation
from returns_pipeline.cli.options import MOST, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.catalogue import CatalogueImport, RefusedProduct

app = typer.Typer(help="The catalogue: what the shop sells.", no_args_is_help=True)

app.command("evaluate")(spaces.evaluate)
app.command("embed")(spaces.embed)
app.command("remove")(catalogue_removal.remove)

#: Refused lines on a terminal; JSON has more.
_MOST_LINES = 20


@app.command("import")
def import_catalogue(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE|FOLDER", help="CSV, JSON, JSON lines, Parquet or Excel; or a folder."),
    ],
    complete: Annotated[
        bool, typer.Option("--complete", help="Products that it does not have are discontinued.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --complete: also if most products are gone.")
    ] = False,
    currency: Annotated[str | None, typer.Option(help="The currency of prices that name none.")] = None,
    mapping: Annotated[
        str | None,
        typer.Option(help='Columns or paths: a JSON file like {"price": "price.amount"}, or a saved name.'),
    ] = None,
    save_mapping: Annotated[
        str | None, typer.Option(help="Save this mapping under a name, for the next imports.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import products. A second import of the same file changes nothing.

    A line that is wrong is refused alone. Exit code 1 if lines were refused. Workers embed new pictures.
    """
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.catalogue.columns import checked_mapping
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.host import embedding
    from returns_pipeline.logs import configure_logging
    from returns_pipeline.report.words import counted
    from returns_pipeline.store.mappings import OF_CATALOGUE
    from returns_pipeline.usecases.catalogue import ImportOptions, import_path
    from returns_pipeline.usecases.models import person

    if force and not complete:
        raise typer.BadParameter("--force needs --complete.")
    settings, database = open_installation()
    configure_logging(settings)
    columns = mappings.mapping_of(database, OF_CATALOGUE, mapping, checked_mapping)
    if save_mapping is not None:
        mappings.save_mapping(database, OF_CATALOGUE, save_mapping, columns)
    options = ImportOptions(columns, complete, force, currency)
    with progress_bar(path.name) as on_progress:
        found = import_path(
            settings, database, path, person(), options, lambda lines: on_progress(lines, None)
        )
    chunks = embedding.begin(settings, database, open_queue(settings))
    if as_json:
        console.print_json(
            {
                "import": found.import_id,
                "path": str(path),
                "encodings": found.encodings,
                **found.counts._asdict(),
                "embedding_chunks": chunks,
                "refused_lines": [each._asdict() for each in found.refused],
            }
        )
    else:
        counts = found.counts
        if "cp1252" in found.encodings:
            console.print_note("The file is not UTF-8: it was read as Windows-1252.")
        console.print_line(
            f"Import {found.import_id}: {counted(counts.lines, 'line')}; added {counts.added:,}, "
            f"changed {counts.changed:,}, unchanged {counts.unchanged:,}, refused {counts.refused:,}, "
            f"discontinued {counts.discontinued:,}."
        )
        _print_refused(found.refused, counts.refused)
        if chunks:
            console.print_line("Workers embed the new pictures now.")
    if found.counts.refused:
        raise typer.Exit(1)


def _print_refused(refused: "Sequence[RefusedProduct]", total: int) -> None:
    from returns_pipeline.terminal import Terminal, plain_table

    if not refused:
        return
    table = plain_table()
    for heading in ("file", "line", "product", "reason"):
        table.add_column(heading, overflow="fold")
    for each in refused[:_MOST_LINES]:
        table.add_row(each.source, str(each.line), each.product_id, each.reason)
    Terminal().print_table(table)
    if total > _MOST_LINES:
        console.print_line(f"{total - _MOST_LINES:,} more. `--json` prints up to 10,000.")


@app.command("imports")
def list_imports(
    import_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=MOST, help="Show the refused lines of one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest imports of the catalogue, or the refused lines of one."""
    from returns_pipeline.records.text import iso
    from returns_pipeline.store import catalogue_imports

    database = open_database()
    if import_id is not None:
        refused = catalogue_imports.faults(database, import_id)
        if as_json:
            console.print_json([each._asdict() for each in refused])
        elif refused:
            _print_refused(refused, len(refused))
        else:
            console.print_line("No line was refused.")
        return
    found = catalogue_imports.latest(database, limit)
    if as_json:
        console.print_json([_plain(each) for each in found], iso)
    elif found:
        _print_imports(found)
    else:
        console.print_line("No products were imported yet.")


def _plain(each: "CatalogueImport") -> dict[str, Any]:
    values = {**each._asdict(), **each.counts._asdict()}
    return {name: value for name, value in values.items() if name != "counts"}


def _print_imports(found: "Sequence[CatalogueImport]") -> None:
    from returns_pipeline.records.catalogue import CatalogueCounts
    from returns_pipeline.records.text import iso
    from returns_pipeline.terminal import Terminal, plain_table

    table = plain_table()
    for heading in ("id", "at", "by", "file", *CatalogueCounts._fields, "state"):
        table.add_column(heading, overflow="fold")
    for each in found:
        state = each.error or ("done" if each.finished_at else "not finished")
        counts = (f"{count:,}" for count in each.counts)
        table.add_row(str(each.id), iso(each.at), each.who, each.source, *counts, state)
    Terminal().print_table(table)


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show how many products and pictures the catalogue has."""
    from returns_pipeline.records.catalogue import PictureState
    from returns_pipeline.records.text import iso
    from returns_pipeline.store import catalogue_imports

    found = catalogue_imports.summary(open_database(), 1)
    if as_json:
        pictures = {f"pictures_{state}": total for state, total in found.pictures.items()}
        last = [_plain(each) for each in found.imports]
        totals = {"listed": found.listed, "discontinued": found.discontinued, **pictures}
        console.print_json({**totals, "last_import": last[0] if last else None}, iso)
        return
    console.print_line(f"Products: {found.listed:,} listed, {found.discontinued:,} discontinued.")
    console.print_line(
        f"Pictures: {found.pictures[PictureState.NEW]:,} waiting, "
        f"{found.pictures[PictureState.EMBEDDED]:,} embedded, "
        f"{found.pictures[PictureState.UNUSABLE]:,} unusable."
    )
    if found.imports:
        _print_imports(found.imports)


@app.command("show")
def show(
    product_id: Annotated[str, typer.Argument(metavar="ID", help="The shop's id of the product.")],
    as_json: Json = False,
) -> None:
    """Show one product with its attributes and pictures."""
    from returns_pipeline.records.text import iso
    from returns_pipeline.terminal import Terminal, plain_table
    from returns_pipeline.usecases import catalogue

    item, pictures = catalogue.existing(open_database(), product_id)
    facts = catalogue.facts(item, pictures)
    if as_json:
        console.print_json(facts, iso)
        return
    table = plain_table()
    for heading in ("", ""):
        table.add_column(heading, overflow="fold")
    attributes, listed = facts.pop("attributes"), facts.pop("images")
    rows = [*facts.items(), *attributes.items(), *(("image", each["address"]) for each in listed)]
    for name, value in rows:
        if value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(name, shown)
    Terminal().print_table(table)
