"""A list of images in an address: of a run, or of a search. It says what comes before and after an image."""

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query

from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.store.browsing import Order
from returns_pipeline.usecases.image_lists import ImageQuery

#: The value of `within` for a list of all runs' images.
SEARCH = "search"


class ImageList(NamedTuple):
    """The filter and the order of a list; an empty or unknown value filters nothing.

    With `within` = SEARCH it is the list of the search `q`; else `q` is not used, and it is a run's list.
    """

    state: str = ""
    label: str = ""
    decision: str = ""
    code: str = ""
    order: str = Order.ID.value
    q: str = ""
    within: str = ""

    def filter(self, run_id: int | None) -> Filter:
        """Return the filter, for the images of a run if one is given."""
        return Filter(
            run_id=run_id,
            state=ImageState(self.state) if self.state in ImageState.written() else None,
            label=self.label or None,
            decision=self.decision or None,
            code=self.code or None,
        )

    @property
    def is_of_search(self) -> bool:
        """Whether it is the list of a search."""
        return self.within == SEARCH

    def query(self, run_id: int | None) -> ImageQuery:
        """Return which images the list has; `run_id` is the run of its images, if it is a run's list."""
        if self.is_of_search:
            return ImageQuery(self.q, self.filter(None))
        return ImageQuery("", self.filter(run_id))

    @property
    def by(self) -> Order:
        """The order of the list."""
        return Order(self.order) if self.order in set(Order) else Order.ID

    def address(self, **others: str) -> str:
        """Return the list as the query of an address, with its `?`; empty for all images, newest first."""
        usual = ImageList()._asdict()
        kept = {name: value for name, value in self._asdict().items() if value != usual[name]}
        query = urlencode(kept | others)
        return f"?{query}" if query else ""

    def filter_address(self, **others: str) -> str:
        """Return the filter of the list as the query of an address, without its order and place."""
        return self._replace(order=Order.ID.value, within="").address(**others)


async def _of_query(
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    decision: Annotated[str, Query(max_length=10)] = "",
    code: Annotated[str, Query(max_length=32)] = "",
    order: Annotated[str, Query(max_length=10)] = Order.ID.value,
    q: Annotated[str, Query(max_length=2000)] = "",
    within: Annotated[str, Query(max_length=10)] = "",
) -> ImageList:
    return ImageList(state, label, decision, code, order, q.strip(), within)


ListOfAddress = Annotated[ImageList, Depends(_of_query)]
