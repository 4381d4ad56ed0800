"""Labelling images of a list: the marked ones, or all that the filter shows."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import category
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.report import words
from returns_pipeline.report.columns import Output, as_dict
from returns_pipeline.usecases import image_lists
from returns_pipeline.usecases.image_lists import ImageQuery
from returns_pipeline.usecases.label_all import MOST_LABELLED, label_all
from returns_pipeline.usecases.review_grid import Sent
from returns_pipeline.usecases.reviews import outcomes_without_label, task, undo
from returns_pipeline.web.pages.judged import Judged, chosen_of, form_of_many, ids_of, judge, notice_of
from returns_pipeline.web.pages.page import redirect, show, text_of
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Principal


def tile(image: ImageResult) -> dict[str, Any]:
    """Return an image for the grid: the fields of the REST interface, and the review that counts."""
    return {**as_dict(Output.REST, image), "review_id": image.review_id}


def values_of_form(
    request: Request, web: Resources, person: Principal, found: Sequence[ImageResult]
) -> dict[str, Any]:
    """Return what `labelling.html` needs for a page of images.

    `labels_of_model` are the labels that the first image can get; none without the role of a reviewer.
    """
    may = bool(found) and person.role.rank >= Role.REVIEWER.rank
    return {
        "labels_of_model": task(web.context.db, web.bundle_of, found[0].id).labels if may else (),
        "outcomes": outcomes_without_label(web.context.settings.review_outcomes),
        "notice": notice_of(request, web, person),
        "most_labelled": MOST_LABELLED,
    }


async def answer(
    request: Request, web: Resources, person: Principal, query: ImageQuery, action: str, back: str
) -> Response:
    """Do what a form of a list asks for, and return to the list; ask first before all images are labelled.

    `query` is what the list shows. `action` is the address of the form, `back` the one of the list with `?`.
    """
    form = await form_of_many(request, person)
    if text_of(form, "action") == "every":
        return await run_in_threadpool(_every, request, web, person, query, form, action, back)
    done = await run_in_threadpool(_marked, web, person, form)
    return _back(request, back, done)


def _marked(web: Resources, person: Principal, form: FormData) -> dict[str, object]:
    """Store a form for the marked images, or take back the last action."""
    if text_of(form, "action") == ReviewAction.UNDO:
        return {"undone": len(undo(web.context.db, person.name).image_ids)}
    label, outcome = chosen_of(form)
    marked = ids_of(form, "wrong").items()
    return judge(web, person, (Sent(each, label, outcome, seen) for each, seen in marked)).parameters()


def _every(
    request: Request,
    web: Resources,
    person: Principal,
    query: ImageQuery,
    form: FormData,
    action: str,
    back: str,
) -> Response:
    label, outcome = chosen_of(form)
    db, settings = web.context.db, web.context.settings
    found = image_lists.ids(db, settings, query, MOST_LABELLED + 1)
    if not found:
        raise RefusedError("No photo matches.")
    if len(found) <= MOST_LABELLED and text_of(form, "confirmed", 10) != str(len(found)):
        return show(
            request,
            "label_all.html",
            action=action,
            back=back,
            count=len(found),
            choice=text_of(form, "choice", 120),
            chosen=category(label) if label else words.outcome(outcome),
        )
    done = label_all(db, web.bundle_of, person.name, found, label, outcome, outcomes=settings.review_outcomes)
    web.judge_returns()
    return _back(request, back, Judged(*done).parameters())


def _back(request: Request, back: str, done: dict[str, object]) -> Response:
    more = urlencode({name: value for name, value in done.items() if value})
    return redirect(request, f"{back}{'&' if '?' in back else '?'}{more}" if more else back)
