"""What was asked for over HTTP and takes long: a row first, then a message."""

from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.records.jobs import Job, JobKind
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import OPEN, jobs, runs

#: Of several intakes each has a run, whose request's id is the job's with something after a hyphen. A range,
#: not a pattern: that uses the index.
_HAS_BEGUN = sa.exists().where(
    sa.or_(
        runs.c.request_id == jobs.c.id,
        sa.and_(runs.c.request_id > jobs.c.id + "-", runs.c.request_id < jobs.c.id + "."),
    )
)


def add(db: Database, job_id: str, kind: JobKind, run_id: int | None, who: str) -> tuple[Job, bool]:
    """Add a job; return it and whether it is new. One that is there already stays as it is."""
    with db.write() as connection:
        added = connection.execute(
            db.insert(jobs)
            .values(id=job_id, kind=kind, run_id=run_id, who=who, created_at=utc_now())
            .on_conflict_do_nothing(index_elements=[jobs.c.id])
            # PostgreSQL's driver counts no rows of such a statement.
            .returning(jobs.c.id)
        ).first()
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
    return _job(row), added is not None


def find(db: Database, job_id: str) -> Job | None:
    """Return a job; None when there is none of this id."""
    with db.read() as connection:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
    return _job(row) if row else None


def latest(db: Database, limit: int) -> list[Job]:
    """Return the newest jobs, newest first."""
    with db.read() as connection:
        rows = connection.execute(sa.select(jobs).order_by(jobs.c.created_at.desc()).limit(limit)).all()
    return [_job(row) for row in rows]


def mark_sent(db: Database, job_id: str) -> None:
    """Remember that the broker has taken a job's message."""
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(sent_at=utc_now()))


def cancel(db: Database, job_id: str) -> bool:
    """Cancel a job that no run has begun for; return whether it is cancelled now."""
    with db.write() as connection:
        cancelled = connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job_id, jobs.c.cancelled_at.is_(None), ~_HAS_BEGUN)
            .values(cancelled_at=utc_now(), is_open=False)
        )
        return bool(cancelled.rowcount)


def is_cancelled(db: Database, job_id: str) -> bool:
    """Whether a request was a job that has been cancelled."""
    query = sa.select(sa.true()).where(jobs.c.id == job_id, jobs.c.cancelled_at.is_not(None))
    with db.read() as connection:
        return connection.execute(query).scalar() is not None


def reopen(db: Database, job_id: str) -> None:
    """Let a job be done that was cancelled or has failed."""
    with db.write() as connection:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job_id)
            .values(cancelled_at=None, sent_at=None, error=None, is_open=True)
        )


def fail(db: Database, job_id: str, error: str) -> None:
    """Remember what ended a job."""
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(error=error, is_open=False))


def not_begun(db: Database, seconds: float) -> list[Job]:
    """Return the open jobs that no run has begun for, and that were asked for or sent over `seconds` ago.

    Those that a run has begun for are closed: the sweep looks after the run.
    """
    with db.write() as connection:
        connection.execute(sa.update(jobs).where(OPEN, _HAS_BEGUN).values(is_open=False))
        found = [_job(row) for row in connection.execute(sa.select(jobs).where(OPEN))]
    before = utc_now() - timedelta(seconds=seconds)
    return [job for job in found if (job.sent_at or job.created_at) < before]


def _job(row: sa.Row[tuple[object, ...]]) -> Job:
    job = Job._make(row)
    return job._replace(kind=JobKind(job.kind))
