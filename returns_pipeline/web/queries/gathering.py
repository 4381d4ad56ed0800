"""Group commit: requests that arrive while others are being stored are stored together.

One transaction and one message serve all of them. No request waits for others to come: if nothing is being
stored, it is stored immediately.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from returns_pipeline import tracing
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
    #: The span of its request.
    span: tracing.Span | None = None

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
        self._storing: asyncio.Task[None] | None = None
        #: Sends while the next group is stored.
        self._sender = ThreadPoolExecutor(1, "sender")

    async def accept(self, arrived: Arrived) -> AcceptedUpload:
        """Return a request once it has its rows; its chunks are sent after that.

        Raises its own fault, or the one of the database; then its files are deleted. A caller that goes away
        does not stop it.
        """
        accepted: asyncio.Future[AcceptedUpload] = asyncio.get_running_loop().create_future()
        self._arrived.append((arrived._replace(span=tracing.current()), accepted))
        self.waiting += arrived.size
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_all())
        try:
            return await asyncio.shield(accepted)
        finally:
            self.waiting -= arrived.size

    async def _store_all(self) -> None:
        """Store one group after the other, until none has arrived meanwhile."""
        while self._arrived:
            group = self._taken()
            stored: list[_Stored]
            try:
                stored = await asyncio.to_thread(self._store, [one for one, _ in group])
            except Exception as error:
                # It ends these requests, not the task that stores the next ones.
                stored = [error] * len(group)
            for (_, accepted), found in zip(group, stored, strict=True):
                if isinstance(found, AcceptedUpload):
                    accepted.set_result(found)
                else:
                    accepted.set_exception(found)
                    accepted.exception()  # its caller may have gone

    def _taken(self) -> list[tuple[Arrived, asyncio.Future[AcceptedUpload]]]:
        """Take the requests that fit into one chunk, at least one."""
        group = [self._arrived.popleft()]
        left = self._context.settings.api_batch - group[0][0].size
        while self._arrived and (left := left - self._arrived[0][0].size) >= 0:
            group.append(self._arrived.popleft())
        return group

    def _store(self, group: Sequence[Arrived]) -> list[_Stored]:
        """Return for each request what was accepted, or its fault."""
        with tracing.joined("rows", [one.span for one in group]):
            return self._stored(group)

    def _stored(self, group: Sequence[Arrived]) -> list[_Stored]:
        spooled = [_spooled(self._context, one) for one in group]
        ready = [one for one in spooled if isinstance(one, Upload)]
        accepted: list[_Stored]
        try:
            accepted = [*uploads.accept(self._context, ready, self._days)] if ready else []
        except Exception as error:
            accepted = [error] * len(ready)
        if new := [one for one in accepted if isinstance(one, AcceptedUpload)]:
            # What the broker does not take, the sweep sends later.
            self._sender.submit(tracing.carried(uploads.send), self._context, new)
        for upload, found in zip(ready, accepted, strict=True):
            if not isinstance(found, AcceptedUpload):
                _discard(self._context, upload)
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
