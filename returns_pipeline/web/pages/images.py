"""One image: its values, the predictions of every model, and what the model looked at."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import PipelineError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import ImageResult, ImageState
from returns_pipeline.records.text import file_name
from returns_pipeline.report.columns import Output, shown
from returns_pipeline.store import browsing, image_history
from returns_pipeline.usecases import reviews
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.web.dependencies import ImageId, Web
from returns_pipeline.web.pages.page import Person, explanation, form_of, redirect, show
from returns_pipeline.web.pages.sent_review import SentReview
from returns_pipeline.web.queries.lookups import image_by_id
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal

router = APIRouter()

_BEST = 5


@router.get("/images/{image_id}")
async def show_image(
    request: Request, web: Web, person: Person, image_id: ImageId, why: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """Show one image; with `why` also what the model of its run looked at."""
    db = web.context.db
    image = await run_in_threadpool(image_by_id, db, image_id)
    wanted = why and image.state == ImageState.CLASSIFIED
    explained = await explanation(web.workers, db, image_id) if wanted else None
    return await run_in_threadpool(_page, request, web, person, image, explained)


@router.post("/images/{image_id}", response_model=None)
async def review(request: Request, web: Web, person: Person, image_id: ImageId) -> Response:
    """Store what a person says of the image; then show it."""
    sent = SentReview.of(await form_of(request, person, Role.REVIEWER))._replace(image_id=image_id)
    try:
        await run_in_threadpool(sent.apply, web, person.name)
    except RefusedError as fault:
        image = await run_in_threadpool(image_by_id, web.context.db, image_id)
        return await run_in_threadpool(_page, request, web, person, image, None, fault.message)
    return redirect(request, f"/images/{image_id}")


def _page(
    request: Request,
    web: Resources,
    person: Principal,
    image: ImageResult,
    explained: dict[str, Any] | None,
    fault: str = "",
) -> HTMLResponse:
    db = web.context.db
    predictions = [
        (str(found.model), _best(web.bundle_of, str(found.model), found.top[:_BEST]))
        for found in browsing.all_predictions(db, image.id)
    ]
    return show(
        request,
        "image.html",
        409 if fault else 200,
        fault=fault,
        task=reviews.task(db, web.bundle_of, image.id),
        outcomes=reviews.outcomes_without_label(web.context.settings.review_outcomes),
        can_review=person.role.rank >= Role.REVIEWER.rank,
        history=image_history.history(db, image.id),
        image=image,
        name=file_name(image.path),
        facts=_facts(image),
        predictions=predictions,
        why=explained,
    )


def _facts(image: ImageResult) -> list[tuple[str, str | datetime]]:
    """Return the values of an image; the main category only where it differs from the category."""
    if image.main_label == image.label:
        image = image._replace(main_label=None, main_probability=None)
    return [(heading, text) for heading, text in shown(Output.PAGE, image) if text]


def _best(bundle_of: BundleLookup, model: str, top: Any) -> list[tuple[str, float]]:
    """Return (label, probability) pairs; the index as label if the bundle was deleted."""
    try:
        labels = dict(enumerate(bundle_of(model).labels))
    except PipelineError:
        labels = {}
    return [(labels.get(index, str(index)), probability) for index, probability in top]
