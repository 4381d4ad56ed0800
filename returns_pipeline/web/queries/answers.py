"""Asks the workers about images: rows, messages, and one look at the database for all who wait."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import ConflictError, TransientFault
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import FoundFile, ImageState, Received
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.tasks import EXPLAINED_SECONDS, Task
from returns_pipeline.store import explanations, uploads
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.uploads import AcceptedUpload, accept, discard, find_by_key, write_spool
from returns_pipeline.web.errors import NoAnswerError

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: Seconds between two looks at the database while somebody waits.
_PAUSE = 0.004
#: The same for images that have moved to another chunk since.
_LONG_PAUSE = 0.1
#: Seconds between two looks while somebody waits for an explanation.
_EXPLAINED_PAUSE = 0.02
#: Images that workers are asked to explain at once: whoever waits for a category comes through.
_EXPLAINED_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request's images, in their order, and the model that was asked."""

    images: Sequence[Received]
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Kept:
    """A request whose bytes are in the spool, or one that was taken `before` with the same key."""

    files: Sequence[FoundFile]
    key: RequestKey | None = None
    before: AcceptedUpload | None = None


class Asker:
    """One for each process of the web."""

    def __init__(self, context: Context) -> None:
        """Keep the pipeline's connections."""
        self._pipeline = context
        self._bundles: dict[str, Bundle] = {}
        self._waiting: dict[asyncio.Future[None], set[int]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._explaining: dict[int, asyncio.Task[Explanation | None]] = {}
        self._explainers = asyncio.Semaphore(_EXPLAINED_AT_ONCE)

    async def ask(self, images: Iterable[tuple[str, bytes]], key_id: str | None = None) -> Answer:
        """Return what the workers say of (name, content) pairs.

        Raises NoAnswerError when they do not say it in time; PipelineError when the images got no rows.
        """
        return await self.ask_about(await self.keep(images, key_id))

    async def keep(self, images: Iterable[tuple[str, bytes]], key_id: str | None = None) -> Kept:
        """Write (name, content) pairs into the spool: from here on their bytes are needed no more.

        With the key of a request that was taken before nothing is written. Raises ConflictError when that
        one had other images.
        """
        return await run_in_threadpool(self._keep, list(images), key_id)

    def _keep(self, images: Sequence[tuple[str, bytes]], key_id: str | None) -> Kept:
        key = RequestKey(key_id, _digest(images)) if key_id else None
        before = self._earlier(key) if key else None
        files = [] if before else write_spool(self._pipeline, images)
        return Kept(files, key, before)

    def _earlier(self, key: RequestKey) -> AcceptedUpload | None:
        found = find_by_key(self._pipeline, key)
        if found is None:
            return None
        accepted, is_same = found
        if not is_same:
            raise ConflictError("This Idempotency-Key was used for other images.", "Use a new key.")
        return accepted

    async def ask_about(self, kept: Kept) -> Answer:
        """Return what the workers say of a request in the spool. Raises as `ask`."""
        until = asyncio.get_running_loop().time() + self._pipeline.settings.api_seconds
        accepted = await run_in_threadpool(self._accept, kept)
        wanted = accepted.images
        try:
            async with asyncio.timeout_at(until):
                found = await self._wait(accepted, wanted)
        except TimeoutError:
            raise NoAnswerError(
                "No worker has answered within {api_seconds:g} s.",
                "The images are kept and will be classified: look for them in "
                "run {run_id}, or try again later.",
                api_seconds=self._pipeline.settings.api_seconds,
                run_id=accepted.run_id,
            ) from None
        bundle = await run_in_threadpool(self.bundle, str(accepted.model))
        return Answer([found[image] for image in wanted], bundle)

    def _accept(self, kept: Kept) -> AcceptedUpload:
        if kept.before:
            return kept.before
        try:
            return accept(self._pipeline, kept.files, kept.key)
        except KeyTakenError:
            # The same request, at the same time: the other one's images are the ones that count.
            discard(self._pipeline, [file.path for file in kept.files])
            found = self._earlier(kept.key) if kept.key else None
            if found is None:
                raise
            return found
        except BaseException:
            # Those that have a row are the workers'. What cannot be found out now, the sweep tidies.
            with contextlib.suppress(TransientFault):
                unknown = uploads.unknown(self._pipeline.db, [file.path for file in kept.files])
                discard(self._pipeline, unknown)
            raise

    async def explanation(self, image_id: int) -> Explanation | None:
        """Return why the model says what it says of a classified image; None when no worker told it in time.

        Asked by many at once, a worker is asked once; only a few images are asked about at a time. Raises
        PipelineError when nobody can be asked.
        """
        if image_id not in self._explaining:
            asking = asyncio.create_task(self._explanation(image_id))
            self._explaining[image_id] = asking
            asking.add_done_callback(lambda _: self._explaining.pop(image_id, None))
        # Whoever goes away leaves the others waiting.
        return await asyncio.shield(self._explaining[image_id])

    async def _explanation(self, image_id: int) -> Explanation | None:
        db = self._pipeline.db
        found = await run_in_threadpool(explanations.find, db, image_id)
        if found is not None:
            return found
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXPLAINED_SECONDS), self._explainers:
                await run_in_threadpool(self._pipeline.queue.send, Task.EXPLAIN, image_id)
                while (found := await run_in_threadpool(explanations.find, db, image_id)) is None:
                    await asyncio.sleep(_EXPLAINED_PAUSE)
                return found
        return None

    async def _wait(self, accepted: AcceptedUpload, wanted: Sequence[int]) -> dict[int, Received]:
        done = asyncio.get_running_loop().create_future()
        self._waiting[done] = set(accepted.chunk_ids)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await done
        finally:
            self._waiting.pop(done, None)
        while True:
            found = await run_in_threadpool(uploads.outcomes, self._pipeline.db, wanted)
            if all(image.state != ImageState.PENDING for image in found.values()):
                return found
            # A chunk whose worker died is split: some are in another one now.
            await asyncio.sleep(_LONG_PAUSE)

    async def _look(self) -> None:
        """Wake everybody whose chunks have no image without a result. Ends when nobody waits."""
        while self._waiting:
            wanted = set().union(*self._waiting.values())
            try:
                pending = await run_in_threadpool(uploads.pending, self._pipeline.db, list(wanted))
            except TransientFault as fault:
                log.warning("waiting_for_the_database", reason=fault.message)
                await asyncio.sleep(_LONG_PAUSE)
                continue
            for future, chunk_ids in list(self._waiting.items()):
                if chunk_ids <= wanted and not chunk_ids & pending and not future.done():
                    future.set_result(None)
            await asyncio.sleep(_PAUSE)

    def bundle(self, model: str) -> Bundle:
        """Return the bundle NAME/VERSION, read once. Raises ConfigFault when it is not there."""
        if model not in self._bundles:
            self._bundles[model] = find_bundle(self._pipeline.settings.models_dir, model)
        return self._bundles[model]


def _digest(images: Sequence[tuple[str, bytes]]) -> str:
    """Return the sha256 of (name, content) pairs: what a request asks, however it was written down."""
    found = hashlib.sha256()
    for name, content in images:
        found.update(f"{len(name)} {len(content)} {name}".encode("utf-8", "surrogatepass"))
        found.update(content)
    return found.hexdigest()
