"""Addresses of photos that a shop lists in a file, and what became of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.records.stored_enum import StoredEnum


class FeedState(StoredEnum):
    """What became of an address."""

    WAITING = "waiting"
    #: The whole photo is on the disk, under a name that no scan takes.
    ARRIVED = "arrived"
    FETCHED = "fetched"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class ListedAddress(NamedTuple):
    """An address of a feed, checked. `number` is the return that the feed names for it."""

    address: str
    #: `host.example:443`: what one connection at a time is opened to.
    host: str
    number: str | None


class OpenAddress(NamedTuple):
    """An address that is not fetched yet. `attempts` have failed."""

    id: int
    feed: str
    listed: ListedAddress
    state: FeedState
    attempts: int


class RefusedAddress(NamedTuple):
    """An address whose photo is not fetched, and why."""

    address: str
    reason: str


class FeedReading(NamedTuple):
    """The last time that the file of a feed was read.

    `identity` changes with the file; empty if it could not be read. `faults` are its first refused lines,
    `error` is why it was not read to its end.
    """

    identity: str
    read_at: datetime
    lines: int = 0
    refused: int = 0
    faults: Sequence[RefusedLine] = ()
    error: str | None = None


class FeedCounts(NamedTuple):
    """How many addresses of a feed wait, are fetched, and are refused."""

    waiting: int
    fetched: int
    refused: int
