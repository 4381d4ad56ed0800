"""Images: their predictions, thumbnails and explanations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import GoneError, NotFoundError, RefusedError
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.search import Place
from returns_pipeline.records.text import pathless
from returns_pipeline.store import browsing, image_history
from returns_pipeline.store.browsing import Order
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import deletion, image_lists, search
from returns_pipeline.usecases.image_lists import ImageQuery
from returns_pipeline.web.dependencies import Admin, Db, ImageId, Pipeline, Viewer, Web, Workers
from returns_pipeline.web.errors import NoReplyError
from returns_pipeline.web.queries.cursors import image_cursor, pack
from returns_pipeline.web.queries.explanations import similar_images
from returns_pipeline.web.queries.filters import FilterInAddress
from returns_pipeline.web.queries.lookups import RUN_ID_END, image_by_id
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.render.orders import Heat
from returns_pipeline.web.render.pictures import Wanted
from returns_pipeline.web.v1.schemas import (
    DeletedImages,
    History,
    HistoryEvent,
    Image,
    ImageExplanation,
    Images,
    ImageTotal,
    ImageWithPredictions,
    ModelPrediction,
    SimilarImage,
)
from returns_pipeline.web.v1.thumbnails import WEBP, Size, picture_reply

router = APIRouter(tags=["images"])


_Run = Annotated[int | None, Query(ge=1, lt=RUN_ID_END)]
_Text = Annotated[
    str,
    Query(
        max_length=search.MOST_CHARACTERS,
        description="As in the search box: part of a file name or folder, photo number, category, run, "
        "date, reviewer, state.",
    ),
]


@router.get("/images", summary="Images, filtered")
def list_images(
    context: Pipeline,
    _: Viewer,
    sent: FilterInAddress,
    q: _Text = "",
    run: _Run = None,
    order: Annotated[
        Literal["id", "oldest", "doubt", "sure"],
        Query(description="id: newest first; doubt: least probable first; sure: most probable first."),
    ] = "id",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Images:
    """Return a page of images with the predictions of their runs' models."""
    by, wanted = Order(order), sent.filter(run)
    if not by.is_of_ids and run is None:
        raise RefusedError("Only the images of one run can be ordered by doubt.", "Name the run: `run=ID`.")
    after = image_cursor(cursor, by)
    if not q.strip():
        found, following = browsing.page(context.db, wanted, by, after, limit)
        return Images(images=[Image.of(image) for image in found], next=pack(following))
    if not by.is_of_ids:
        raise RefusedError("A search cannot be ordered by doubt.", "Leave out `q` or `order`.")
    _meaning, page = search.find_images(
        context.db,
        context.settings,
        q,
        limit,
        also=wanted,
        oldest_first=by is Order.OLDEST,
        place=Place(after[1]) if after else None,
    )
    return Images(
        images=[Image.of(image) for image in page.images],
        next=pack((None, page.next.after)) if page.next else None,
        total=page.total,
        total_is_exact=not page.has_more,
    )


@router.get("/images/count", summary="How many images there are, filtered")
def count_images(
    context: Pipeline, _: Viewer, sent: FilterInAddress, q: _Text = "", run: _Run = None
) -> ImageTotal:
    """Count images up to 10,000. Rare words in millions of names can take a second."""
    query = ImageQuery(q, sent.filter(run))
    total, has_more = image_lists.count(context.db, context.settings, query)
    return ImageTotal(total=total, total_is_exact=not has_more)


@router.get("/images/{image_id}", summary="One image with the predictions of all models")
def show_image(db: Db, _: Viewer, image_id: ImageId) -> ImageWithPredictions:
    """Return one image."""
    image = Image.of(image_by_id(db, image_id))
    predictions = [ModelPrediction.of(each) for each in browsing.all_predictions(db, image_id)]
    return ImageWithPredictions(**image.model_dump(), predictions=predictions)


@router.delete("/images/{image_id}", summary="Delete an image and everything that came from it")
async def delete_image(context: Pipeline, admin: Admin, image_id: ImageId) -> DeletedImages:
    """Delete an image for ever: file, pictures, name, prediction, labels. Images of the same file go with it.

    A row without name and content stays, so that the counts of its run stand. Afterwards the image is 410.
    """
    done = await run_in_threadpool(
        deletion.delete, context.settings, context.db, image_id, admin.name, context.photos
    )
    return DeletedImages(images=list(done.images), files_left=done.files_left)


@router.get("/images/{image_id}/history", summary="What happened to an image")
def show_history(db: Db, _: Viewer, image_id: ImageId) -> History:
    """Return when an image came in, its predictions, every review and undo, oldest first."""
    image_by_id(db, image_id)
    return History(events=[HistoryEvent(**event._asdict()) for event in image_history.history(db, image_id)])


@router.get(
    "/images/{image_id}/thumbnail",
    summary="A small picture of an image",
    response_class=Response,
    responses=WEBP,
)
async def show_thumbnail(
    request: Request, web: Web, _: Viewer, image_id: ImageId, size: Size = 160
) -> Response:
    """Return a picture of at most `size` pixels on its longer side.

    An image that cannot be shown has a grey picture in its place, with the header `X-Placeholder: 1`.
    """

    def find() -> Wanted:
        image_by_id(web.context.db, image_id)
        return web.pictures.wanted(browsing.picture(web.context.db, image_id), size)

    return await picture_reply(request, web.pictures, await run_in_threadpool(find), size)


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
    responses=WEBP,
)
async def show_heatmap(
    request: Request, web: Web, _: Viewer, image_id: ImageId, size: Size = 160
) -> Response:
    """Return a picture of at most `size` pixels on its longer side; a grey one as for a thumbnail."""
    found = await _explanation(web.context.db, web.workers, image_id)
    heat = Heat(found.width, found.height, found.heat)

    def find() -> Wanted:
        return web.pictures.wanted(browsing.picture(web.context.db, image_id), size, heat)

    return await picture_reply(request, web.pictures, await run_in_threadpool(find), size)


async def _explanation(db: Database, workers: WorkerClient, image_id: int) -> Explanation:
    image = await run_in_threadpool(image_by_id, db, image_id)
    if image.state != ImageState.CLASSIFIED:
        raise NotFoundError("Image {image} has no prediction to explain.", image=image_id)
    if not image.has_photo:
        raise GoneError("The photo of image {image} is not kept any more.", image=image_id)
    found = await workers.explain(image_id)
    if found is None:
        raise NoReplyError("No worker has explained this image in time.", "Try again later.")
    if found.fault is not None:
        raise NotFoundError("{reason}", reason=pathless(found.fault))
    return found
