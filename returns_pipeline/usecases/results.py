"""The results of a run with their final labels."""

from collections.abc import Iterator

from returns_pipeline.records.images import ImageState, LabelSource
from returns_pipeline.records.results import Result
from returns_pipeline.store import images
from returns_pipeline.store.database import Database


def results(db: Database, run_id: int, state: ImageState | None = None) -> Iterator[Result]:
    """Yield the images of a run in the order of their chunks, with predictions and reviews.

    Images are read chunk by chunk, so memory stays flat. Reviews made meanwhile may be missing.
    """
    for image in images.results(db, run_id, state):
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
            final_label=image.final_label,
            final_source=LabelSource(image.final_source) if image.final_source else None,
            review_outcome=image.review_outcome,
            reviewed_label=image.reviewed_label,
            reviewer=image.reviewer,
            reviewed_at=image.reviewed_at,
            received_at=image.received_at,
            familiarity=image.familiarity,
        )
