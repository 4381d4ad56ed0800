"""Embeds the pictures of products in chunks, like a night; every step may run twice.

A chunk is read, decoded and embedded, and its vectors and states are stored in one transaction. A picture
whose content is the one that its vector is of is not decoded again.
"""

import hashlib
import time
from collections.abc import Callable, Iterable

import structlog

from returns_pipeline.catalogue.pictures import read_picture
from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.classify.spaces.space import Space, find_space
from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.embedding import EmbeddedPicture, EmbeddingClaim, PictureToEmbed, SpaceRow
from returns_pipeline.records.images import PendingImage
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import embedding_chunks, product_comparisons, spaces
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import product_search
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Pictures of one chunk. Its pixels are never held together, only one batch.
CHUNK = 256


class _Pictures:
    """Reads pictures of products for a `Decoder`. The identity of such an image is its folder."""

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        return read_picture(image.identity, image.path, max_bytes)


def configured_space(settings: Settings, db: Database) -> tuple[Space, SpaceRow]:
    """Return the space of RETURNS_SPACE, on disk and in the database. Raises ConfigFault if it is broken."""
    space = find_space(settings.spaces_dir, settings.space)
    return space, spaces.open_space(db, space.ref, space.digest, space.dimensions, space.metric)


def plan(settings: Settings, db: Database, *, every: bool) -> list[int]:
    """Return the open chunks of the configured space, with those of pictures that wait for it.

    With `every`, each picture's file is compared with what its vector is of.
    """
    _, row = configured_space(settings, db)
    found = embedding_chunks.plan(db, row.id, CHUNK, every=every)
    if not found:
        spaces.swap_if_whole(db, row.id)
    return found


def begin(context: Context) -> int:
    """Have workers embed new pictures, after an import or at a sweep; return how many chunks there are.

    0 without new pictures, without a space, and while earlier chunks are open: the sweep goes on after them.
    """
    if not embedding_chunks.is_work_waiting(context.db):
        return 0
    try:
        chunk_ids = plan(context.settings, context.db, every=False)
    except ConfigFault as fault:
        log.warning("pictures_not_embedded", reason=str(fault))
        return 0
    # The sweep sends the rest if the broker is away.
    all(context.send(Task.EMBED_PICTURES, chunk_id) for chunk_id in chunk_ids)
    return len(chunk_ids)


def go_on(context: Context) -> None:
    """Send chunks again whose message is lost or whose process died, and begin with new pictures.

    An index of older vectors, as a removal of products leaves it, is written anew by a worker.
    """
    settings = context.settings
    begin(context)
    space = spaces.active(context.db)
    if space and product_search.has_stale_index(settings, context.db, space):
        chunk_id = embedding_chunks.plan_none(context.db, space.id)
        if chunk_id is not None:
            context.queue.send(Task.EMBED_PICTURES, chunk_id)
    for chunk_id in embedding_chunks.to_send_again(
        context.db, settings.lease_seconds, settings.resend_seconds, 1000
    ):
        context.queue.send(Task.EMBED_PICTURES, chunk_id)


def embed_chunk(context: Context, chunk_id: int, owner: str) -> None:
    """Embed a chunk; do nothing if it is done or another message holds it.

    A chunk whose process died is split in halves, until the picture that kills processes is alone. Raises
    PipelineError after giving the chunk back.
    """
    settings = context.settings
    claim = embedding_chunks.claim(context.db, chunk_id, owner, settings.lease_seconds)
    if claim is None:
        return
    try:
        if claim.attempt > 1 and len(claim.pictures) > 1:
            for half in embedding_chunks.split(context.db, claim):
                context.send(Task.EMBED_PICTURES, half)
            return
        is_given_up = claim.attempt > settings.max_attempts
        results = _given_up(claim) if is_given_up else _embedded(context, claim)
        embedding_chunks.store(context.db, claim, results)
    except embedding_chunks.LeaseLostError:
        log.warning("pictures_lease_lost", chunk=chunk_id)
        return
    except PipelineError:
        embedding_chunks.release(context.db, claim, counts=False)
        raise
    except Exception:
        log.exception("pictures_error", chunk=chunk_id)
        embedding_chunks.release(context.db, claim, counts=True)
        context.send(Task.EMBED_PICTURES, chunk_id)
        return
    unusable = sum(each.reason is not None for each in results)
    log.info("pictures_embedded", chunk=chunk_id, pictures=len(results), unusable=unusable)
    if spaces.swap_if_whole(context.db, claim.space.id):
        log.info("space_active", space=str(claim.space.ref))
    product_search.refresh_index(settings, context.db)
    if product_comparisons.is_waiting(context.db):
        context.send(Task.COMPARE_RETURNS)


def _given_up(claim: EmbeddingClaim) -> list[EmbeddedPicture]:
    reason = FaultCode.KILLED_WORKER.sentence
    return [
        EmbeddedPicture(each.id, each.folder, each.address, None, None, reason) for each in claim.pictures
    ]


def _embedded(context: Context, claim: EmbeddingClaim) -> list[EmbeddedPicture]:
    settings = context.settings
    embedder = embedder_of(context, claim.space)
    renewal = _Renewal(context, claim)
    results, changed = _unchanged(claim.pictures, settings.max_file_bytes, renewal.progress)
    places = {each.id: each for each in changed}
    images = [PendingImage(each.id, each.address, 0, each.folder) for each in changed]
    decoder = Decoder(_Pictures(), embedder.space.input, Limits.of(settings), settings.image_seconds)
    for batch in decoder.batches(images, embedder.batch, settings.decode_threads, renewal.progress):
        for image, failure in batch.failed:
            sha256 = failure.facts.sha256 if failure.facts else None
            results.append(_result(places[image.id], sha256, None, failure.detail or failure.code.sentence))
        vectors = embedder.embed(batch.pixels)
        for image, facts, vector in zip(batch.images, batch.facts, vectors, strict=True):
            results.append(_result(places[image.id], facts.sha256, vector.tobytes()))
    return results


def _unchanged(
    pictures: Iterable[PictureToEmbed], most_bytes: int, progress: Callable[[], None]
) -> tuple[list[EmbeddedPicture], list[PictureToEmbed]]:
    """Return results for pictures whose content has its vector already, and the other pictures."""
    same: list[EmbeddedPicture] = []
    others: list[PictureToEmbed] = []
    for each in pictures:
        if each.sha256 is not None:
            progress()
            try:
                found = hashlib.sha256(read_picture(each.folder, each.address, most_bytes)).hexdigest()
            except ImageFault:
                found = ""
            if found == each.sha256:
                same.append(_result(each, found, None))
                continue
        others.append(each)
    return same, others


def _result(
    picture: PictureToEmbed, sha256: str | None, vector: bytes | None, reason: str | None = None
) -> EmbeddedPicture:
    return EmbeddedPicture(picture.id, picture.folder, picture.address, sha256, vector, reason)


def embedder_of(context: Context, row: SpaceRow) -> Embedder:
    """Return the loaded space of stored vectors. Raises ConfigFault if this machine has another one."""
    found = context.embedders.get(row.digest)
    if found is None:
        space = find_space(context.settings.spaces_dir, str(row.ref))
        if space.digest != row.digest:
            raise ConfigFault(
                "The embedding space {space} in {folder} is not the one of the stored vectors.",
                "Give every worker the same spaces; a changed one needs a new version number.",
                space=row.ref,
                folder=context.settings.spaces_dir,
            )
        context.embedders.clear()
        found = context.embedders[row.digest] = Embedder(space, threads=context.settings.worker_threads or 1)
    return found


class _Renewal:
    """Renews a chunk's lease on progress only, so that a process that hangs loses its chunk."""

    def __init__(self, context: Context, claim: EmbeddingClaim) -> None:
        self._context, self._claim = context, claim
        self._seconds = context.settings.lease_seconds
        self._next = time.monotonic() + self._seconds / 3

    def progress(self) -> None:
        if time.monotonic() > self._next:
            embedding_chunks.renew(self._context.db, self._claim, self._seconds)
            self._next = time.monotonic() + self._seconds / 3
