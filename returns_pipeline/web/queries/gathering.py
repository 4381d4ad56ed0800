"""Group commit: requests that arrive while others are being stored are stored together.

One transaction and one message serve all of them. No request waits for others to come: if nothing is being
stored, it is stored immediately.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.uploads import AcceptedUpload, Upload
from returns_pipeline.store.uploads import unknown
from returns_pipeline.usecases import uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.upload_days import UploadDays


class Arrived(NamedTuple):
    """A request that is not stored yet. Its `images`, (name, content) pairs, are not in the spool yet."""

    upload: Upload
    images: Sequence[tuple[str, bytes]] = ()

    @property
    def size(self) -> int:
        """The number of its images."""
        return len(self.upload.files) + len(self.images)


_Stored = AcceptedUpload | Exception


class Gathering:
    """Stores requests in groups and sends their chunks. Each web process has one."""

    def __init__(self, context: Context) -> None:
        """Keep the connections."""
        self._context = context
        self._days = UploadDays()
        #: Images of requests that are not stored yet.
        self.waiting = 0
        self._arrived: deque[tuple[Arrived, asyncio.Future[AcceptedUpload]]] = deque()
        self._unsent: list[AcceptedUpload] = []
        self._storing = _Repeated(self._store_group)
        self._sending = _Repeated(self._send_all)

    async def accept(self, arrived: Arrived) -> AcceptedUpload:
        """Return a request once it has its rows; its chunks are sent after that.

        Raises its own fault, or the one of the database; then its files are deleted. A caller that goes away
        does not stop it.
        """
        accepted: asyncio.Future[AcceptedUpload] = asyncio.get_running_loop().create_future()
        self._arrived.append((arrived, accepted))
        self.waiting += arrived.size
        self._storing.wake()
        try:
            return await asyncio.shield(accepted)
        finally:
            self.waiting -= arrived.size

    async def _store_group(self) -> bool:
        group = self._taken()
        stored: list[_Stored]
        try:
            stored = await asyncio.to_thread(_store, self._context, [one for one, _ in group], self._days)
        except Exception as error:
            # It ends these requests, not the task that stores the next ones.
            stored = [error] * len(group)
        for (_, accepted), found in zip(group, stored, strict=True):
            if isinstance(found, AcceptedUpload):
                self._unsent.append(found)
                accepted.set_result(found)
            else:
                accepted.set_exception(found)
                accepted.exception()  # its caller may have gone
        if self._unsent:
            self._sending.wake()
        return bool(self._arrived)

    def _taken(self) -> list[tuple[Arrived, asyncio.Future[AcceptedUpload]]]:
        """Take the requests that fit into one chunk, at least one."""
        group = [self._arrived.popleft()]
        left = self._context.settings.api_batch - group[0][0].size
        while self._arrived and (left := left - self._arrived[0][0].size) >= 0:
            group.append(self._arrived.popleft())
        return group

    async def _send_all(self) -> bool:
        accepted, self._unsent = self._unsent, []
        # What the broker does not take, the sweep sends later.
        await asyncio.to_thread(uploads.send, self._context, accepted)
        return bool(self._unsent)


class _Repeated:
    """Runs a step in a task of its own until it returns false; `wake` starts it again."""

    def __init__(self, step: Callable[[], Awaitable[bool]]) -> None:
        self._step = step
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Begin to run the step if it does not run."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while await self._step():
            pass


def _store(context: Context, group: Sequence[Arrived], days: UploadDays) -> list[_Stored]:
    """Return for each request what was accepted, or its fault."""
    spooled = [_spooled(context, one) for one in group]
    ready = [one for one in spooled if isinstance(one, Upload)]
    accepted: list[_Stored]
    try:
        accepted = [*uploads.accept(context, ready, days)] if ready else []
    except Exception as error:
        accepted = [error] * len(ready)
    for upload, found in zip(ready, accepted, strict=True):
        if not isinstance(found, AcceptedUpload):
            _discard(context, upload)
    remaining = iter(accepted)
    return [next(remaining) if isinstance(one, Upload) else one for one in spooled]


def _spooled(context: Context, arrived: Arrived) -> Upload | Exception:
    if not arrived.images:
        return arrived.upload
    try:
        return arrived.upload._replace(files=uploads.write_spool(context, arrived.images))
    except Exception as error:
        return error


def _discard(context: Context, upload: Upload) -> None:
    # Workers own the files that have a row. Without a database the sweep deletes the others later.
    with contextlib.suppress(TransientFault):
        uploads.discard(context, unknown(context.db, [file.path for file in upload.files]))
