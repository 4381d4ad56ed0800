"""The two endpoints of the services that came before, for clients that know nothing else."""

import base64
import binascii
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
from returns_pipeline.records.images import ImageState, Received
from returns_pipeline.web.errors import TooManyError
from returns_pipeline.web.queries.answers import Answer, Asker
from returns_pipeline.web.security.access import Principal, Reviewer
from returns_pipeline.web.v1.jobs import Key
from returns_pipeline.web.v1.schemas import FAULTS

router = APIRouter(tags=["classic"], responses=FAULTS)

_BATCH = {
    "type": "object",
    "required": ["images"],
    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "byte"}}},
}
_UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}},
}


def _body(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    """Return the description of a body that is read by hand."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema}}}}


#: Half of the last digit that is kept of a probability: what is stored as 0 has no logarithm.
_LEAST = 5e-7


@router.post("/process_batch", summary="Class indices of base64 images", openapi_extra=_body(_BATCH))
async def process_batch(
    request: Request,
    person: Reviewer,
    detail: Annotated[bool, Query(description="Labels, probabilities and reasons too.")] = False,
    key: Key = None,
) -> JSONResponse:
    """Take `{"images": ["<base64>", …]}`, return `{"predictions": [index, …]}` in the same order."""
    settings = request.app.state.context.settings
    # Two at once: a large one takes memory for its text, its images and what is between.
    async with request.app.state.batches:
        contents = await run_in_threadpool(_contents, await request.body(), settings.api_max_images, detail)
        present = [(str(at), content) for at, content in enumerate(contents) if content is not None]
        is_there = [content is not None for content in contents]
        del contents
        asker: Asker = request.app.state.asker
        kept = await asker.keep(present, _key_id(request, person, key)) if present else None
        del present
    answer = await asker.ask_about(kept) if kept else None
    found = iter(answer.images if answer else ())
    images = [next(found) if there else None for there in is_there]
    if detail:
        return JSONResponse(_detailed(images, answer))
    for position, image in enumerate(images):
        if image is None or image.label_index is None:
            raise _without_label(position, image)
    return JSONResponse({"predictions": [image.label_index for image in images if image]})


def _key_id(request: Request, person: Principal, key: str | None) -> str | None:
    """Return what tells a keyed request from those of others, and from those of other kinds."""
    text = f"{person.name}\n{request.scope['route'].path}\n{key}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if key else None


def _contents(body: bytes, most: int, detail: bool) -> list[bytes | None]:
    """Return the bytes of each image; None, where details are asked for, of what is no base64."""
    encoded = _images_of(body)
    if len(encoded) > most:
        raise TooManyError(
            "The request has {encoded_count:,} images; at most {most:,} may be sent.",
            "Send them in several requests, or set RETURNS_API_MAX_IMAGES.",
            encoded_count=len(encoded),
            most=most,
        )
    return [_decoded(text, position, detail) for position, text in enumerate(encoded)]


def _images_of(body: bytes) -> list[str]:
    try:
        content = pydantic_core.from_json(body)
    except ValueError as error:
        raise RefusedError(
            "The request is no JSON: {reason}.", 'Send {{"images": ["<base64>", …]}}.', reason=error
        ) from None
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise RefusedError(
            "`images` is missing or is not a list of texts.", 'Send {"images": ["<base64>", …]}.'
        )
    return images


def _decoded(text: str, position: int, detail: bool) -> bytes | None:
    """Return the bytes of one image; None where it is no base64 and details are asked for."""
    # As browsers write it: data:image/png;base64,…
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        if detail:
            return None
        raise _unreadable(position, "It is not base64.") from None


def _without_label(position: int, image: Received | None) -> PipelineError:
    if image is not None and is_our_fault(image):
        return PipelineError(
            "Image {position} (counted from 0) was not classified. {detail_text}",
            position=position,
            detail_text=image.detail or "",
        )
    return _unreadable(position, image.detail if image else None)


def is_our_fault(image: Received) -> bool:
    """Whether an image has no answer for a reason that is not its sender's."""
    return image.state == ImageState.FAILED or image.code in {FaultCode.VANISHED, FaultCode.CHANGED}


def _unreadable(position: int, reason: str | None) -> RefusedError:
    return RefusedError(
        f"Image {position} (counted from 0) cannot be read. {reason or ''}".strip(),
        "Send it as a JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC; `?detail=1` answers for the others.",
    )


def _detailed(images: list[Received | None], answer: Answer | None) -> dict[str, Any]:
    return {
        "predictions": [image.label_index if image else None for image in images],
        "details": [_detail(image) for image in images],
        "model": str(answer.bundle.ref) if answer else None,
    }


def _detail(image: Received | None) -> dict[str, Any]:
    if image is None:
        return {"code": FaultCode.NOT_AN_IMAGE, "reason": "It is not base64."}
    if image.label is None:
        return {"code": image.code, "reason": image.detail}
    return {
        "label": image.label,
        "probability": image.probability,
        "main_category": image.main_label,
        "main_category_probability": image.main_probability,
        "decision": image.decision,
    }


@router.post(
    "/predict",
    summary="Main and sub category of one uploaded photo",
    openapi_extra=_body(_UPLOAD, "multipart/form-data"),
)
async def predict(request: Request, person: Reviewer, key: Key = None) -> JSONResponse:
    """Take a photo as the multipart field `file`, return its categories with probabilities and logits.

    Of a model with one head the main category is the sub category. Logits are logarithms of the probabilities
    that are served, so that their softmax gives these again.
    """
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise RefusedError(
                "There is no file.", "Send the photo as the multipart field `file`, with its name."
            )
        name, content = file.filename, await file.read()
    asker: Asker = request.app.state.asker
    answer = await asker.ask([(name, content)], _key_id(request, person, key))
    (image,) = answer.images
    if image.label is None and is_our_fault(image):
        raise PipelineError("The photo was not classified. {detail_text}", detail_text=image.detail or "")
    if image.label is None:
        raise RefusedError(f"The photo cannot be read. {image.detail or ''}".strip())
    return JSONResponse(_outfit(image, answer.bundle))


def _outfit(image: Received, bundle: Bundle) -> dict[str, Any]:
    """Return what the two-head service answered, by the names that it used."""
    chances = dict(image.top or ())
    mains = list(dict.fromkeys(bundle.main_categories))
    of_main = dict.fromkeys(mains, 0.0)
    for index, main in enumerate(bundle.main_categories):
        of_main[main] += chances.get(index, 0.0)
    return {
        "predicted_main_category": image.main_label,
        "predicted_main_category_index": mains.index(str(image.main_label)),
        "main_category_probability": image.main_probability,
        "predicted_subcategory": image.label,
        "predicted_subcategory_index": image.label_index,
        "subcategory_probability": image.probability,
        "main_category_logits": [_logit(chance) for chance in of_main.values()],
        "sub_category_logits": [_logit(chances.get(index, 0.0)) for index in range(len(bundle.labels))],
    }


def _logit(chance: float) -> float:
    return round(math.log(max(chance, _LEAST)), 6)
