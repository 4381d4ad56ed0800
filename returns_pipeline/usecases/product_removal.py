"""Removes products from the catalogue for good, some at a time.

What a killed process has removed stays removed; the same call goes on with the others.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.catalogue.lines import ProductLine
from returns_pipeline.catalogue.reading import open_catalogue
from returns_pipeline.errors import NotFoundError
from returns_pipeline.records.catalogue import product_id_of
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import product_comparisons, product_removal
from returns_pipeline.store.database import Database
from returns_pipeline.store.product_removal import TOGETHER
from returns_pipeline.usecases import catalogue
from returns_pipeline.usecases.context import Context


class Chosen(NamedTuple):
    """Products that are to be removed: their ids, how many of them are on sale, and the unknown ids."""

    product_ids: list[str]
    listed: int
    unknown: list[str]


def ids_of_file(path: Path) -> tuple[list[str], int]:
    """Return the ids of products that a file has, each once, and how many lines have none.

    The file is one that an import takes. Raises RefusedError if it cannot be read or has no ids.
    """
    found: dict[str, None] = {}
    refused = 0
    for line in open_catalogue(path, {}, ()).lines:
        if isinstance(line, ProductLine):
            found[line.product_id] = None
        else:
            refused += 1
    return list(found), refused


def chosen(db: Database, written: Sequence[str]) -> Chosen:
    """Return which ids, as a person writes them, are products of the catalogue."""
    ids = {each: product_id_of(each) for each in written}
    known = product_removal.known(db, [each for each in dict.fromkeys(ids.values()) if each is not None])
    return Chosen(
        list(known), sum(known.values()), [each for each, found in ids.items() if found not in known]
    )


def remove(
    context: Context,
    product_ids: Sequence[str],
    who: str,
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Remove products with all that came from them; return how many were in the catalogue. May run twice.

    Undecided returns that expected them are judged by the category alone. Raises TransientFault if the
    database is away.
    """
    removed = 0
    for start in range(0, len(product_ids), TOGETHER):
        removed += product_removal.remove(context.db, product_ids[start : start + TOGETHER], who)
        on_progress(removed)
    _compare_again(context)
    return removed


def remove_discontinued(
    context: Context, who: str, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Remove all products that are not on sale; return how many. One that is sold again meanwhile stays."""
    removed = 0
    while count := product_removal.remove_discontinued(context.db, who):
        removed += count
        on_progress(removed)
    _compare_again(context)
    return removed


def remove_one(context: Context, product_id: str, who: str) -> str:
    """Remove one product; return its id. Raises NotFoundError, or GoneError if it was removed before."""
    item = catalogue.find(context.db, product_id)
    if not remove(context, [item.product_id], who):
        catalogue.find(context.db, product_id)
        raise NotFoundError("There is no product {product}.", product=item.product_id)
    return item.product_id


def _compare_again(context: Context) -> None:
    # The sweep sends it if the broker is away.
    if product_comparisons.is_waiting(context.db):
        context.send(Task.COMPARE_RETURNS)
