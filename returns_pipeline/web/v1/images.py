"""Images: what became of each, and how it looks."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.explanations import Explanation as Explained
from returns_pipeline.records.images import Filter, ImageState, Shown
from returns_pipeline.store import browsing
from returns_pipeline.store.browsing import Order
from returns_pipeline.web.errors import NoAnswerError
from returns_pipeline.web.queries import explanations
from returns_pipeline.web.render import thumbnails
from returns_pipeline.web.render.text import pathless
from returns_pipeline.web.security.access import Viewer
from returns_pipeline.web.v1.schemas import (
    Explanation,
    Image,
    Images,
    ImageWithAnswers,
    Prediction,
    Similar,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from returns_pipeline.web.queries.answers import Asker

router = APIRouter(tags=["images"])

_Size = Annotated[int, Query(ge=16, le=1024)]
_WEBP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}, "description": "A WebP picture."}
}
_Probability = Annotated[float | None, Query(ge=0, le=1)]


@router.get("/images", summary="Images, filtered")
def list_images(
    request: Request,
    _: Viewer,
    run: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    state: ImageState | None = None,
    label: Annotated[str | None, Query(max_length=100)] = None,
    decision: Literal["auto", "review"] | None = None,
    code: Annotated[str | None, Query(max_length=32, description="Why there is no answer.")] = None,
    min_probability: _Probability = None,
    max_probability: _Probability = None,
    order: Annotated[Order, Query(description="id: newest first; doubt: least probable first.")] = Order.ID,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Images:
    """Return a page of images with the answers of their runs' models."""
    if order is Order.DOUBT and run is None:
        raise RefusedError("Only the images of one run are shown by doubt.", "Name it: `run=ID`.")
    wanted = Filter(run, state, label, decision, code, min_probability, max_probability)
    after = unpack(cursor)
    if after is not None and not is_cursor(after, order):
        raise RefusedError("This is no cursor of this order.", "Send the `next` of the page before.")
    database = request.app.state.context.db
    found, following = browsing.page(database, wanted, order, after and tuple(after), limit)
    return Images(images=[Image.of(image) for image in found], next=pack(following))


def is_cursor(value: object, order: Order) -> bool:
    """Whether this is where a page in this order can end."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], int):
        return False
    # As large a number as the tables hold.
    is_id = 0 <= value[1] < 2**63
    return is_id and (_is_chance(value[0]) if order is Order.DOUBT else value[0] is None)


def _is_chance(value: object) -> bool:
    return isinstance(value, float | int) and 0 <= value <= 1


@router.get("/images/{image_id}", summary="One image with the answers of all models")
def show_image(request: Request, _: Viewer, image_id: int) -> ImageWithAnswers:
    """Return one image."""
    image = Image.of(existing(request, image_id))
    answers = browsing.answers(request.app.state.context.db, image_id)
    return ImageWithAnswers(**image.model_dump(), predictions=[Prediction(**each) for each in answers])


@router.get(
    "/images/{image_id}/thumbnail",
    summary="How an image looks, small",
    response_class=Response,
    responses=_WEBP,
)
def show_thumbnail(request: Request, _: Viewer, image_id: int, size: _Size = 160) -> Response:
    """Return a picture of at most `size` pixels on its longer side."""
    existing(request, image_id)
    context = request.app.state.context
    picture = browsing.picture(context.db, image_id)
    return _picture(image_id, thumbnails.of(picture, size, context) if picture else None)


def _picture(image_id: int, webp: bytes | None) -> Response:
    if webp is None:
        raise NotFoundError(
            "Image {image_id} cannot be shown: its file is gone or is no picture.", image_id=image_id
        )
    return Response(webp, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/images/{image_id}/explanation", summary="What the model looked at, and earlier returns like it")
async def explain(request: Request, _: Viewer, image_id: int) -> Explanation:
    """Return why the model of an image's run answers as it does; a worker computes it the first time."""
    found = await _explanation(request, image_id)
    similar = await run_in_threadpool(similar_of, request, found)
    width = found.width
    return Explanation(
        image=image_id,
        heat=[list(found.heat[at : at + width]) for at in range(0, len(found.heat), width)],
        similar=similar,
    )


@router.get(
    "/images/{image_id}/heatmap",
    summary="What the model looked at, over the image",
    response_class=Response,
    responses=_WEBP,
)
async def show_heatmap(request: Request, _: Viewer, image_id: int, size: _Size = 160) -> Response:
    """Return a picture of at most `size` pixels on its longer side."""
    found = await _explanation(request, image_id)
    context = request.app.state.context

    def drawn() -> bytes | None:
        picture = browsing.picture(context.db, image_id)
        return explanations.overlay(picture, found, size, context) if picture else None

    return _picture(image_id, await run_in_threadpool(drawn))


async def _explanation(request: Request, image_id: int) -> Explained:
    image = await run_in_threadpool(existing, request, image_id)
    if image.state != ImageState.CLASSIFIED:
        raise NotFoundError("Image {image_id} has no answer that could be explained.", image_id=image_id)
    asker: Asker = request.app.state.asker
    found = await asker.explanation(image_id)
    if found is None:
        raise NoAnswerError("No worker has told in time what the model looked at.", "Try again later.")
    if found.fault is not None:
        raise NotFoundError(pathless(found.fault))
    return found


def similar_of(request: Request, found: Explained) -> list[Similar]:
    """Return the earlier returns of an explanation as they are shown."""
    return [
        Similar(**Image.of(image).model_dump(), similarity=similarity)
        for image_id, similarity in found.similar
        if (image := browsing.find(request.app.state.context.db, image_id))
    ]


def existing(request: Request, image_id: int) -> Shown:
    """Return an image. Raises NotFoundError when there is none of this id."""
    found = browsing.find(request.app.state.context.db, image_id) if 0 < image_id < 2**63 else None
    if found is None:
        raise NotFoundError("There is no image {image_id}.", image_id=image_id)
    return found
