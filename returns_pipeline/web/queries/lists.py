"""A list of a run's images in an address: it says which images come before and after one."""

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query

from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.store.browsing import Order


class ImageList(NamedTuple):
    """The filter and the order of a list; an empty or unknown value filters nothing."""

    state: str = ""
    label: str = ""
    decision: str = ""
    code: str = ""
    order: str = Order.ID.value

    def filter(self, run_id: int) -> Filter:
        """Return the images of a run that are in the list."""
        return Filter(
            run_id=run_id,
            state=ImageState(self.state) if self.state in ImageState.written() else None,
            label=self.label or None,
            decision=self.decision or None,
            code=self.code or None,
        )

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


async def _of_query(
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    decision: Annotated[str, Query(max_length=10)] = "",
    code: Annotated[str, Query(max_length=32)] = "",
    order: Annotated[str, Query(max_length=10)] = Order.ID.value,
) -> ImageList:
    return ImageList(state, label, decision, code, order)


ListOfAddress = Annotated[ImageList, Depends(_of_query)]
