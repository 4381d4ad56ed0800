"""Small pictures of photos, made when they are asked for. Whatever a browser cannot show becomes WebP."""

import io
import os
import stat

from PIL import Image

from returns_pipeline import imaging
from returns_pipeline.errors import ImageFault
from returns_pipeline.records import ImageInput
from returns_pipeline.settings import Settings
from returns_pipeline.web_records import Picture


def of(picture: Picture, size: int, settings: Settings) -> bytes | None:
    """Return a WebP of `size` pixels on its longer side; None where the file is gone or no picture."""
    limits = imaging.Limits(settings.max_file_bytes, settings.max_pixels)
    try:
        data = _read(picture)
        width, height = picture.width, picture.height
        if width is None or height is None:
            facts = imaging.decode(data, ImageInput(1, 1, 3), limits).facts
            width, height = facts.width, facts.height
        scale = size / max(width, height)
        want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
        pixels = imaging.decode(data, want, limits).pixels
    except (OSError, ImageFault):
        return None
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=80, method=0)
    return stream.getvalue()


def _read(picture: Picture) -> bytes:
    """Return what the file holds that was classified, no link followed. Raises OSError for another one."""
    descriptor = os.open(picture.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != picture.size:
            raise OSError("not the file that was classified")
        return file.read(picture.size)
