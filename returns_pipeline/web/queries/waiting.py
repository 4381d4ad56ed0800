"""Hands results to the requests that wait for them. One look at the database serves all of them."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import GoneError, TransientFault
from returns_pipeline.records.images import ImageState, Received
from returns_pipeline.records.uploads import AcceptedUpload
from returns_pipeline.store import uploads
from returns_pipeline.store.database import Database
from returns_pipeline.web.queries.pace import Pace

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: Seconds between two looks while requests wait.
_PAUSE = 0.004
#: The same while only chunks are open whose clients have gone, or the database does not answer.
_LONG_PAUSE = 0.1


@dataclass(slots=True, eq=False)
class _Wait:
    """A request that waits; `chunk_ids` are the chunks that its images belong to now."""

    images: Sequence[int]
    chunk_ids: set[int]
    found: asyncio.Future[Sequence[Received]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look saw: chunks with pending images, and results of the requests that have no such chunk.

    A request has no results but other chunks if some of its images belong to others by now.
    """

    pending: set[int]
    results: dict[_Wait, dict[int, Received]]
    moved: dict[_Wait, set[int]]


class Waiting:
    """The requests of a web process that wait for results."""

    def __init__(self, db: Database, pace: Pace) -> None:
        """Keep the database; `pace` counts the chunks."""
        self._db, self._pace = db, pace
        self._waits: set[_Wait] = set()
        self._left: set[int] = set()
        self._looking: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        #: Whether to look although nothing was committed.
        self._has_new = False

    async def results(self, accepted: AcceptedUpload) -> Sequence[Received]:
        """Return the results of a request, in the order of its images, when all of them have one.

        Raises GoneError if an image was deleted, for example before a request was repeated.
        """
        found: asyncio.Future[Sequence[Received]] = asyncio.get_running_loop().create_future()
        wait = _Wait(accepted.images, set(accepted.chunk_ids), found)
        self._waits.add(wait)
        self._has_new = True
        self._arrived.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return await found
        finally:
            if wait in self._waits:
                self._waits.discard(wait)
                # Its chunks are still before those of the next request.
                self._left |= wait.chunk_ids

    async def _look(self) -> None:
        """Look at the database until no chunk is open, when something has changed there."""
        seen_version: int | None = None
        while self._waits or self._left:
            version = self._db.version()
            if version is not None and version == seen_version and not self._has_new:
                await self._pause()
                continue
            self._has_new = False
            waits, left = list(self._waits), set(self._left)
            try:
                seen = await run_in_threadpool(self._seen, waits, left)
            except TransientFault as fault:
                log.warning("waiting_for_the_database", reason=fault.message)
                self._has_new = True
                await asyncio.sleep(_LONG_PAUSE)
                continue
            self._hand_out(waits, left, seen)
            seen_version = version
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next look; the next request ends a long pause."""
        if self._waits:
            await asyncio.sleep(_PAUSE)
        elif self._left:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONG_PAUSE):
                    await self._arrived.wait()

    def _seen(self, waits: Sequence[_Wait], left: set[int]) -> _Seen:
        chunk_ids = left.union(*(wait.chunk_ids for wait in waits))
        pending = uploads.pending(self._db, list(chunk_ids))
        done = [wait for wait in waits if not wait.chunk_ids & pending]
        found = uploads.outcomes(self._db, [image for wait in done for image in wait.images]) if done else {}
        results, moved = {}, {}
        for wait in done:
            its = {image: found[image] for image in wait.images if image in found}
            if any(one.state == ImageState.PENDING for one in its.values()):
                # A chunk whose worker died is split: some images are in another chunk now.
                moved[wait] = uploads.chunks_of(self._db, wait.images)
            else:
                results[wait] = its
        if results:
            # A client that has its prediction relies on it.
            self._db.sync()
        return _Seen(pending, results, moved)

    def _hand_out(self, waits: Sequence[_Wait], left: set[int], seen: _Seen) -> None:
        self._pace.end(left.union(*(wait.chunk_ids for wait in waits)) - seen.pending)
        self._left -= left - seen.pending
        for wait, chunk_ids in seen.moved.items():
            wait.chunk_ids = chunk_ids
            self._has_new = True
        for wait, its in seen.results.items():
            self._waits.discard(wait)
            if wait.found.done():
                continue
            if missing := set(wait.images) - set(its):
                wait.found.set_exception(GoneError("Image {image} was deleted.", image=min(missing)))
            else:
                wait.found.set_result([its[image] for image in wait.images])
