"""Hands results to the requests that wait for them. One look at the database serves all of them.

On PostgreSQL, workers announce results. An announcement says only when to look. A process that misses some,
for example behind a pooler, looks as often as without them.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from returns_pipeline.errors import GoneError, TransientFault
from returns_pipeline.records.images import ImageState, Received
from returns_pipeline.records.uploads import AcceptedUpload
from returns_pipeline.store import announcements, uploads
from returns_pipeline.store.database import Database
from returns_pipeline.web.queries.pace import Pace

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: Least and most seconds between two looks while requests wait. If the database tells fast whether something
#: has changed, a pause is this part of the time for which nothing has.
_LEAST_PAUSE, _PAUSE, _PART = 0.001, 0.004, 0.05
#: Most seconds while announcements arrive.
_ANNOUNCED_PAUSE = 0.05
#: The same while only chunks are open whose clients have gone, or the database does not answer.
_LONG_PAUSE = 0.1
#: Seconds after which a process listens again.
_LISTEN_PAUSE = 1.0


@dataclass(slots=True, eq=False)
class _Wait:
    """A request that waits; `chunk_ids` are the chunks that its images belong to now."""

    images: Sequence[int]
    chunk_ids: set[int]
    found: asyncio.Future[Sequence[Received]]


@dataclass(frozen=True, slots=True)
class _Found:
    """Results of requests; of those whose images are in other chunks by now, these chunks instead."""

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
        self._listening: asyncio.Task[None] | None = None
        #: Set by a new request and by an announcement.
        self._woken = asyncio.Event()
        #: Whether to look although nothing was committed.
        self._has_new = False
        #: Whether all results are announced, as far as this process knows.
        self._is_told = False

    async def results(self, accepted: AcceptedUpload) -> Sequence[Received]:
        """Return the results of a request, in the order of its images, when all of them have one.

        Raises GoneError if an image was deleted, for example before a request was repeated.
        """
        found: asyncio.Future[Sequence[Received]] = asyncio.get_running_loop().create_future()
        wait = _Wait(accepted.images, set(accepted.chunk_ids), found)
        self._waits.add(wait)
        self._begin()
        try:
            return await found
        finally:
            if wait in self._waits:
                self._waits.discard(wait)
                # Its chunks are still before those of the next request.
                self._left |= wait.chunk_ids

    def leave(self, chunk_ids: Iterable[int]) -> None:
        """Look until these chunks are done, although no request waits for them."""
        self._left |= set(chunk_ids)
        self._begin()

    def _begin(self) -> None:
        """Look now, and again when something changes."""
        self._has_new = True
        self._woken.set()
        if self._listening is None and not self._db.is_sqlite:
            self._listening = asyncio.create_task(self._listen())
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _listen(self) -> None:
        """Look when results are announced."""
        reason = ""
        while True:
            try:
                await announcements.listen(self._db, self._on_announcement)
            except TransientFault as fault:
                if fault.message != reason:
                    log.warning("results_are_not_announced", reason=fault.message)
                reason = fault.message
            self._is_told = False
            await asyncio.sleep(_LISTEN_PAUSE)

    def _on_announcement(self) -> None:
        self._is_told = True
        self._woken.set()

    async def _look(self) -> None:
        """Look at the database until no chunk is open, when something has changed there."""
        seen_version: int | None = None
        changed = time.monotonic()
        while self._waits or self._left:
            version = self._db.version()
            if version is None or version != seen_version or self._has_new:
                self._has_new = False
                was_woken = self._woken.is_set()
                self._woken.clear()
                try:
                    has_ended = await self._hand_out()
                except TransientFault as fault:
                    log.warning("waiting_for_the_database", reason=fault.message)
                    self._has_new = True
                    await asyncio.sleep(_LONG_PAUSE)
                    continue
                if has_ended and not was_woken:
                    self._is_told = False
                seen_version, changed = version, time.monotonic()
            unchanged = time.monotonic() - changed
            await self._pause(_PAUSE if version is None else max(_LEAST_PAUSE, _PART * unchanged))

    async def _pause(self, seconds: float) -> None:
        """Wait at most `seconds` for the next look; longer for an announcement, or if no request waits."""
        if self._waits and not self._is_told:
            await asyncio.sleep(min(_PAUSE, seconds))
        elif self._waits or self._left:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANNOUNCED_PAUSE if self._waits else _LONG_PAUSE):
                    await self._woken.wait()

    async def _hand_out(self) -> bool:
        """Give the requests their results whose images all have one; return whether a chunk has ended."""
        waits, left = list(self._waits), set(self._left)
        chunk_ids = left.union(*(wait.chunk_ids for wait in waits))
        now = uploads.pending_now(self._db, list(chunk_ids))
        if now is None or _done(waits, now):
            pending, found = await asyncio.to_thread(self._looked_up, waits, chunk_ids, now)
        else:
            pending, found = now, _Found({}, {})
        self._pace.end(chunk_ids - pending)
        self._left -= left - pending
        for wait in waits:
            wait.chunk_ids &= pending
        for wait, others in found.moved.items():
            wait.chunk_ids = others
            self._has_new = True
        for wait, its in found.results.items():
            self._waits.discard(wait)
            if wait.found.done():
                continue
            if missing := set(wait.images) - set(its):
                wait.found.set_exception(GoneError("Image {image} was deleted.", image=min(missing)))
            else:
                wait.found.set_result([its[image] for image in wait.images])
        return chunk_ids != pending

    def _looked_up(
        self, waits: Sequence[_Wait], chunk_ids: set[int], pending: set[int] | None
    ) -> tuple[set[int], _Found]:
        """Return the chunks with pending images, and what is found for the requests without such a chunk."""
        with self._db.read_together():
            if pending is None:
                pending = uploads.pending(self._db, list(chunk_ids))
            done = _done(waits, pending)
            return pending, self._found(done) if done else _Found({}, {})

    def _found(self, done: Sequence[_Wait]) -> _Found:
        outcomes = uploads.outcomes(self._db, [image for wait in done for image in wait.images])
        results, moved = {}, {}
        for wait in done:
            its = {image: outcomes[image] for image in wait.images if image in outcomes}
            if any(one.state == ImageState.PENDING for one in its.values()):
                # A chunk whose worker died is split: some images are in another chunk now.
                moved[wait] = uploads.chunks_of(self._db, wait.images)
            else:
                results[wait] = its
        if results:
            # A client that has its prediction relies on it.
            self._db.sync()
        return _Found(results, moved)


def _done(waits: Sequence[_Wait], pending: set[int]) -> list[_Wait]:
    return [wait for wait in waits if not wait.chunk_ids & pending]
