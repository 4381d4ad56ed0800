"""Uploading photos into an intake: many files and folders, or the camera; without a script, a form."""

import hashlib
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.access import Role
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.returns import MOST_OF_NUMBER
from returns_pipeline.records.text import file_name, pathless
from returns_pipeline.store import fingerprints
from returns_pipeline.usecases import direct_uploads, intake_uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.intake_uploads import Upload
from returns_pipeline.usecases.jobs import request_job
from returns_pipeline.usecases.return_evidence import named_return
from returns_pipeline.web.dependencies import Images, Pipeline
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.security.access import Principal, require_csrf_token, require_role
from returns_pipeline.web.security.headers import policy_for
from returns_pipeline.web.security.limits import PART

router = APIRouter()

_MOST_FILES = 500
_BLOCK = 1024 * 1024


class _Result(NamedTuple):
    """What became of a file of the form: the image that it was before, or a fault; neither if it is new."""

    name: str
    known: int | None = None
    fault: str = ""


@router.get("/upload")
def form(request: Request, context: Pipeline, person: Person) -> HTMLResponse:
    """Show the page."""
    require_role(person, Role.REVIEWER)
    return _page(request, context, person, [])


@router.post("/upload")
async def upload(request: Request, context: Pipeline, bodies: Images, person: Person) -> HTMLResponse:
    """Store the files of a form in an intake."""
    require_role(person, Role.REVIEWER)
    async with bodies.received(request) as whole, whole.form(max_files=_MOST_FILES, max_fields=20) as given:
        require_csrf_token(person, given.get("csrf"))
        intake = text_of(given, "intake", 4)
        number = int(intake) if intake.isascii() and intake.isdigit() else 0
        again = bool(text_of(given, "again"))
        of_return = named_return(text_of(given, "return", MOST_OF_NUMBER) or None)
        files = [each for each in given.getlist("files") if isinstance(each, UploadFile) and each.filename]
        results = [
            await run_in_threadpool(_store, context, person.name, each, number, again, of_return)
            for each in files
        ]
    return await run_in_threadpool(_page, request, context, person, results)


@router.post("/upload/scan")
async def scan_now(request: Request, context: Pipeline, person: Person) -> RedirectResponse:
    """Request a scan of every intake."""
    await form_of(request, person, Role.OPERATOR)
    await run_in_threadpool(request_job, context, JobKind.SCAN, None, person.name)
    return redirect(request, "/")


def _store(
    context: Context, who: str, file: UploadFile, intake: int, again: bool, of_return: str | None
) -> _Result:
    name = (file.filename or "").replace("\\", "/").rpartition("/")[2]
    shown = file_name(name)
    digest = hashlib.sha256()
    while block := file.file.read(_BLOCK):
        digest.update(block)
    sha256 = digest.hexdigest()
    known = fingerprints.known(context.db, [sha256])
    if known and not again:
        return _Result(shown, known=known[sha256].image)
    size = file.file.seek(0, 2)
    sent = Upload(who, sha256, size, name, "", intake, of_return)
    try:
        offset = intake_uploads.arrived(context, sent)
        while True:
            file.file.seek(offset)
            arrival = intake_uploads.add_part(context, sent, offset, file.file.read(PART))
            if arrival.is_done:
                return _Result(shown)
            offset = arrival.offset
    except PipelineError as fault:
        return _Result(shown, fault=pathless(fault.shown))


def _page(request: Request, context: Context, person: Principal, results: list[_Result]) -> HTMLResponse:
    settings, origins = context.settings, direct_uploads.origins(context)
    page = show(
        request,
        "upload.html",
        is_direct=bool(origins),
        intakes=[intake.folder.name for intake in settings.every_intake],
        results=results,
        new=sum(result.known is None and not result.fault for result in results),
        most=settings.max_file_bytes,
        part=min(PART, settings.api_max_bytes) // 2,
        can_scan=person.may(Role.OPERATOR),
    )
    page.headers["Content-Security-Policy"] = policy_for(origins)
    return page
