"""The bounds of ids, and the lookup of an image."""

from returns_pipeline.errors import NotFoundError, RowsRemovedError
from returns_pipeline.records.images import ImageResult
from returns_pipeline.store import browsing, old_runs
from returns_pipeline.store.database import Database
from returns_pipeline.store.deletion import already_deleted

#: Ids are below these bounds, which are those of the database columns.
RUN_ID_END, IMAGE_ID_END = 2**31, 2**63


def image_by_id(db: Database, image_id: int) -> ImageResult:
    """Return an image with the prediction of its run's model. Raises NotFoundError for an unknown id.

    Raises RowsRemovedError if its row was removed with those of its run, and GoneError for a deleted image.
    """
    found = browsing.find(db, image_id)
    if found is None:
        runs = old_runs.runs_of_removed(db, image_id)
        if runs:
            fault = RowsRemovedError(
                "The rows of old photos were removed, and image {image} was probably one of them.",
                "The numbers and the report of its run stay.",
                image=image_id,
            )
            fault.runs = runs
            raise fault
        raise NotFoundError("There is no image {image}.", image=image_id)
    if found.deleted_at is not None:
        raise already_deleted(image_id, found.deleted_at, found.deleted_by)
    return found
