"""Uploads into an intake: which files came in before, and files in parts that can be sent again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from returns_pipeline.store import fingerprints
from returns_pipeline.usecases import intake_uploads
from returns_pipeline.usecases.intake_uploads import Upload
from returns_pipeline.usecases.return_evidence import named_return
from returns_pipeline.web.dependencies import Db, Images, Pipeline, Reviewer
from returns_pipeline.web.v1.schemas import FileDigests, KnownFile, KnownFiles, UploadProgress

router = APIRouter(tags=["uploads"])

_Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 of the whole file.")]
_Intake = Annotated[int, Query(ge=0, le=1000, description="Which intake, by its place in the settings.")]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/uploads/known", summary="Which files came in before")
def known(db: Db, _: Reviewer, files: FileDigests) -> KnownFiles:
    """Return the newest image of each file that came in before; the others are left out."""
    found = fingerprints.known(db, files.sha256).values()
    return KnownFiles(known=[KnownFile(**each._asdict()) for each in found])


@router.get("/uploads/{sha256}", summary="How much of a file has arrived")
def show_progress(
    context: Pipeline, person: Reviewer, sha256: _Sha256, intake: _Intake = 0
) -> UploadProgress:
    """Return where an upload that was broken off goes on."""
    offset = intake_uploads.arrived(context, Upload(person.name, sha256, 0, "", intake=intake))
    return UploadProgress(offset=offset, done=False)


@router.put("/uploads/{sha256}", summary="Send a part of a file", openapi_extra=_BODY)
async def add_part(
    request: Request,
    context: Pipeline,
    bodies: Images,
    person: Reviewer,
    sha256: _Sha256,
    size: Annotated[int, Query(ge=1, lt=2**50, description="Bytes of the whole file.")],
    offset: Annotated[int, Query(ge=0, lt=2**50, description="Where the part begins.")],
    name: Annotated[str, Query(min_length=1, max_length=255)],
    folder: Annotated[str, Query(max_length=1000, description="Folders, separated by `/`.")] = "",
    intake: _Intake = 0,
    number: Annotated[
        str | None, Query(alias="return", max_length=100, description="The return that the photo is of.")
    ] = None,
) -> UploadProgress:
    """Store a part of a file: the bytes of the body. The last part puts the file into the intake.

    A part that does not begin where the bytes that have arrived end changes nothing; go on at `offset` of
    the response.
    """
    upload = Upload(person.name, sha256, size, name, folder, intake, named_return(number))
    async with bodies.received(request) as whole:
        content = await whole.body()
        found = await run_in_threadpool(intake_uploads.add_part, context, upload, offset, content)
    return UploadProgress(offset=found.offset, done=found.is_done)
