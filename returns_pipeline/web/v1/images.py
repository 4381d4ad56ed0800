"""Images: their predictions, thumbnails and explanations."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.text import pathless
from returns_pipeline.store import browsing, image_history
from returns_pipeline.store.browsing import Order
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Db, ImageId, Pipeline, Viewer, Workers
from returns_pipeline.web.errors import NoReplyError
from returns_pipeline.web.queries.cursors import image_cursor, pack
from returns_pipeline.web.queries.explanations import overlay, similar_images
from returns_pipeline.web.queries.lookups import RUN_ID_END, image_by_id
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.render import thumbnails
from returns_pipeline.web.v1.schemas import (
    History,
    HistoryEvent,
    Image,
    ImageExplanation,
    Images,
    ImageWithPredictions,
    ModelPrediction,
    SimilarImage,
)

router = APIRouter(tags=["images"])

_Size = Annotated[int, Query(ge=16, le=1024)]
_WEBP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}, "description": "A WebP picture."}
}
_Probability = Annotated[float | None, Query(ge=0, le=1)]


@router.get("/images", summary="Images, filtered")
def list_images(
    db: Db,
    _: Viewer,
    run: Annotated[int | None, Query(ge=1, lt=RUN_ID_END)] = None,
    state: Literal["pending", "classified", "quarantined", "failed"] | None = None,
    label: Annotated[str | None, Query(max_length=100, description="The final label.")] = None,
    predicted: Annotated[str | None, Query(max_length=100, description="The model's label.")] = None,
    decision: Literal["auto", "review"] | None = None,
    code: Annotated[str | None, Query(max_length=32, description="Why there is no prediction.")] = None,
    min_probability: _Probability = None,
    max_probability: _Probability = None,
    order: Annotated[Order, Query(description="id: newest first; doubt: least probable first.")] = Order.ID,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Images:
    """Return a page of images with the predictions of their runs' models."""
    if order is Order.DOUBT and run is None:
        raise RefusedError("Only the images of one run can be ordered by doubt.", "Name the run: `run=ID`.")
    wanted = Filter(
        run_id=run,
        state=ImageState(state) if state else None,
        label=label,
        predicted=predicted,
        decision=decision,
        code=code,
        least=min_probability,
        most=max_probability,
    )
    found, following = browsing.page(db, wanted, order, image_cursor(cursor, order), limit)
    return Images(images=[Image.of(image) for image in found], next=pack(following))


@router.get("/images/{image_id}", summary="One image with the predictions of all models")
def show_image(db: Db, _: Viewer, image_id: ImageId) -> ImageWithPredictions:
    """Return one image."""
    image = Image.of(image_by_id(db, image_id))
    predictions = [ModelPrediction.of(each) for each in browsing.all_predictions(db, image_id)]
    return ImageWithPredictions(**image.model_dump(), predictions=predictions)


@router.get("/images/{image_id}/history", summary="What happened to an image")
def show_history(db: Db, _: Viewer, image_id: ImageId) -> History:
    """Return when an image came in, its predictions, every review and undo, oldest first."""
    image_by_id(db, image_id)
    return History(events=[HistoryEvent(**event._asdict()) for event in image_history.history(db, image_id)])


@router.get(
    "/images/{image_id}/thumbnail",
    summary="A small picture of an image",
    response_class=Response,
    responses=_WEBP,
)
def show_thumbnail(context: Pipeline, _: Viewer, image_id: ImageId, size: _Size = 160) -> Response:
    """Return a picture of at most `size` pixels on its longer side."""
    image_by_id(context.db, image_id)
    picture = browsing.picture(context.db, image_id)
    return _picture(image_id, thumbnails.of(picture, size, context) if picture else None)


def _picture(image_id: int, webp: bytes | None) -> Response:
    if webp is None:
        raise NotFoundError(
            "Image {image} cannot be shown: its file is gone or cannot be decoded.", image=image_id
        )
    return Response(webp, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/images/{image_id}/explanation", summary="What the model looked at, and similar earlier returns")
async def explain(db: Db, workers: Workers, _: Viewer, image_id: ImageId) -> ImageExplanation:
    """Return what the model looked at in an image. A worker computes it at the first request."""
    found = await _explanation(db, workers, image_id)
    similar = await run_in_threadpool(similar_images, db, found)
    width = found.width
    return ImageExplanation(
        image=image_id,
        heat=[list(found.heat[at : at + width]) for at in range(0, len(found.heat), width)],
        similar=[SimilarImage.of_pair(image, similarity) for image, similarity in similar],
    )


@router.get(
    "/images/{image_id}/heatmap",
    summary="What the model looked at, drawn over the image",
    response_class=Response,
    responses=_WEBP,
)
async def show_heatmap(
    context: Pipeline, workers: Workers, _: Viewer, image_id: ImageId, size: _Size = 160
) -> Response:
    """Return a picture of at most `size` pixels on its longer side."""
    found = await _explanation(context.db, workers, image_id)

    def draw() -> bytes | None:
        picture = browsing.picture(context.db, image_id)
        return overlay(picture, found, size, context) if picture else None

    return _picture(image_id, await run_in_threadpool(draw))


async def _explanation(db: Database, workers: WorkerClient, image_id: int) -> Explanation:
    image = await run_in_threadpool(image_by_id, db, image_id)
    if image.state != ImageState.CLASSIFIED:
        raise NotFoundError("Image {image} has no prediction to explain.", image=image_id)
    found = await workers.explain(image_id)
    if found is None:
        raise NoReplyError("No worker has explained this image in time.", "Try again later.")
    if found.fault is not None:
        raise NotFoundError("{reason}", reason=pathless(found.fault))
    return found
