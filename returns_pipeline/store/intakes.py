"""What earlier scans of an intake found, so that an unmounted share is noticed."""

from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.runs import OF_INTAKE, RunState
from returns_pipeline.store.database import Database
from returns_pipeline.store.nights import is_recent
from returns_pipeline.store.tables import chunks, runs


class IntakeHistory(NamedTuple):
    """The newest scan of an intake, and the newest one before it that found a photo.

    `is_empty`: the newest one found none. `file_system` is where the intake was then, `photos_file_system`
    where it was when photos were found; empty if unknown. `had_photos`: a scan has found a photo.
    """

    is_empty: bool
    file_system: str
    had_photos: bool
    photos_file_system: str


def history(db: Database, intake: Path) -> IntakeHistory | None:
    """Return what recent scans found in an intake, a resolved path; None before the first scan has ended."""
    # Runs of releases that did not write the intake may have scanned it, unless they name another folder.
    unnamed = sa.and_(
        runs.c.intake.is_(None), sa.or_(runs.c.directory.is_(None), runs.c.directory == str(intake))
    )
    is_here = sa.and_(is_recent(), runs.c.kind.in_(OF_INTAKE), sa.or_(runs.c.intake == str(intake), unnamed))
    # An open run has not counted its photos yet.
    has_photos = sa.or_(runs.c.seen > 0, runs.c.still_changing > 0, runs.c.state != RunState.CLOSED)
    columns = runs.c.id, runs.c.seen, runs.c.still_changing, runs.c.file_system
    ended = sa.select(*columns).where(is_here, runs.c.state != RunState.SCANNING)
    with db.read() as connection:
        last = connection.execute(ended.order_by(runs.c.id.desc()).limit(1)).one_or_none()
        if last is None:
            return None
        chunk = sa.select(chunks.c.id).where(chunks.c.run_id == last.id).limit(1)
        has_now = last.seen or last.still_changing or connection.execute(chunk).scalar()
        earlier = sa.select(*columns).where(is_here, has_photos, runs.c.id < last.id)
        before = connection.execute(earlier.order_by(runs.c.id.desc()).limit(1)).one_or_none()
    return IntakeHistory(
        is_empty=not has_now,
        file_system=last.file_system or "",
        had_photos=bool(has_now) or before is not None,
        photos_file_system=(before.file_system or "") if before else "",
    )
