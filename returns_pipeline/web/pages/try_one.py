"""One photo of the visitor's own, classified now."""

import asyncio
import time
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.predictions import UNFAMILIAR_DETAIL
from returns_pipeline.records.recommendations import RECOMMENDED, RecommendationKind
from returns_pipeline.web.dependencies import Web
from returns_pipeline.web.pages.page import Person, explanation, form_of, show
from returns_pipeline.web.queries.recommendations import of_image, on_page
from returns_pipeline.web.queries.worker_client import Classified, ReceivedRequest, WorkerClient
from returns_pipeline.web.security.access import require_role

router = APIRouter()

_BEST = 5


@router.get("/try")
def form(request: Request, _: Person) -> HTMLResponse:
    """Show the form."""
    return show(request, "try.html", found=None, fault="")


@router.post("/try")
async def classify(request: Request, web: Web, person: Person) -> HTMLResponse:
    """Show the prediction for a photo."""
    require_role(person, Role.REVIEWER)
    workers = web.workers
    async with web.bodies.received(request) as whole:
        given = await form_of(whole, person, Role.REVIEWER)
        began = time.perf_counter()
        received = await _received(workers, given.get("file"))
    try:
        found = await workers.wait_for_one(received) if received else None
    except RefusedError as fault:
        return await run_in_threadpool(_refused, request, fault)
    if found is None:
        return await run_in_threadpool(_refused, request, RefusedError("Choose a photo first."))
    shown = _shown(found, (time.perf_counter() - began) * 1000)
    image_id = found.images[0].id
    why, instead = await asyncio.gather(
        explanation(workers, web.context.db, image_id),
        of_image(web.looks, image_id, RecommendationKind.SUBSTITUTES, RECOMMENDED),
    )
    recommended = await run_in_threadpool(on_page, web.context.db, instead)
    may = person.may(Role.OPERATOR)
    page = partial(show, found=shown, fault="", why=why, can_operate=may, recommended=recommended)
    return await run_in_threadpool(page, request, "try.html")


def _refused(request: Request, fault: RefusedError) -> HTMLResponse:
    return show(request, "try.html", fault.http_status, found=None, fault=fault.shown)


async def _received(workers: WorkerClient, file: object) -> ReceivedRequest | None:
    if not isinstance(file, UploadFile) or not file.filename:
        return None
    return await workers.receive([(file.filename, await file.read())])


def _shown(found: Classified, milliseconds: float) -> dict[str, object]:
    (image,), bundle = found.images, found.bundle
    return {
        "image": image.id,
        "label": image.label,
        "probability": image.probability,
        "main": image.main_label,
        "main_probability": image.main_probability,
        "has_subs": bundle.labels != bundle.main_categories,
        "decision": image.decision,
        "remark": image.detail or "",
        "unfamiliar": image.detail == UNFAMILIAR_DETAIL,
        "top": [(bundle.labels[index], probability) for index, probability in (image.top or ())[:_BEST]],
        "model": str(bundle.ref),
        "milliseconds": milliseconds,
    }
