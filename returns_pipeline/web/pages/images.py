"""One image: what happened to it, its predictions, and what the model looked at."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import ConflictError, PipelineError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import FilePlace, ImageFile, ImageResult, ImageState
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.text import file_name
from returns_pipeline.report import words
from returns_pipeline.report.columns import Output, shown
from returns_pipeline.store import browsing, image_history, match_lists, return_photos, runs
from returns_pipeline.store import products as catalogue_rows
from returns_pipeline.store.database import Database
from returns_pipeline.store.deletion import same_file
from returns_pipeline.usecases import deletion, image_lists, originals, reviews
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.reviews import BundleLookup
from returns_pipeline.web.dependencies import ImageId, Pipeline, Web
from returns_pipeline.web.pages import photo_file
from returns_pipeline.web.pages.page import Person, explanation, form_of, redirect, show
from returns_pipeline.web.pages.sent_review import SentReview
from returns_pipeline.web.queries import likely
from returns_pipeline.web.queries.likely import Likely
from returns_pipeline.web.queries.lists import ImageList, ListOfAddress
from returns_pipeline.web.queries.lookups import image_by_id
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal, require_role

router = APIRouter()

_BEST = 5


class _Shown(NamedTuple):
    """What a page shows: an image of a list, its file, and the fault of a review that was refused."""

    image: ImageResult
    file: ImageFile
    is_missing: bool
    in_list: ImageList
    fault: str = ""


@router.get("/images/{image_id}")
async def show_image(
    request: Request,
    web: Web,
    person: Person,
    image_id: ImageId,
    in_list: ListOfAddress,
    why: Annotated[bool, Query()] = False,
    products: Annotated[bool, Query()] = False,
) -> HTMLResponse:
    """Show one image; with `why` what the model of its run looked at, with `products` what looks like it."""
    shown = await _find(web, image_id, in_list)
    wanted = why and shown.image.state == ImageState.CLASSIFIED and shown.image.has_photo
    explained = await explanation(web.workers, web.context.db, image_id) if wanted else None
    found = await likely.of_images(web.looks, [shown.image]) if products else None
    return await run_in_threadpool(_page, request, web, person, shown, explained, found)


@router.post("/images/{image_id}", response_model=None)
async def review(
    request: Request, web: Web, person: Person, image_id: ImageId, in_list: ListOfAddress
) -> Response:
    """Store what a person says of the image; then show it."""
    sent = SentReview.of(await form_of(request, person, Role.REVIEWER))._replace(image_id=image_id)
    try:
        await run_in_threadpool(sent.apply, web, person.name)
    except RefusedError as fault:
        shown = (await _find(web, image_id, in_list))._replace(fault=fault.shown_message)
        return await run_in_threadpool(_page, request, web, person, shown, None)
    return redirect(request, f"/images/{image_id}{in_list.address()}")


@router.get("/images/{image_id}/delete")
def ask_delete(request: Request, context: Pipeline, person: Person, image_id: ImageId) -> HTMLResponse:
    """Ask whether this image and everything that came from it should be deleted."""
    require_role(person, Role.ADMIN)
    return _confirm_deletion(request, context, image_id, "")


@router.post("/images/{image_id}/delete", response_model=None)
async def delete(request: Request, web: Web, person: Person, image_id: ImageId) -> Response:
    """Delete an image and everything that came from it."""
    context = web.context
    await form_of(request, person, Role.ADMIN)
    try:
        await run_in_threadpool(
            deletion.delete, context.settings, context.db, image_id, person.name, context.photos
        )
    except ConflictError as fault:
        return await run_in_threadpool(_confirm_deletion, request, context, image_id, fault.shown)
    await run_in_threadpool(web.judge_returns)
    return redirect(request, f"/images/{image_id}")


def _confirm_deletion(request: Request, context: Context, image_id: int, fault: str) -> HTMLResponse:
    image = image_by_id(context.db, image_id)
    return show(
        request,
        "delete_image.html",
        409 if fault else 200,
        image=image,
        name=file_name(image.path),
        others=[each for each in same_file(context.db, image_id) if each != image_id],
        has_picture=browsing.picture(context.db, image_id) is not None,
        fault=fault,
    )


async def _find(web: Resources, image_id: int, in_list: ImageList) -> _Shown:
    image = await run_in_threadpool(image_by_id, web.context.db, image_id)
    file = await run_in_threadpool(originals.existing, web.context, image_id)
    return _Shown(image, file, await photo_file.is_missing(web.context, file), in_list)


def _page(
    request: Request,
    web: Resources,
    person: Principal,
    shown: _Shown,
    explained: dict[str, Any] | None,
    products: Likely | None = None,
) -> HTMLResponse:
    db, image, in_list = web.context.db, shown.image, shown.in_list
    can_review = person.role.rank >= Role.REVIEWER.rank
    predictions = [
        (str(found.model), _best(web.bundle_of, str(found.model), found.top[:_BEST]))
        for found in browsing.all_predictions(db, image.id)
    ]
    has_picture = not shown.is_missing and browsing.picture(db, image.id) is not None
    return show(
        request,
        "image.html",
        409 if shown.fault else 200,
        fault=shown.fault,
        task=reviews.task(db, web.bundle_of, image.id),
        outcomes=reviews.outcomes_without_label(web.context.settings.review_outcomes),
        can_review=can_review,
        matches=match_lists.of_images(db, [image.id]),
        may_decide=can_review,
        can_delete=person.may(Role.ADMIN) and image.state != ImageState.PENDING,
        can_retry=person.may(Role.OPERATOR) and _can_be_retried(db, shown),
        history=image_history.history(db, image.id),
        image=image,
        of_return=return_photos.return_of(db, image.id),
        name=file_name(image.path),
        facts=_facts(image),
        file=photo_file.facts(shown.file, shown.is_missing),
        has_original=can_review
        and not shown.is_missing
        and shown.file.place not in {FilePlace.GONE, FilePlace.REMOVED},
        picture_size=photo_file.SHOWN_SIZE if has_picture else None,
        zoom=photo_file.zoom(shown.file, can_review) if has_picture else None,
        unusable=words.unusable(image.code) if image.code else None,
        neighbours=_neighbours(web, image, in_list),
        in_list=in_list.address(),
        list_path=f"/search{in_list._replace(within='').address()}"
        if in_list.is_of_search
        else f"/runs/{image.run_id}{in_list.address()}",
        is_of_search=in_list.is_of_search,
        why_address=f"{in_list.address(why='1')}#why",
        predictions=predictions,
        why=explained,
        likely=products,
        can_compare=likely.can_be_compared(image) and not catalogue_rows.is_empty(db),
        products_address=f"/images/{image.id}{in_list.address(products='1')}#products",
    )


def _neighbours(web: Resources, image: ImageResult, in_list: ImageList) -> browsing.Neighbours:
    db, query = web.context.db, in_list.query(image.run_id or 0)
    if in_list.is_of_search:
        return image_lists.neighbours(db, web.context.settings, query, in_list.by, image.id)
    by = in_list.by if in_list.by in browsing.REVERSED else browsing.Order.ID
    return browsing.neighbours(db, query.also, by, image)


def _can_be_retried(db: Database, found: _Shown) -> bool:
    """Whether the image and its file take part in a retry of its run."""
    if found.image.code is None or found.image.archived_path is None or found.is_missing:
        return False
    return runs.existing(db, found.image.run_id).state is RunState.CLOSED


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
