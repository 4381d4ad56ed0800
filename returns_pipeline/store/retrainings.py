"""Retrainings: asked for, held by a lease, finished together with their notice."""

import uuid
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, NotFoundError, PipelineError
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.notices import Notice
from returns_pipeline.records.retraining import (
    OPEN_STATES,
    HeldRetraining,
    Judgement,
    Retraining,
    RetrainingState,
    RetrainingStep,
)
from returns_pipeline.store import audit, outbox
from returns_pipeline.store.clocks import has_ended, is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import IS_OPEN, images, model_versions, retrainings, review_changes, runs

_row = retrainings.c
_FREE = {"lease_token": None, "lease_until": None}
_FIELDS = tuple(_row[name] for name in Retraining._fields)


class RetrainingLostError(PipelineError):
    """Another process has claimed the retraining meanwhile; this process stops."""


def add(db: Database, base: ModelRef, who: str, data: str | None) -> int:
    """Add a retraining of the version that is active; return its id.

    Raises ConflictError if one of this name is open.
    """
    with db.write(lasting=True) as connection:
        added = connection.execute(
            db.insert(retrainings)
            .values(
                uid=uuid.uuid4().hex,
                name=base.name,
                base=base.version,
                data=data,
                who=who,
                requested_at=utc_now(),
                sent_at=utc_now(),
            )
            .on_conflict_do_nothing(index_elements=[_row.name], index_where=IS_OPEN)
            .returning(_row.id)
        ).scalar()
        if added is None:
            raise ConflictError(
                "{name} is being retrained already.",
                "`returns-pipeline models proposals` shows how far it is.",
                name=base.name,
            )
        audit.record(connection, who, AuditAction.RETRAIN, AuditSubject.MODEL, str(base))
    return int(added)


def find(db: Database, retraining_id: int) -> Retraining | None:
    """Return one retraining, or None if there is no such one."""
    return next(iter(_rows(db, sa.select(*_FIELDS).where(_row.id == retraining_id))), None)


def require(db: Database, retraining_id: int) -> Retraining:
    """Return one retraining. Raises NotFoundError for an unknown id."""
    found = find(db, retraining_id)
    if found is None:
        raise NotFoundError("There is no retraining {retraining}.", retraining=retraining_id)
    return found


def newest(db: Database) -> list[Retraining]:
    """Return the newest retraining of each name, by name."""
    last = sa.select(sa.func.max(_row.id)).group_by(_row.name)
    return _rows(db, sa.select(*_FIELDS).where(_row.id.in_(last)).order_by(_row.name))


def newest_of(db: Database, name: str) -> Retraining | None:
    """Return the newest retraining of a name, or None if there was none."""
    query = sa.select(*_FIELDS).where(_row.name == name).order_by(_row.id.desc()).limit(1)
    return next(iter(_rows(db, query)), None)


def known_changes(db: Database, name: str) -> int:
    """Return the newest review that a finished retraining of this name knows; 0 before the first."""
    query = sa.select(sa.func.max(_row.last_change)).where(_row.name == name, _row.version.is_not(None))
    with db.read() as connection:
        return int(connection.execute(query).scalar() or 0)


def new_labels(db: Database, name: str, after: int) -> int:
    """Return how many images of a model have a label by a person that is newer than the review `after`."""
    query = (
        sa.select(sa.func.count())
        .select_from(
            images.join(review_changes, review_changes.c.id == images.c.review_id)
            .join(runs, runs.c.id == images.c.run_id)
            .join(model_versions, model_versions.c.id == runs.c.model_version_id)
        )
        .where(images.c.review_id > after, review_changes.c.label.is_not(None), model_versions.c.name == name)
    )
    with db.read() as connection:
        return int(connection.execute(query).scalar_one())


def newest_change(db: Database) -> int:
    """Return the id of the newest review; 0 without one."""
    with db.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(review_changes.c.id))).scalar() or 0)


def claim(
    db: Database, retraining_id: int, seconds: float, token: str | None = None
) -> HeldRetraining | None:
    """Hold a retraining for some seconds; None if it is finished or another process holds it.

    `token` names the holder, by default a new one.
    """
    now, token = utc_now(), token or uuid.uuid4().hex
    is_free = sa.or_(_row.lease_until.is_(None), has_ended(_row.lease_until, now, seconds))
    with db.write(lasting=True) as connection:
        done = connection.execute(
            sa.update(retrainings)
            .where(_row.id == retraining_id, _row.state.in_(OPEN_STATES), is_free)
            .values(
                state=RetrainingState.RUNNING,
                attempts=_row.attempts + 1,
                started_at=sa.func.coalesce(_row.started_at, now),
                lease_token=token,
                lease_until=now + timedelta(seconds=seconds),
            )
        )
    return HeldRetraining(retraining_id, token) if done.rowcount else None


def renew(db: Database, held: HeldRetraining, seconds: float) -> None:
    """Extend the lease. Raises RetrainingLostError if another process has the retraining."""
    change(db, held, lease_until=utc_now() + timedelta(seconds=seconds))


def change(db: Database, held: HeldRetraining, **values: Any) -> None:
    """Set columns. Raises RetrainingLostError if another process has the retraining."""
    with db.write() as connection:
        _require_held(connection, held, values)


def release(db: Database, held: HeldRetraining, *, counts: bool) -> None:
    """Give a retraining back; the attempt `counts` if the retraining itself may be at fault."""
    attempts = _row.attempts if counts else _row.attempts - 1
    with db.write() as connection:
        connection.execute(
            sa.update(retrainings)
            .where(*_is_held(held))
            .values(**_FREE, attempts=attempts, sent_at=utc_now())
        )


def is_free(db: Database, retraining_id: int, seconds: float) -> bool:
    """Whether a retraining is open and no process holds it."""
    ended = sa.or_(_row.lease_until.is_(None), has_ended(_row.lease_until, utc_now(), seconds))
    query = sa.select(_row.id).where(_row.id == retraining_id, IS_OPEN, ended)
    with db.read() as connection:
        return connection.execute(query).first() is not None


def finish(
    db: Database,
    held: HeldRetraining,
    state: RetrainingState,
    notice: Notice,
    *,
    judgement: Judgement | None = None,
    fault: str | None = None,
) -> None:
    """End a retraining, and tell of it. Raises RetrainingLostError if another process has it."""
    values = {
        **_FREE,
        "state": state,
        "step": None,
        "finished_at": utc_now(),
        "judgement": judgement._asdict() if judgement else None,
        "fault": fault,
    }
    with db.write(lasting=True) as connection:
        _require_held(connection, held, values)
        outbox.add(connection, [notice])


def to_send_again(db: Database, lease_seconds: float, seconds: float) -> list[int]:
    """Return open retrainings that no process holds and whose message is old, and mark them sent."""
    now = utc_now()
    is_free = sa.or_(_row.lease_until.is_(None), has_ended(_row.lease_until, now, lease_seconds))
    found = sa.and_(IS_OPEN, is_free, is_past(_row.sent_at, now, seconds))
    with db.read() as connection:
        if connection.execute(sa.select(_row.id).where(found).limit(1)).first() is None:
            return []
    with db.write() as connection:
        return list(
            connection.scalars(sa.update(retrainings).where(found).values(sent_at=now).returning(_row.id))
        )


def _is_held(held: HeldRetraining) -> tuple[sa.ColumnElement[bool], ...]:
    return _row.id == held.id, _row.lease_token == held.token


def _require_held(connection: sa.Connection, held: HeldRetraining, values: dict[str, Any]) -> None:
    if not connection.execute(sa.update(retrainings).where(*_is_held(held)).values(values)).rowcount:
        raise RetrainingLostError("Another process has claimed this retraining.")


def _rows(db: Database, query: sa.Select[Any]) -> list[Retraining]:
    with db.read() as connection:
        return [_retraining(row) for row in connection.execute(query)]


def _retraining(row: Any) -> Retraining:
    return Retraining._make(row)._replace(
        state=RetrainingState(row.state),
        step=None if row.step is None else RetrainingStep(row.step),
        judgement=Judgement(**row.judgement) if row.judgement else None,
    )
