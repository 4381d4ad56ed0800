"""Named views: lists with their filters that a person has saved."""

from datetime import datetime
from typing import NamedTuple


class View(NamedTuple):
    """A page with its filters: `path` is that of a page, `query` its parameters, as in an address.

    The name is unique among those of the owner. A view that is `shared` is shown to every person.
    """

    id: int
    owner: str
    name: str
    path: str
    query: str
    shared: bool
    created_at: datetime
