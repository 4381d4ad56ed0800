"""Images: what became of each, and how it looks."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from returns_pipeline.records import ImageState
from returns_pipeline.store import browsing
from returns_pipeline.store.browsing import Order
from returns_pipeline.web import thumbnails
from returns_pipeline.web.access import Viewer
from returns_pipeline.web.errors import NotFoundError, RequestError
from returns_pipeline.web.v1.schemas import Image, Images, ImageWithAnswers, Prediction, pack, unpack
from returns_pipeline.web_records import Filter, Shown

router = APIRouter(tags=["images"])

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
        raise RequestError("Only the images of one run are shown by doubt.", "Name it: `run=ID`.")
    wanted = Filter(run, state, label, decision, code, min_probability, max_probability)
    after = unpack(cursor)
    if after is not None and not is_cursor(after, order):
        raise RequestError("This is no cursor of this order.", "Send the `next` of the page before.")
    database = request.app.state.pipeline.db
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
    answers = browsing.answers(request.app.state.pipeline.db, image_id)
    return ImageWithAnswers(**image.model_dump(), predictions=[Prediction(**each) for each in answers])


@router.get(
    "/images/{image_id}/thumbnail",
    summary="How an image looks, small",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}, "description": "A WebP picture."}},
)
def show_thumbnail(
    request: Request, _: Viewer, image_id: int, size: Annotated[int, Query(ge=16, le=1024)] = 160
) -> Response:
    """Return a picture of at most `size` pixels on its longer side."""
    existing(request, image_id)
    pipeline = request.app.state.pipeline
    picture = browsing.picture(pipeline.db, image_id)
    small = thumbnails.of(picture, size, pipeline.settings) if picture else None
    if small is None:
        raise NotFoundError(f"Image {image_id} cannot be shown: its file is gone or is no picture.")
    return Response(small, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})


def existing(request: Request, image_id: int) -> Shown:
    """Return an image. Raises NotFoundError when there is none of this id."""
    found = browsing.find(request.app.state.pipeline.db, image_id) if 0 < image_id < 2**63 else None
    if found is None:
        raise NotFoundError(f"There is no image {image_id}.")
    return found
