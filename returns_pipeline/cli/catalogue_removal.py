"""`returns-pipeline catalogue remove`: takes products out of the catalogue for good."""

from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation

#: Unknown ids that a terminal shows.
_MOST_SHOWN = 20


def remove(
    product_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="The shop's ids of the products.")
    ] = None,
    all_discontinued: Annotated[
        bool, typer.Option("--all-discontinued", help="Remove every product that is not on sale any more.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="Remove the products of a file that `catalogue import` takes.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove products for good, with the vectors of their pictures. Files of pictures stay.

    Returns and events that name them stay. Exit code 1 if an id is not in the catalogue, or a line has none.
    """
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.host.context import command_context
    from returns_pipeline.records.catalogue import ProductFilter, ProductState
    from returns_pipeline.report import product_words
    from returns_pipeline.report.words import counted
    from returns_pipeline.store import products
    from returns_pipeline.usecases import product_removal
    from returns_pipeline.usecases.models import person

    if sum((bool(product_ids), all_discontinued, file is not None)) != 1:
        raise typer.BadParameter("Name ids of products, or --all-discontinued, or --file FILE.")
    settings, database = open_installation()
    context = command_context(settings, database, open_queue(settings))
    if all_discontinued:
        count, has_more = products.count(database, ProductFilter(state=ProductState.DISCONTINUED))
        if count:
            _ask(f"{product_words.counted(count, has_more)} that the shop does not sell any more", yes=yes)
        with console.progress_bar("products") as on_progress:
            removed = product_removal.remove_discontinued(
                context, person(), lambda done: on_progress(done, None)
            )
        console.print_line(f"Removed {counted(removed, 'product')}.")
        return
    wanted, refused = product_removal.ids_of_file(file) if file else (product_ids or [], 0)
    chosen = product_removal.chosen(database, wanted)
    total = len(chosen.product_ids)
    if total:
        on_sale = f" ({chosen.listed:,} on sale)" if chosen.listed else ""
        _ask(f"{counted(total, 'product')}{on_sale}", yes=yes)
    with console.progress_bar("products") as on_progress:
        removed = product_removal.remove(
            context, chosen.product_ids, person(), lambda done: on_progress(done, total)
        )
    console.print_line(f"Removed {counted(removed, 'product')}.")
    _print_others(chosen.unknown, refused)


def _ask(what: str, *, yes: bool) -> None:
    if not yes:
        typer.confirm(f"Remove {what} from the catalogue for good?", abort=True)


def _print_others(unknown: list[str], refused: int) -> None:
    """Tell which ids are not in the catalogue, and end with exit code 1 if there are any."""
    from returns_pipeline.records.text import printable
    from returns_pipeline.report.words import counted

    if unknown:
        shown = ", ".join(printable(each)[:100] for each in unknown[:_MOST_SHOWN])
        more = f", and {len(unknown) - _MOST_SHOWN:,} more" if len(unknown) > _MOST_SHOWN else ""
        console.print_line(f"Not in the catalogue: {shown}{more}.")
    if refused:
        console.print_line(f"{counted(refused, 'line')} of the file without an id.")
    if unknown or refused:
        raise typer.Exit(1)
