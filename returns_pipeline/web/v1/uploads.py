"""Uploads into an intake: which files came in before, files in parts, and files that go to a bucket."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from returns_pipeline.store import fingerprints
from returns_pipeline.usecases import direct_uploads, intake_uploads
from returns_pipeline.usecases.intake_uploads import Upload
from returns_pipeline.usecases.return_evidence import named_return
from returns_pipeline.web.dependencies import Db, Images, Pipeline, Reviewer
from returns_pipeline.web.v1.schemas import FileDigests, KnownFile, KnownFiles, StoreAddress, UploadProgress

router = APIRouter(tags=["uploads"])

_Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 of the whole file.")]
_Intake = Annotated[int, Query(ge=0, le=1000, description="Which intake, by its place in the settings.")]
_Size = Annotated[int, Query(ge=1, lt=2**50, description="Bytes of the whole file.")]
_Name = Annotated[str, Query(min_length=1, max_length=255)]
_Folder = Annotated[str, Query(max_length=1000, description="Folders, separated by `/`.")]
_Number = Annotated[
    str | None, Query(alias="return", max_length=100, description="The return that the photo is of.")
]
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
    size: _Size,
    offset: Annotated[int, Query(ge=0, lt=2**50, description="Where the part begins.")],
    name: _Name,
    folder: _Folder = "",
    intake: _Intake = 0,
    number: _Number = None,
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


@router.post("/uploads/{sha256}/address", summary="Where to send a file in the bucket of the intake")
def ask_address(
    context: Pipeline,
    person: Reviewer,
    sha256: _Sha256,
    size: _Size,
    name: _Name,
    folder: _Folder = "",
    intake: _Intake = 0,
    number: _Number = None,
) -> StoreAddress:
    """Return an address of the object store that takes the file by PUT, with the headers that are named.

    The file is not in the intake before it is confirmed. There is no address with
    RETURNS_OBJECT_LINKS=stream, for an intake that is a folder, and if the store signs none: then send the
    file in parts.
    """
    upload = Upload(person.name, sha256, size, name, folder, intake, named_return(number))
    found = direct_uploads.address(context, upload)
    if found is None:
        return StoreAddress(url=None, headers={}, seconds=0)
    return StoreAddress(url=found.url, headers=dict(found.headers), seconds=found.seconds)


@router.post("/uploads/{sha256}/confirm", summary="Put a file that was sent to the bucket into the intake")
def confirm(
    context: Pipeline,
    person: Reviewer,
    sha256: _Sha256,
    size: _Size,
    name: _Name,
    etag: Annotated[str, Query(min_length=1, max_length=200, description="The ETag that the store gave.")],
    folder: _Folder = "",
    intake: _Intake = 0,
    number: _Number = None,
) -> UploadProgress:
    """Compare size and ETag with the object, and put it where a scan finds it. It may be sent again.

    The other values are those that the address was asked for with. 404: the file has not arrived. 409:
    another file has.
    """
    upload = Upload(person.name, sha256, size, name, folder, intake, named_return(number))
    found = direct_uploads.confirm(context, upload, etag)
    return UploadProgress(offset=found.offset, done=found.is_done)
