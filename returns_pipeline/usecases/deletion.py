"""Deletes an image and everything that came from it. What a killed process leaves, the sweep finishes.

`store.deletion` empties the rows in one transaction; then the pictures and the files are removed.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from returns_pipeline.errors import PipelineError
from returns_pipeline.photos import kept_pictures
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.removal import Deleted, OpenRemoval, StoredFile
from returns_pipeline.settings import Settings
from returns_pipeline.store import deletion
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.search import roots_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: The pause after a failed attempt grows from a minute to an hour.
_FIRST_PAUSE, _LONGEST_PAUSE = 50.0, 3600.0
#: Files that one call removes. The sweep makes further calls.
_AT_ONCE = 500


def delete(
    settings: Settings, db: Database, image_id: int, who: str, photos: PhotoSource | None = None
) -> Deleted:
    """Delete an image, those of the same file, and everything that came from them.

    Raises NotFoundError for an unknown image, GoneError for one that is deleted already, ConflictError while
    it is being classified or the report of its run is written. A file that cannot be removed now is removed
    by the sweep.
    """
    ids = deletion.begin(db, image_id, who, roots_of(settings))
    log.info("image_deleted", image=image_id, images=len(ids), who=who)
    return Deleted(tuple(ids), remove_files(settings, db, photos or Sources(), ids))


def remove_files(
    settings: Settings,
    db: Database,
    photos: PhotoSource,
    image_ids: Sequence[int] | None = None,
    now: datetime | None = None,
) -> int:
    """Remove the pictures and files of deleted images: of these, or of all whose time has come.

    Returns how many files are left. May run twice, and at the same time in another process.
    """
    found = deletion.open_removals(db, image_ids)
    if image_ids is None and not found:
        return 0
    due = [each for each in found if image_ids is not None or _is_due(each, now or utc_now())][:_AT_ONCE]
    ids = [each.file.image_id for each in due] if image_ids is None else image_ids
    kept_pictures.remove(settings.home / kept_pictures.FOLDER, ids)
    results = photos.remove_originals([each.file for each in due])
    left = len(found)
    for each in due:
        result = results[each.file.image_id]
        if isinstance(result, PipelineError):
            log.warning("deleted_file_stays", image=each.file.image_id, reason=str(result))
            deletion.failed(db, each.file.image_id, str(result))
        else:
            deletion.finish(db, each.file.image_id)
            left -= 1
    for file in _of_chunks(due):
        photos.remove_empty([file.path.rpartition("/")[0]], file.root)
    return left


def _is_due(each: OpenRemoval, now: datetime) -> bool:
    pause = min(_FIRST_PAUSE * 2 ** min(each.attempts - 1, 10), _LONGEST_PAUSE)
    return each.tried_at is None or abs((now - each.tried_at).total_seconds()) > pause


def _of_chunks(due: Sequence[OpenRemoval]) -> list[StoredFile]:
    """Return the files in folders of chunks, which this program has made. Folders of an intake stay."""
    return [each.file for each in due if each.file.path.count("/") - each.file.root.count("/") == 3]
