"""Chunks: claimed with a lease in one conditional UPDATE, stored in one transaction that may run twice.

`_MAY_BE_CLAIMED` decides whether a chunk may be claimed.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.chunks import ChunkState, Claim, Shadow
from returns_pipeline.records.images import ImageState, Move, Outcome, PendingImage
from returns_pipeline.records.likeness import Uncompared
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Embedded, Prediction
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import printable
from returns_pipeline.store import bulk, codes, final_labels, fingerprints, likeness, returns
from returns_pipeline.store.clocks import furthest_end, is_over
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import RUNS_WITH_MODEL
from returns_pipeline.store.tables import (
    COLOURED,
    IDENTITY,
    REQUESTS,
    chunks,
    embeddings,
    escape_path,
    images,
    model_versions,
    predictions,
    runs,
)


class LeaseLostError(PipelineError):
    """Another process has claimed the chunk meanwhile. Its results count; this process drops its own."""


_shadow_version = model_versions.alias("beside")
_is_shadow = sa.and_(
    _shadow_version.c.name == model_versions.c.name,
    _shadow_version.c.id != model_versions.c.id,
    _shadow_version.c.shadow_share.is_not(None),
)
#: A run with its model and the model's shadow. A unique index allows at most one shadow of a name.
_RUN = (
    sa.select(
        runs.c.kind,
        model_versions.c.id,
        model_versions.c.name,
        model_versions.c.version,
        model_versions.c.sha256,
        _shadow_version.c.id.label("shadow_id"),
        _shadow_version.c.version.label("shadow_version"),
        _shadow_version.c.sha256.label("shadow_sha256"),
        _shadow_version.c.shadow_share,
    )
    .select_from(RUNS_WITH_MODEL.outerjoin(_shadow_version, _is_shadow))
    .where(runs.c.id == sa.bindparam("run"))
)

_OPEN = {"state": ChunkState.OPEN, "lease_owner": None, "lease_token": None, "lease_until": None}

# The statements of every chunk are built once: building one costs four times as much as executing it.

#: A chunk is open, or its lease has expired, or the message `owner` holds the lease. A message that holds the
#: lease is delivered again because its first process died.
_MAY_BE_CLAIMED = sa.or_(
    chunks.c.state == ChunkState.OPEN,
    sa.and_(
        chunks.c.state == ChunkState.LEASED,
        sa.or_(
            is_over(chunks.c.lease_until, sa.bindparam("now"), sa.bindparam("furthest")),
            chunks.c.lease_owner == sa.bindparam("owner"),
        ),
    ),
)
_CLAIM = (
    sa.update(chunks)
    .where(chunks.c.id == sa.bindparam("chunk"), _MAY_BE_CLAIMED)
    .values(state=ChunkState.LEASED, attempts=chunks.c.attempts + 1)
    .returning(chunks.c.run_id, chunks.c.attempts, chunks.c.error, chunks.c.size)
)
_PENDING = (
    sa.select(images.c.id, images.c.source_path, images.c.size, IDENTITY, images.c.return_id)
    .where(images.c.chunk_id == sa.bindparam("chunk"), images.c.state == ImageState.PENDING)
    .order_by(images.c.id)
)
#: Sets the columns that are among its parameters. An UPDATE, because it locks the row until the transaction
#: ends.
_HELD = (
    sa.update(chunks)
    .where(
        chunks.c.id == sa.bindparam("chunk"),
        chunks.c.state == ChunkState.LEASED,
        chunks.c.lease_token == sa.bindparam("held"),
    )
    .returning(chunks.c.timings)
)
_OF_CHUNK = sa.update(chunks).where(chunks.c.id == sa.bindparam("chunk"))
_DONE = _OF_CHUNK.values(
    state=ChunkState.DONE, lease_owner=None, lease_token=None, lease_until=None, error=None
)
_MOVED = (
    sa.update(images)
    .where(images.c.chunk_id == sa.bindparam("chunk"), images.c.in_intake)
    .values(in_intake=False)
)
_RETURNS = returns.of_images(images.c.chunk_id == sa.bindparam("chunk"))


def claim(db: Database, chunk_id: int, owner: str, worker: str, lease_seconds: float) -> Claim | None:
    """Claim a chunk for `lease_seconds` on behalf of the message `owner`; None if it cannot be claimed.

    `worker` is HOST:PID, for people who read the table.
    """
    now = utc_now()
    token = uuid.uuid4().hex
    condition = {"now": now, "furthest": furthest_end(now, lease_seconds), "owner": owner}
    lease = {
        "lease_owner": owner,
        "lease_token": token,
        "lease_until": now + timedelta(seconds=lease_seconds),
    }
    this = {"chunk": chunk_id}
    with db.write(repeated=True) as connection:
        claimed = connection.execute(_CLAIM, this | condition | lease | {"worker": worker}).one_or_none()
        if claimed is None:
            return None
        if claimed.error is not None:
            # Each attempt writes its own error. After a process that died, the column stays empty.
            connection.execute(_OF_CHUNK, this | {"error": None})
        run = connection.execute(_RUN, {"run": claimed.run_id}).one()
        pending = connection.execute(_PENDING, this)
        return Claim(
            chunk_id=chunk_id,
            run_id=claimed.run_id,
            kind=RunKind(run.kind),
            token=token,
            attempt=claimed.attempts,
            error=claimed.error,
            size=claimed.size,
            model=ModelRef(run.name, run.version),
            model_version_id=run.id,
            model_sha256=run.sha256,
            images=tuple(PendingImage(*row) for row in pending),
            shadow=_shadow(run),
        )


def _shadow(run: Any) -> Shadow | None:
    if run.shadow_id is None or not RunKind(run.kind).is_of_intake:
        return None
    model = ModelRef(run.name, run.shadow_version)
    return Shadow(model, run.shadow_id, run.shadow_sha256, run.shadow_share)


def renew(db: Database, held: Claim, lease_seconds: float) -> None:
    """Extend a lease to `lease_seconds` from now. Raises LeaseLostError if another process has the chunk."""
    with db.write(repeated=True) as connection:
        _require_lease(connection, held, lease_until=utc_now() + timedelta(seconds=lease_seconds))


def split(db: Database, held: Claim, parts: int = 2) -> list[int]:
    """Split a claimed chunk into open chunks of about the same size, each with 0 attempts; return their ids.

    There are at most as many `parts` as pending images. Raises LeaseLostError if another process has claimed
    the chunk.
    """
    parts = min(parts, len(held.images))
    ends = [len(held.images) * part // parts for part in range(1, parts + 1)]
    moved = [held.images[start:end] for start, end in pairwise(ends)]
    now = utc_now()
    with db.write() as connection:
        _require_lease(connection, held)
        kept = {
            column.name: sa.select(column).where(chunks.c.id == held.chunk_id).scalar_subquery()
            for column in (chunks.c.received_at, chunks.c.traceparent)
        }
        new = sa.insert(chunks).returning(chunks.c.id)
        values = {"run_id": held.run_id, "state": ChunkState.OPEN, "sent_at": now} | kept
        others = [
            int(connection.execute(new.values(size=len(some), **values)).scalar_one()) for some in moved
        ]
        connection.execute(
            sa.update(images).where(images.c.id == sa.bindparam("image")).values(chunk_id=sa.bindparam("to")),
            [
                {"image": image.id, "to": other}
                for other, some in zip(others, moved, strict=True)
                for image in some
            ],
        )
        left = held.size - sum(map(len, moved))
        connection.execute(
            sa.update(chunks)
            .where(chunks.c.id == held.chunk_id)
            .values(size=left, attempts=0, error=None, sent_at=now, **_OPEN)
        )
    return [held.chunk_id, *others]


def store(
    db: Database,
    held: Claim,
    outcomes: Sequence[Outcome],
    embedded: Embedded | None = None,
    coloured: int = 0,
    uncompared: Uncompared | None = None,
) -> bool:
    """Write every outcome of a chunk in one durable transaction, because files are moved after it.

    `embedded` holds the embeddings of its images, if later images are compared with them. `coloured` counts
    the pictures whose colours the model does not see. `uncompared` holds the photos that are compared with
    earlier ones. Returns whether images of a return are among them: it is queued for judging then. Raises
    LeaseLostError if another process has claimed the chunk.
    """
    results = [_result(outcome) for outcome in outcomes]
    predicted = [
        _prediction(outcome.image_id, held.model_version_id, outcome.prediction)
        for outcome in outcomes
        if outcome.prediction
    ]
    counted = {"timings": {COLOURED: coloured}} if coloured else {}
    with db.write(lasting=True) as connection:
        _require_lease(connection, held, **counted)
        bulk.update(connection, images, _RESULT, results)
        bulk.insert(connection, predictions, _PREDICTION, predicted)
        fingerprints.add(connection, _fingerprints(held, outcomes, uncompared))
        codes.add(connection, outcomes)
        if uncompared:
            likeness.keep(connection, held.chunk_id, uncompared)
        if embedded:
            row = (held.model_version_id, held.chunk_id, *embedded)
            connection.execute(db.insert(embeddings).values(row).on_conflict_do_nothing())
        # Only clients name the return of a photo before it is classified.
        is_given = held.kind is RunKind.API
        return is_given and returns.queue_found(connection, _RETURNS, {"chunk": held.chunk_id})


def _fingerprints(
    held: Claim, outcomes: Sequence[Outcome], uncompared: Uncompared | None
) -> list[tuple[int, int]]:
    """Return the fingerprints of files that were read, without photos that get theirs when they are compared.

    Each fingerprint is in another page of a large index: a night would write 1,000 pages more for a chunk.
    """
    later = ImageState.CLASSIFIED if uncompared and held.kind.is_of_intake else None
    return [
        (outcome.image_id, fingerprints.head(outcome.facts.sha256))
        for outcome in outcomes
        if outcome.facts and outcome.state is not later
    ]


def store_shadow(db: Database, shadow: Shadow, predicted: Sequence[tuple[int, Prediction]]) -> None:
    """Write a shadow's (image id, prediction) pairs. A second write of the same pairs changes nothing.

    Nothing stays for an image that was deleted meanwhile: a shadow writes after its chunk is done.
    """
    rows = [_prediction(image_id, shadow.model_version_id, each) for image_id, each in predicted]
    with db.write() as connection:
        bulk.insert(connection, predictions, _PREDICTION, rows)
        ids = [image_id for image_id, _ in predicted]
        deleted = sa.select(images.c.id).where(
            images.c.id.between(min(ids, default=0), max(ids, default=0)), images.c.deleted_at.is_not(None)
        )
        connection.execute(sa.delete(predictions).where(predictions.c.image_id.in_(deleted)))


def moves(db: Database, chunk_id: int) -> list[Move]:
    """Return the files of a chunk that have a result and are still in the intake."""
    # in_intake is filtered in Python: as a condition, it makes PostgreSQL use the index of the whole intake.
    query = (
        sa.select(
            images.c.id,
            images.c.source_path,
            images.c.archived_path,
            IDENTITY,
            images.c.in_intake,
            images.c.state,
        )
        .where(images.c.chunk_id == chunk_id)
        .order_by(images.c.id)
    )
    with db.read() as connection:
        rows = connection.execute(query).all()
    return [
        Move(*row[:4])
        for row in rows
        if row.in_intake and row.state != ImageState.PENDING and row.archived_path is not None
    ]


def finish(
    db: Database,
    held: Claim,
    gone: Sequence[int],
    timings: Mapping[str, float],
    staying: Mapping[int, str] = MappingProxyType({}),
    requests: int = 0,
) -> None:
    """Mark a chunk as done: its files are moved. The files of the images `gone` have disappeared.

    The images `staying` could not be moved, each for a reason that is added to its detail. They stay in the
    intake, so that no later scan takes the same file again. `timings` are seconds by stage, and `requests` is
    how many requests object stores got. Raises LeaseLostError if another process has claimed the chunk.
    """
    with db.write(repeated=True) as connection:
        stored = _require_lease(connection, held)
        if gone:
            connection.execute(
                sa.update(images).where(images.c.id == sa.bindparam("image")).values(archived_path=None),
                [{"image": image_id} for image_id in gone],
            )
        moved = _MOVED
        if staying:
            connection.execute(
                sa.update(images)
                .where(images.c.id == sa.bindparam("image"))
                .values(
                    archived_path=None,
                    detail=sa.func.coalesce(images.c.detail + " ", "")
                    + sa.bindparam("reason", type_=sa.Text),
                ),
                [{"image": image_id, "reason": printable(reason)} for image_id, reason in staying.items()],
            )
            moved = moved.where(images.c.id.not_in(list(staying)))
        connection.execute(moved, {"chunk": held.chunk_id})
        counted = {COLOURED: stored[COLOURED]} if stored and COLOURED in stored else {}
        counted |= {REQUESTS: requests} if requests else {}
        milliseconds = {stage: round(seconds * 1000, 1) for stage, seconds in timings.items()}
        done = {"finished_at": utc_now(), "timings": milliseconds | counted}
        connection.execute(_DONE, {"chunk": held.chunk_id} | done)


def release(db: Database, held: Claim, error: str, *, counts: bool) -> None:
    """Open a claimed chunk again and store the `error` that ended the attempt.

    The attempt `counts` only if the chunk itself may have caused the error.
    """
    with db.write() as connection:
        connection.execute(
            sa.update(chunks)
            .where(chunks.c.id == held.chunk_id, chunks.c.lease_token == held.token)
            .values(attempts=chunks.c.attempts - (0 if counts else 1), error=printable(error), **_OPEN)
        )


def _require_lease(connection: sa.Connection, held: Claim, **values: object) -> Any:
    """Lock a claimed chunk and set `values`; return its timings. Raises LeaseLostError."""
    keys = {"chunk": held.chunk_id, "held": held.token, "lease_token": held.token}
    found = connection.execute(_HELD, keys | values).one_or_none()
    if found is None:
        raise LeaseLostError("Chunk {chunk_id} was claimed by another process.", chunk_id=held.chunk_id)
    return found.timings


_RESULT = (
    *("state", "code", "detail", "sha256", "format", "width", "height", "archived_path"),
    *final_labels.COLUMNS,
    "brightness",
    "id",
)
_PREDICTION = (
    *("image_id", "model_version_id", "label_index", "label", "probability"),
    *("main_label", "main_probability", "top", "decision", "familiarity", "unfamiliar"),
)
_NO_FACTS = (None, None, None, None)


def _result(outcome: Outcome) -> bulk.Row:
    target = outcome.destination
    return (
        outcome.state.value,
        outcome.code.value if outcome.code else None,
        outcome.detail,
        *(outcome.facts or _NO_FACTS),
        escape_path(target) if target else None,
        *final_labels.of_prediction(outcome.prediction),
        outcome.brightness,
        outcome.image_id,
    )


def _prediction(image_id: int, model_version_id: int, prediction: Prediction) -> bulk.Row:
    index, label, probability, main_label, main_probability, top, decision, familiarity, unfamiliar = (
        prediction
    )
    pairs = ", ".join([f"[{each}, {chance}]" for each, chance in top])
    return (
        *(image_id, model_version_id, index, label, probability),
        *(main_label, main_probability, f"[{pairs}]", decision.value, familiarity, unfamiliar),
    )
