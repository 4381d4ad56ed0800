"""The vector of one photo, for which a person or a program waits: computed by a worker, stored in a row.

The photo is an image, or a spool file that was sent to find products alone. The web that wrote such a file
removes it; the sweep removes what a web left that was killed.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from returns_pipeline.errors import ConfigFault, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.embedding import PhotoToLook
from returns_pipeline.records.images import Picture
from returns_pipeline.records.models import ImageInput
from returns_pipeline.store import photo_looks
from returns_pipeline.usecases import classified_photos, embedding
from returns_pipeline.usecases.context import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: How long products can be found by a photo that was sent.
UPLOADS_LAST = timedelta(hours=1)


def look(context: Context, look_id: int) -> None:
    """Compute and store the vector that a row asks for; do nothing if it is there or the row is gone.

    If there can be none, the reason is stored. Raises TransientFault if the disk fails.
    """
    wanted = photo_looks.to_look(context.db, look_id)
    if wanted is None:
        return
    try:
        embedder = embedding.embedder_of(context, wanted.space)
        vector = embedder.embed(_pixels(context, wanted, embedder.space.input)[None])[0]
    except (ImageFault, ConfigFault) as fault:
        photo_looks.save(context.db, look_id, None, str(fault))
        log.info("photo_not_embedded", look=look_id, image=wanted.image_id, reason=str(fault))
        return
    photo_looks.save(context.db, look_id, vector.tobytes(), None)


def _pixels(context: Context, wanted: PhotoToLook, want: ImageInput) -> "NDArray[np.uint8]":
    if wanted.image_id is not None:
        return classified_photos.decoded(context, wanted.image_id, want).pixels
    limits = Limits.of(context.settings)
    file = Picture(wanted.path or "", wanted.size, None, None)
    return decode(context.photos.read_classified(file, limits.max_bytes), want, limits).pixels


def remove_old(context: Context, now: datetime) -> None:
    """Forget photos that were sent long ago to find products."""
    photo_looks.remove_uploads(context.db, now - UPLOADS_LAST)
