"""Jobs that clients request over HTTP: a row first, then a message."""

from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.store import audit
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import OPEN, jobs, runs

#: Condition: the job has a run. With several intakes, each run's request id is the job's id, a hyphen, and a
#: suffix. It is compared as a range, because a LIKE pattern would not use the index.
_HAS_BEGUN = sa.exists().where(
    sa.or_(
        runs.c.request_id == jobs.c.id,
        sa.and_(runs.c.request_id > jobs.c.id + "-", runs.c.request_id < jobs.c.id + "."),
    )
)


def add(db: Database, job_id: str, kind: JobKind, run_id: int | None, who: str) -> tuple[Job, bool]:
    """Add a job; return it and whether it is new. An existing job stays as it is."""
    with db.write() as connection:
        added = connection.execute(
            db.insert(jobs)
            .values(id=job_id, kind=kind, run_id=run_id, who=who, created_at=utc_now())
            .on_conflict_do_nothing(index_elements=[jobs.c.id])
            # RETURNING, because PostgreSQL's driver reports no row count for such a statement.
            .returning(jobs.c.id)
        ).first()
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
        if added is not None:
            _record(connection, who, kind, run_id)
    return _job(row), added is not None


def _record(connection: sa.Connection, who: str, kind: str, run_id: int | None) -> None:
    action = AuditAction.SCAN if kind == JobKind.SCAN else AuditAction.RETRY
    if run_id is not None:
        audit.record(connection, who, action, AuditSubject.RUN, run_id)
    else:
        audit.record(connection, who, action, AuditSubject.INTAKE, "")


def find(db: Database, job_id: str) -> Job | None:
    """Return a job, or None if there is no such job."""
    with db.read() as connection:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
    return _job(row) if row else None


def latest(db: Database, limit: int) -> list[Job]:
    """Return the newest jobs, newest first."""
    with db.read() as connection:
        rows = connection.execute(sa.select(jobs).order_by(jobs.c.created_at.desc()).limit(limit)).all()
    return [_job(row) for row in rows]


def mark_sent(db: Database, job_id: str) -> None:
    """Record that the broker took a job's message."""
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(sent_at=utc_now()))


def cancel(db: Database, job_id: str, by: str) -> bool:
    """Cancel a job that has no run yet; return whether this call cancelled it. `by` is who cancels it."""
    with db.write() as connection:
        cancelled = connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job_id, jobs.c.cancelled_at.is_(None), ~_HAS_BEGUN)
            .values(cancelled_at=utc_now(), is_open=False)
        )
        if cancelled.rowcount:
            audit.record(connection, by, AuditAction.CANCEL, AuditSubject.JOB, job_id)
        return bool(cancelled.rowcount)


def is_cancelled(db: Database, job_id: str) -> bool:
    """Whether a job was cancelled. False for any other request id."""
    query = sa.select(sa.true()).where(jobs.c.id == job_id, jobs.c.cancelled_at.is_not(None))
    with db.read() as connection:
        return connection.execute(query).scalar() is not None


def reopen(db: Database, job: Job, by: str) -> None:
    """Open a cancelled or failed job again; `by` is who asks for it."""
    with db.write() as connection:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id)
            .values(cancelled_at=None, sent_at=None, error=None, is_open=True)
        )
        _record(connection, by, job.kind, job.run_id)


def fail(db: Database, job_id: str, error: str) -> None:
    """Record the error that ended a job."""
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(error=error, is_open=False))


def not_begun(db: Database, seconds: float) -> list[Job]:
    """Return the open jobs without a run that were requested, or last sent, over `seconds` ago.

    Jobs with a run are closed here, because from then on the sweep checks the run itself.
    """
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(OPEN, _HAS_BEGUN).values(is_open=False))
        found = [_job(row) for row in connection.execute(sa.select(jobs).where(OPEN))]
    now, patience = utc_now(), timedelta(seconds=seconds)
    # A moment that far ahead is from a clock that was set back since.
    return [job for job in found if abs(now - (job.sent_at or job.created_at)) > patience]


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    job = Job._make(row)
    return job._replace(kind=JobKind(job.kind))
