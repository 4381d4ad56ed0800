"""One image: its values, the predictions of every model, and what the model looked at."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.images import ImageResult, ImageState
from returns_pipeline.records.text import file_name
from returns_pipeline.report.columns import Output, texts
from returns_pipeline.store import browsing
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.web.dependencies import ImageId, Web
from returns_pipeline.web.pages.page import Person, explanation, show
from returns_pipeline.web.queries.lookups import image_by_id
from returns_pipeline.web.resources import Resources

router = APIRouter()

_BEST = 5


@router.get("/images/{image_id}")
async def show_image(
    request: Request, web: Web, _: Person, image_id: ImageId, why: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """Show one image; with `why` also what the model of its run looked at."""
    db = web.context.db
    image = await run_in_threadpool(image_by_id, db, image_id)
    wanted = why and image.state == ImageState.CLASSIFIED
    explained = await explanation(web.workers, db, image_id) if wanted else None
    return await run_in_threadpool(_page, request, web, image, explained)


def _page(
    request: Request, web: Resources, image: ImageResult, explained: dict[str, Any] | None
) -> HTMLResponse:
    predictions = [
        (str(found.model), _best(web.bundle_of, str(found.model), found.top[:_BEST]))
        for found in browsing.all_predictions(web.context.db, image.id)
    ]
    return show(
        request,
        "image.html",
        image=image,
        name=file_name(image.path),
        facts=_facts(image),
        predictions=predictions,
        why=explained,
    )


def _facts(image: ImageResult) -> list[tuple[str, str]]:
    """Return the values of an image; the main category only where it differs from the category."""
    if image.main_label == image.label:
        image = image._replace(main_label=None, main_probability=None)
    return [(heading, text) for heading, text in texts(Output.PAGE, image) if text]


def _best(bundle_of: BundleLookup, model: str, top: Any) -> list[tuple[str, float]]:
    """Return (label, probability) pairs; the index as label if the bundle was deleted."""
    try:
        labels = dict(enumerate(bundle_of(model).labels))
    except PipelineError:
        labels = {}
    return [(labels.get(index, str(index)), probability) for index, probability in top]
