"""The two endpoints of the earlier services, for clients that were written for them."""

import hashlib
import math
from typing import Annotated, Any

import pydantic_core
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import FaultCode, PipelineError, RefusedError
from returns_pipeline.records.images import Received
from returns_pipeline.usecases.return_evidence import named_return
from returns_pipeline.web.base64_text import NotBase64Error, decode
from returns_pipeline.web.dependencies import IdempotencyKey, Reviewer, Web
from returns_pipeline.web.errors import FAULTS, TooManyImagesError
from returns_pipeline.web.queries.worker_client import Classified
from returns_pipeline.web.security.access import Principal

router = APIRouter(tags=["classic"], responses=FAULTS)

_BATCH = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {"type": "array", "items": {"type": "string", "format": "byte"}},
        "return": {"type": "string", "maxLength": 100},
    },
}
_UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "return": {"type": "string", "maxLength": 100},
    },
}


def _body(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    """Return the OpenAPI description of a body that the route reads itself."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}


#: Values of a request for each image it may have. Base64 has no comma, a `data:` URL has one.
_MOST_PARTS = 100
#: Half of the last stored digit of a probability, in place of 0, which has no logarithm.
_LEAST = 5e-7
#: Its logarithm. Most labels have no other one.
_LEAST_LOGIT = round(math.log(_LEAST), 6)


@router.post("/process_batch", summary="Class indices of base64 images", openapi_extra=_body(_BATCH))
async def process_batch(
    request: Request,
    person: Reviewer,
    web: Web,
    detail: Annotated[bool, Query(description="Labels, probabilities and reasons too.")] = False,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Take `{"images": ["<base64>", …]}`, return `{"predictions": [index, …]}` in the same order.

    With `"return": "<number>"` beside them, the images are photos of that return.
    """
    web.workers.require_room()
    async with web.bodies.received(request) as whole:
        most = web.context.settings.api_max_images
        contents, number = await run_in_threadpool(_contents, await whole.body(), most, detail)
        present = [(str(at), content) for at, content in enumerate(contents) if isinstance(content, bytes)]
        faults = [content if isinstance(content, NotBase64Error) else None for content in contents]
        del contents
        key_id = _key_id(request, person, key)
        received = await web.workers.receive(present, key_id, number) if present else None
        del present
    found = await web.workers.wait_for(received) if received else None
    remaining = iter(found.images if found else ())
    images = [fault or next(remaining) for fault in faults]
    if detail:
        return JSONResponse(_detailed(images, found))
    for position, image in enumerate(images):
        if isinstance(image, NotBase64Error) or image.label_index is None:
            raise _without_label(position, image)
    return JSONResponse({"predictions": [_index(image) for image in images]})


def _key_id(request: Request, person: Principal, key: str | None) -> str | None:
    """Return the sha256 of user, route and Idempotency-Key; None without a key."""
    text = f"{person.name}\n{request.scope['route'].path}\n{key}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if key else None


def _contents(body: bytes, most: int, detail: bool) -> tuple[list[bytes | NotBase64Error], str | None]:
    """Return the bytes of each image, and the return that they are of.

    With `detail`, text that is not base64 gives its fault.
    """
    if body.count(b",") > _MOST_PARTS * most:
        # Small values take many times their bytes once they are parsed.
        raise TooManyImagesError(
            "The request has more than {most:,} images.", "Send them in several requests.", most=most
        )
    encoded, number = _images_of(body)
    if len(encoded) > most:
        raise TooManyImagesError(
            "The request has {count:,} images; at most {most:,} may be sent.",
            "Send them in several requests, or set RETURNS_API_MAX_IMAGES.",
            count=len(encoded),
            most=most,
        )
    return [_decoded(text, position, detail) for position, text in enumerate(encoded)], number


def _images_of(body: bytes) -> tuple[list[str], str | None]:
    try:
        content = pydantic_core.from_json(body)
    except ValueError as error:
        raise RefusedError(
            "The request is not JSON: {reason}.", 'Send {{"images": ["<base64>", …]}}.', reason=error
        ) from None
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise RefusedError(
            "`images` is missing or is not a list of strings.", 'Send {"images": ["<base64>", …]}.'
        )
    return images, named_return(content.get("return"))


def _decoded(text: str, position: int, detail: bool) -> bytes | NotBase64Error:
    try:
        return decode(text)
    except NotBase64Error as fault:
        if detail:
            return fault
        raise _unreadable(position, fault.message) from None


def _without_label(position: int, image: Received | NotBase64Error) -> PipelineError:
    if isinstance(image, NotBase64Error):
        return _unreadable(position, image.message)
    if image.failed_here:
        return PipelineError(
            "Image {position} (counted from 0) was not classified. {reason}",
            position=position,
            reason=image.detail or "",
        )
    return _unreadable(position, image.detail)


def _unreadable(position: int, reason: str | None) -> RefusedError:
    return RefusedError(
        "Image {position} (counted from 0) cannot be read. {reason}"
        if reason
        else "Image {position} (counted from 0) cannot be read.",
        "Send it as a JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC; `?detail=1` returns the others.",
        position=position,
        reason=reason,
    )


def _detailed(images: list[Received | NotBase64Error], found: Classified | None) -> dict[str, Any]:
    return {
        "predictions": [_index(image) for image in images],
        "details": [_detail(image) for image in images],
        "model": str(found.bundle.ref) if found else None,
    }


def _index(image: Received | NotBase64Error) -> int | None:
    return None if isinstance(image, NotBase64Error) else image.label_index


def _detail(image: Received | NotBase64Error) -> dict[str, Any]:
    if isinstance(image, NotBase64Error):
        return {"code": FaultCode.NOT_AN_IMAGE, "reason": image.message}
    if image.label is None:
        return {"code": image.code, "reason": image.detail}
    return {
        "label": image.label,
        "probability": image.probability,
        "main_category": image.main_label,
        "main_category_probability": image.main_probability,
        "decision": image.decision,
        "familiarity": image.familiarity,
    }


@router.post(
    "/predict",
    summary="Main and sub category of one uploaded photo",
    openapi_extra=_body(_UPLOAD, "multipart/form-data"),
)
async def predict(request: Request, person: Reviewer, web: Web, key: IdempotencyKey = None) -> JSONResponse:
    """Take a photo as the multipart field `file`, return its categories with probabilities and logits.

    The field `return` names the return that the photo is of. For a model with one head, the main category is
    the sub category. Logits are the logarithms of the calibrated probabilities: their softmax is the
    probabilities again.
    """
    web.workers.require_room()
    async with web.bodies.received(request) as whole, whole.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise RefusedError(
                "There is no file.", "Send the photo as the multipart field `file`, with its name."
            )
        photo = (file.filename, await file.read())
        number = named_return(form.get("return"))
        received = await web.workers.receive([photo], _key_id(request, person, key), number)
        del photo
    found = await web.workers.wait_for_one(received)
    return JSONResponse(_two_heads(found.images[0], found.bundle))


def _two_heads(image: Received, bundle: Bundle) -> dict[str, Any]:
    """Return the fields of the earlier two-head service."""
    probabilities = dict(image.top or ())
    mains = list(dict.fromkeys(bundle.main_categories))
    of_main = dict.fromkeys(mains, 0.0)
    for index, main in enumerate(bundle.main_categories):
        of_main[main] += probabilities.get(index, 0.0)
    return {
        "predicted_main_category": image.main_label,
        "predicted_main_category_index": mains.index(str(image.main_label)),
        "main_category_probability": image.main_probability,
        "predicted_subcategory": image.label,
        "predicted_subcategory_index": image.label_index,
        "subcategory_probability": image.probability,
        "main_category_logits": [_logit(probability) for probability in of_main.values()],
        "sub_category_logits": [_logit(probabilities.get(index, 0.0)) for index in range(len(bundle.labels))],
    }


def _logit(probability: float) -> float:
    return round(math.log(probability), 6) if probability > _LEAST else _LEAST_LOGIT
