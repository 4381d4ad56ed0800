"""Sends images to the workers and waits for results."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from returns_pipeline import tracing
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConflictError, PipelineError, RefusedError, TransientFault
from returns_pipeline.photos.chunking import evenly
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import Received
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.tasks import EXPLAINED_SECONDS, Task
from returns_pipeline.records.uploads import AcceptedUpload, Upload
from returns_pipeline.store import explanations
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.usecases.uploads import find_by_key, write_spool
from returns_pipeline.web.errors import NoReplyError
from returns_pipeline.web.queries.gathering import Arrived, Gathering
from returns_pipeline.web.queries.pace import Pace
from returns_pipeline.web.queries.waiting import Waiting
from returns_pipeline.web.security.bodies import IN_MEMORY

#: Seconds between two queries while a request waits for an explanation.
_EXPLAINED_PAUSE = 0.02
#: Explanations that workers compute at the same time, so that predictions are not delayed.
_MOST_EXPLAINED = 2


@dataclass(frozen=True, slots=True)
class Classified:
    """The images of a request with their results, in their order, and the model that was used."""

    images: Sequence[Received]
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request whose images are received: `parts` are being accepted, `arrived` is not yet.

    `before` is an accepted request with the same key.
    """

    arrived: Arrived | None = None
    before: AcceptedUpload | None = None
    parts: Sequence[asyncio.Task[AcceptedUpload]] = ()


class WorkerClient:
    """Sends images to the workers and waits for the results. Each web process has one."""

    def __init__(self, context: Context, bundle_of: BundleLookup) -> None:
        """Keep the connections."""
        self._context, self._bundle_of = context, bundle_of
        self._pace = Pace(context.settings.api_seconds)
        self._gathering = Gathering(context)
        self._waiting = Waiting(context.db, self._pace)
        self._explaining: dict[int, asyncio.Task[Explanation | None]] = {}
        self._explain_slots = asyncio.Semaphore(_MOST_EXPLAINED)

    def require_room(self, images: int = 1) -> None:
        """Raise BusyError if so many more images could not be classified in time."""
        self._pace.require_room(images, self._gathering.waiting)

    async def receive(
        self, images: Sequence[tuple[str, bytes]], key_id: str | None = None, number: str | None = None
    ) -> ReceivedRequest:
        """Take (name, content) pairs. Large ones go into the spool, so that memory need not hold them.

        `number` is the return that the sender names. If an earlier request had the same key, nothing is
        written. Raises ConflictError if that request had other images, BusyError as `require_room`.
        """
        self.require_room(len(images))
        if key_id is not None:
            return await run_in_threadpool(self._spooled, images, key_id, number)
        if sum(len(content) for _, content in images) <= IN_MEMORY:
            return ReceivedRequest(Arrived(Upload((), None, number), images))
        return ReceivedRequest(parts=await self._in_parts(images, number))

    async def _in_parts(
        self, images: Sequence[tuple[str, bytes]], number: str | None
    ) -> list[asyncio.Task[AcceptedUpload]]:
        """Write images to the spool, in parts: workers begin with the first while the next are written."""
        parts: list[asyncio.Task[AcceptedUpload]] = []
        try:
            for some in evenly(images, self._context.settings.api_batch):
                files = await run_in_threadpool(write_spool, self._context, some)
                parts.append(asyncio.create_task(self._accepted(Arrived(Upload(files, None, number)))))
        except BaseException:
            self._give_up(parts)
            raise
        return parts

    async def _joined(self, parts: Sequence[asyncio.Task[AcceptedUpload]]) -> AcceptedUpload:
        """Return the parts of a request as one. Raises as `together`."""
        try:
            return await together(parts)
        except BaseException:
            self._give_up(parts)
            raise

    def _give_up(self, parts: Sequence[asyncio.Task[AcceptedUpload]]) -> None:
        """Wait for no part of a request. The chunks of accepted ones still come before later requests."""
        for part in parts:
            if not part.done():
                # A part that is being stored goes on, as that of a caller that goes away.
                part.cancel()
            elif not part.cancelled() and part.exception() is None:
                self._waiting.leave(part.result().chunk_ids)

    def _spooled(
        self, images: Sequence[tuple[str, bytes]], key_id: str, number: str | None
    ) -> ReceivedRequest:
        key = RequestKey(key_id, _digest(images, number))
        if before := self._earlier(key):
            return ReceivedRequest(before=before)
        return ReceivedRequest(Arrived(Upload(write_spool(self._context, images), key, number)))

    def _earlier(self, key: RequestKey) -> AcceptedUpload | None:
        found = find_by_key(self._context, key)
        if found is None:
            return None
        accepted, is_same = found
        if not is_same:
            raise ConflictError("This Idempotency-Key was used for other images.", "Use a new key.")
        return accepted

    async def wait_for_one(self, received: ReceivedRequest) -> Classified:
        """Return the prediction for a request with one photo. Raises as `wait_for`.

        Also raises RefusedError if the photo cannot be read, and PipelineError if this system failed.
        """
        found = await self.wait_for(received)
        (image,) = found.images
        if image.label is None and image.failed_here:
            raise PipelineError("The photo was not classified. {reason}", reason=image.detail or "")
        if image.label is None:
            raise RefusedError("The photo cannot be read. {reason}", reason=image.detail or "")
        return found

    async def wait_for(self, received: ReceivedRequest) -> Classified:
        """Return the predictions for a request.

        Raises NoReplyError if the workers do not finish in time, PipelineError if the images could not be
        stored.
        """
        seconds = self._context.settings.api_seconds
        until = asyncio.get_running_loop().time() + seconds
        accepted = received.before or await (
            self._accepted(received.arrived) if received.arrived else self._joined(received.parts)
        )
        try:
            async with asyncio.timeout_at(until):
                with tracing.span("answer", images=len(accepted.images)):
                    found = await self._waiting.results(accepted)
        except TimeoutError:
            raise NoReplyError(
                "No worker has answered within {seconds:g} s.",
                "The images are stored and will be classified: find them in run {run}, or try again later.",
                seconds=seconds,
                run=accepted.run_id,
            ) from None
        return Classified(found, self._bundle_of(str(accepted.model)))

    async def _accepted(self, arrived: Arrived) -> AcceptedUpload:
        try:
            accepted = await self._gathering.accept(arrived)
        except KeyTakenError:
            # The same request arrived at the same time: the images of the other one count.
            key = arrived.upload.key
            found = await run_in_threadpool(self._earlier, key) if key else None
            if found is None:
                raise
            return found
        self._pace.begin(accepted.chunk_ids, accepted.chunk_size)
        return accepted

    async def explain(self, image_id: int) -> Explanation | None:
        """Return the explanation of a classified image; None if no worker finished in time.

        Several requests for one image share one task, and few images are explained at the same time. Raises
        PipelineError without a broker or database.
        """
        if image_id not in self._explaining:
            task = asyncio.create_task(self._explain(image_id))
            self._explaining[image_id] = task
            task.add_done_callback(lambda _: self._explaining.pop(image_id, None))
        # A request that is cancelled must not cancel the task for the others.
        return await asyncio.shield(self._explaining[image_id])

    async def _explain(self, image_id: int) -> Explanation | None:
        db = self._context.db
        found = await run_in_threadpool(explanations.find, db, image_id)
        if found is not None:
            return found
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXPLAINED_SECONDS), self._explain_slots:
                await run_in_threadpool(self._context.queue.send, Task.EXPLAIN, image_id)
                while (found := await run_in_threadpool(explanations.find, db, image_id)) is None:
                    await asyncio.sleep(_EXPLAINED_PAUSE)
                return found
        return None


async def together(parts: Sequence[asyncio.Task[AcceptedUpload]]) -> AcceptedUpload:
    """Return the parts of a request as one. Raises the fault of a part."""
    found = await asyncio.gather(*parts, return_exceptions=True)
    accepted = [part for part in found if isinstance(part, AcceptedUpload)]
    for fault in found:
        if isinstance(fault, BaseException):
            raise fault
    first = accepted[0]
    if any(part.model != first.model for part in accepted):
        raise TransientFault("Another model became active while the images were accepted.", "Try again.")
    chunk_ids = {chunk_id for part in accepted for chunk_id in part.chunk_ids}
    images = tuple(image for part in accepted for image in part.images)
    return first._replace(chunk_ids=tuple(sorted(chunk_ids)), images=images)


def _digest(images: Sequence[tuple[str, bytes]], number: str | None = None) -> str:
    """Return the sha256 of (name, content) pairs and a return: requests with the same digest are the same."""
    found = hashlib.sha256(f"return {number}".encode() if number else b"")
    for name, content in images:
        found.update(f"{len(name)} {len(content)} {name}".encode("utf-8", "surrogatepass"))
        found.update(content)
    return found.hexdigest()
