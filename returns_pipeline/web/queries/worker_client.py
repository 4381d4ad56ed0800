"""Sends images to the workers and waits for results. One database query serves all waiting requests."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import ConflictError, PipelineError, RefusedError, TransientFault
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import FoundFile, ImageState, Received
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.tasks import EXPLAINED_SECONDS, Task
from returns_pipeline.store import explanations, uploads
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.usecases.uploads import AcceptedUpload, accept, discard, find_by_key, write_spool
from returns_pipeline.web.errors import NoReplyError

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: Seconds between two queries while requests wait.
_PAUSE = 0.004
#: The same for images that have moved to another chunk since.
_LONG_PAUSE = 0.1
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
class SpooledRequest:
    """A request whose images are in the spool; `before` is an accepted request with the same key.

    `number` is the return that its sender named.
    """

    files: Sequence[FoundFile]
    key: RequestKey | None = None
    number: str | None = None
    before: AcceptedUpload | None = None


class WorkerClient:
    """Sends images to the workers and waits for the results. Each web process has one."""

    def __init__(self, context: Context, bundle_of: BundleLookup) -> None:
        """Keep the connections."""
        self._context, self._bundle_of = context, bundle_of
        self._waiting: dict[asyncio.Future[None], set[int]] = {}
        self._polling: asyncio.Task[None] | None = None
        self._explaining: dict[int, asyncio.Task[Explanation | None]] = {}
        self._explain_slots = asyncio.Semaphore(_MOST_EXPLAINED)

    async def spool(
        self, images: Iterable[tuple[str, bytes]], key_id: str | None = None, number: str | None = None
    ) -> SpooledRequest:
        """Write (name, content) pairs into the spool, so that memory need not hold them.

        `number` is the return that the sender names. If an earlier request had the same key, nothing is
        written. Raises ConflictError if that request had other images.
        """
        return await run_in_threadpool(self._spool, list(images), key_id, number)

    def _spool(
        self, images: Sequence[tuple[str, bytes]], key_id: str | None, number: str | None
    ) -> SpooledRequest:
        key = RequestKey(key_id, _digest(images, number)) if key_id else None
        before = self._earlier(key) if key else None
        files = [] if before else write_spool(self._context, images)
        return SpooledRequest(files, key, number, before)

    def _earlier(self, key: RequestKey) -> AcceptedUpload | None:
        found = find_by_key(self._context, key)
        if found is None:
            return None
        accepted, is_same = found
        if not is_same:
            raise ConflictError("This Idempotency-Key was used for other images.", "Use a new key.")
        return accepted

    async def wait_for_one(self, spooled: SpooledRequest) -> Classified:
        """Return the prediction for a request with one photo. Raises as `wait_for`.

        Also raises RefusedError if the photo cannot be read, and PipelineError if this system failed.
        """
        found = await self.wait_for(spooled)
        (image,) = found.images
        if image.label is None and image.failed_here:
            raise PipelineError("The photo was not classified. {reason}", reason=image.detail or "")
        if image.label is None:
            raise RefusedError("The photo cannot be read. {reason}", reason=image.detail or "")
        return found

    async def wait_for(self, spooled: SpooledRequest) -> Classified:
        """Return the predictions for a request in the spool.

        Raises NoReplyError if the workers do not finish in time, PipelineError if the images could not be
        stored.
        """
        seconds = self._context.settings.api_seconds
        until = asyncio.get_running_loop().time() + seconds
        accepted = await run_in_threadpool(self._accept, spooled)
        wanted = accepted.images
        try:
            async with asyncio.timeout_at(until):
                found = await self._wait(accepted, wanted)
        except TimeoutError:
            raise NoReplyError(
                "No worker has answered within {seconds:g} s.",
                "The images are stored and will be classified: find them in run {run}, or try again later.",
                seconds=seconds,
                run=accepted.run_id,
            ) from None
        bundle = await run_in_threadpool(self._bundle_of, str(accepted.model))
        return Classified([found[image] for image in wanted], bundle)

    def _accept(self, spooled: SpooledRequest) -> AcceptedUpload:
        if spooled.before:
            return spooled.before
        try:
            return accept(self._context, spooled.files, spooled.key, spooled.number)
        except KeyTakenError:
            # The same request arrived at the same time: the images of the other one count.
            discard(self._context, [file.path for file in spooled.files])
            found = self._earlier(spooled.key) if spooled.key else None
            if found is None:
                raise
            return found
        except BaseException:
            # Workers own the files that have a row. Without a database the sweep deletes the others later.
            with contextlib.suppress(TransientFault):
                unknown = uploads.unknown(self._context.db, [file.path for file in spooled.files])
                discard(self._context, unknown)
            raise

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

    async def _wait(self, accepted: AcceptedUpload, wanted: Sequence[int]) -> dict[int, Received]:
        done = asyncio.get_running_loop().create_future()
        self._waiting[done] = set(accepted.chunk_ids)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            await done
        finally:
            self._waiting.pop(done, None)
        while True:
            found = await run_in_threadpool(uploads.outcomes, self._context.db, wanted)
            if all(image.state != ImageState.PENDING for image in found.values()):
                return found
            # A chunk whose worker died is split: some images are in another chunk now.
            await asyncio.sleep(_LONG_PAUSE)

    async def _poll(self) -> None:
        """Wake each request once its chunks have no pending image. Ends when no request waits."""
        while self._waiting:
            wanted = set().union(*self._waiting.values())
            try:
                pending = await run_in_threadpool(uploads.pending, self._context.db, list(wanted))
            except TransientFault as fault:
                log.warning("waiting_for_the_database", reason=fault.message)
                await asyncio.sleep(_LONG_PAUSE)
                continue
            for future, chunk_ids in list(self._waiting.items()):
                if chunk_ids <= wanted and not chunk_ids & pending and not future.done():
                    future.set_result(None)
            await asyncio.sleep(_PAUSE)


def _digest(images: Sequence[tuple[str, bytes]], number: str | None = None) -> str:
    """Return the sha256 of (name, content) pairs and a return: requests with the same digest are the same."""
    found = hashlib.sha256(f"return {number}".encode() if number else b"")
    for name, content in images:
        found.update(f"{len(name)} {len(content)} {name}".encode("utf-8", "surrogatepass"))
        found.update(content)
    return found.hexdigest()
