"""The pixels of a classified image, for what people ask about it later."""

import time

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.images import Decoded
from returns_pipeline.records.models import ImageInput
from returns_pipeline.store import browsing
from returns_pipeline.usecases.context import Context

#: Pauses in seconds between attempts to read a file: it is moved just after its prediction is stored.
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)


def decoded(context: Context, image_id: int, want: ImageInput) -> Decoded:
    """Return the pixels of the file that was classified, even while it is being moved.

    Raises ImageFault if the file is gone or has another content, TransientFault if the disk fails.
    """
    for pause in _PAUSES:
        try:
            return _decoded_now(context, image_id, want)
        except ImageFault as fault:
            if fault.code not in {FaultCode.VANISHED, FaultCode.CHANGED}:
                raise
            time.sleep(pause)
    return _decoded_now(context, image_id, want)


def _decoded_now(context: Context, image_id: int, want: ImageInput) -> Decoded:
    limits = Limits.of(context.settings)
    file = browsing.classified_file(context.db, image_id)
    if file is None:
        raise ImageFault(FaultCode.VANISHED)
    picture, sha256 = file
    found = decode(context.photos.read_classified(picture, limits.max_bytes), want, limits)
    if found.facts.sha256 != sha256:
        raise ImageFault(FaultCode.CHANGED)
    return found
