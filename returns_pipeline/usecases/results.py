"""The results of a run with their final labels."""

from collections.abc import Iterator

from returns_pipeline.records.images import ImageState
from returns_pipeline.records.results import Result
from returns_pipeline.store import images, reviews
from returns_pipeline.store.database import Database


def results(db: Database, run_id: int, state: ImageState | None = None) -> Iterator[Result]:
    """Yield the images of a run in the order of their chunks, with predictions and reviews.

    Images are read chunk by chunk; only the labels of reviewed images are held in memory. Reviews that are
    made while this runs may be missing.
    """
    reviewed = reviews.labels_of_run(db, run_id)
    for image in images.results(db, run_id, state):
        reviewed_label, reviewer = reviewed.get(image.id, (None, None))
        yield Result(
            id=image.id,
            path=image.path,
            state=ImageState(image.state),
            code=image.code,
            detail=image.detail,
            archived_path=image.archived_path,
            label=image.label,
            probability=image.probability,
            main_category=image.main_label,
            decision=image.decision,
            reviewed_label=reviewed_label,
            reviewer=reviewer,
        )
