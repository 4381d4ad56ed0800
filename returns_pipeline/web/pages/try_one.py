"""One photo of one's own, now."""

import time

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.web.pages.page import Person, explanation, form_of, show
from returns_pipeline.web.queries.answers import Answer, Asker

router = APIRouter()

_BEST = 5


@router.get("/try")
def form(request: Request, _: Person) -> HTMLResponse:
    """Show the form."""
    return show(request, "try.html", answer=None, fault="")


@router.post("/try")
async def ask(request: Request, person: Person) -> HTMLResponse:
    """Show what the workers say of a photo."""
    given = await form_of(request, person, Role.REVIEWER)
    began = time.perf_counter()
    try:
        found = await _asked(request.app.state.asker, given.get("file"))
    except RefusedError as fault:
        values = {"answer": None, "fault": str(fault)}
        return await run_in_threadpool(show, request, "try.html", fault.http_status, **values)
    shown = _shown(found, (time.perf_counter() - began) * 1000)
    why = await explanation(request, found.images[0].id)
    return await run_in_threadpool(show, request, "try.html", answer=shown, fault="", why=why)


async def _asked(asker: Asker, file: object) -> Answer:
    if not isinstance(file, UploadFile) or not file.filename:
        raise RefusedError("Choose a photo first.")
    found = await asker.ask([(file.filename, await file.read())])
    (image,) = found.images
    if image.label is None:
        raise RefusedError(f"The photo cannot be read. {image.detail or ''}".strip())
    return found


def _shown(found: Answer, milliseconds: float) -> dict[str, object]:
    (image,), bundle = found.images, found.bundle
    return {
        "image": image.id,
        "label": image.label,
        "probability": image.probability,
        "main": image.main_label,
        "main_probability": image.main_probability,
        "has_subs": bundle.labels != bundle.main_categories,
        "decision": image.decision,
        "top": [(bundle.labels[index], chance) for index, chance in (image.top or ())[:_BEST]],
        "model": str(bundle.ref),
        "milliseconds": milliseconds,
    }
