"""Lists of images as a whole: what a search and a filter choose, however many images that are."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.images import Filter, ImageResult
from returns_pipeline.records.search import MOST_COUNTED, Found, Place, Search
from returns_pipeline.settings import Settings
from returns_pipeline.store import browsing, search
from returns_pipeline.store.browsing import Neighbours, Order
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.search import roots_of, understood

#: The most images that are sorted by name or probability: no index of all images has these orders.
MOST_SORTED = 5_000
_AT_ONCE = 1_000


class ImageQuery(NamedTuple):
    """Which images a list has: those that a text finds, as in the search box, and that pass a filter."""

    text: str = ""
    also: Filter = Filter()

    @property
    def is_everything(self) -> bool:
        """Whether it chooses every image."""
        return not self.text.strip() and self.also == Filter()


def count(db: Database, settings: Settings, query: ImageQuery) -> tuple[int, bool]:
    """Return how many images there are, up to MOST_COUNTED, and whether there are more."""
    wanted = understood(db, settings, query.text)
    return search.count(db, wanted, also=query.also, roots=roots_of(settings))


def ids(db: Database, settings: Settings, query: ImageQuery, most: int) -> list[int]:
    """Return the ids of the newest `most` images, newest first."""
    wanted = understood(db, settings, query.text)
    return search.ids(db, wanted, most, also=query.also, roots=roots_of(settings))


def batches(
    db: Database,
    settings: Settings,
    query: ImageQuery,
    *,
    oldest_first: bool = False,
    now: datetime | None = None,
) -> Iterator[Sequence[ImageResult]]:
    """Yield all images, 1,000 at a time, from 10,000 ids: memory stays flat, and no transaction is long.

    Days like `yesterday` are those of the first batch.
    """
    wanted, after = understood(db, settings, query.text, now), None
    roots = roots_of(settings)
    while True:
        found = search.ids(
            db,
            wanted,
            MOST_COUNTED,
            also=query.also,
            roots=roots,
            oldest_first=oldest_first,
            after=after,
        )
        for start in range(0, len(found), _AT_ONCE):
            yield browsing.listed(db, found[start : start + _AT_ONCE])
        if len(found) < MOST_COUNTED:
            return
        after = found[-1]


def sorted_ids(db: Database, settings: Settings, query: ImageQuery, order: Order) -> list[int] | None:
    """Return all ids in an order of probability or name; None if there are more than MOST_SORTED."""
    found = ids(db, settings, query, MOST_SORTED + 1)
    return browsing.in_order(db, found, order) if len(found) <= MOST_SORTED else None


def neighbours(
    db: Database, settings: Settings, query: ImageQuery, order: Order, image_id: int
) -> Neighbours:
    """Return what comes before and after an image in an order. In a list that is too long, it has none."""
    if not order.is_of_ids:
        listed = sorted_ids(db, settings, query, order) or []
        if image_id not in listed:
            return Neighbours(None, None)
        at = listed.index(image_id)
        return Neighbours(listed[at - 1] if at else None, listed[at + 1] if at + 1 < len(listed) else None)
    wanted, oldest = understood(db, settings, query.text), order is Order.OLDEST
    around = [
        _page(db, settings, wanted, query, 1, oldest, Place(image_id, backwards)).images
        for backwards in (True, False)
    ]
    return Neighbours(*(found[0].id if found else None for found in around))


def _page(
    db: Database,
    settings: Settings,
    wanted: Search,
    query: ImageQuery,
    limit: int,
    oldest_first: bool,
    place: Place | None,
) -> Found:
    return search.find(
        db,
        wanted,
        limit,
        also=query.also,
        roots=roots_of(settings),
        oldest_first=oldest_first,
        place=place,
        is_counted=False,
    )
