"""One file's bytes to the pixels that a model takes: sniff, bound, orient, decode, resize.

Every fault of the file raises ImageFault. Bounds are enforced before anything is decoded.
"""

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.records import Decoded, ImageFacts, ImageInput

register_heif_opener()
# Our own bound counts what is really decoded and is checked in `decode`; Pillow's would refuse
# a large JPEG that is scaled down while it is decoded.
Image.MAX_IMAGE_PIXELS = None

#: The only formats that Pillow may open, whatever a file is called.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000")

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x00\x0cjP  ": "JPEG2000",
}
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost: `max_bytes` of the file, `max_pixels` to decode."""

    max_bytes: int
    max_pixels: int


def read(path: Path, size: int, mtime_ns: int, limits: Limits) -> bytes:
    """Return a file's content if it is still the file that was seen (`size` in bytes, `mtime_ns`).

    Raises ImageFault: vanished, changed, unreadable, empty_file, too_large.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:  # noqa: PTH123
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
                raise ImageFault(FaultCode.CHANGED)
            if size == 0:
                raise ImageFault(FaultCode.EMPTY_FILE)
            if size > limits.max_bytes:
                raise ImageFault(
                    FaultCode.TOO_LARGE,
                    f"The file has {size:,} bytes; at most {limits.max_bytes:,} are accepted.",
                )
            return stream.read(size)
    except FileNotFoundError:
        raise ImageFault(FaultCode.VANISHED) from None
    except OSError as error:
        raise ImageFault(FaultCode.UNREADABLE, f"The file cannot be read: {error.strerror}.") from error


def decode(data: bytes, want: ImageInput, limits: Limits) -> Decoded:
    """Return the first frame of an image as uint8 [want.height, want.width, want.channels].

    Orientation is applied, transparency composited on white, 16 bits reduced to 8. The picture is
    stretched to the model's size. Raises ImageFault: not_an_image, unsupported_format, truncated,
    too_many_pixels.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            file_format = image.format or "unknown"
            width, height = image.size
            _scale_while_decoding(image, want)
            _refuse_too_many(image, limits)
            image.load()
            upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
            if _orientation(image) >= 5:
                width, height = height, width
            pixels = _to_pixels(upright, want)
    except (ImageFault, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _unidentified(data) from None
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise ImageFault(FaultCode.TRUNCATED, f"The image's data is damaged: {error}.") from error
    return Decoded(pixels, ImageFacts(sha256, file_format, width, height))


def _scale_while_decoding(image: Image.Image, want: ImageInput) -> None:
    """Let the JPEG decoder scale down by 2, 4 or 8, never below twice the wanted size."""
    if image.format == "JPEG":
        side = 2 * max(want.width, want.height)
        image.draft(None, (side, side))


def _refuse_too_many(image: Image.Image, limits: Limits) -> None:
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise ImageFault(
            FaultCode.TOO_MANY_PIXELS,
            f"The image has {pixels:,} pixels to decode; at most {limits.max_pixels:,} are accepted.",
        )


def _orientation(image: Image.Image) -> int:
    # Reading EXIF costs more than decoding a thumbnail: ask only where there is some.
    if "exif" not in image.info and image.format != "TIFF":
        return 1
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _to_pixels(image: Image.Image, want: ImageInput) -> NDArray[np.uint8]:
    image = _flatten(_to_eight_bits(image))
    mode = "L" if want.channels == 1 else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != (want.width, want.height):
        image = image.resize((want.width, want.height), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(want.shape)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Reduce 16-bit, 32-bit and float greys; Pillow's own conversion would clip them to white."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        top = 1.0 if values.max(initial=0.0) <= 1.0 else 255.0 if values.max() <= 255.0 else 65535.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    return image


def _flatten(image: Image.Image) -> Image.Image:
    """Composite transparency on white, as a shop shows a cut-out product."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image


def _unidentified(data: bytes) -> ImageFault:
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return ImageFault(FaultCode.TRUNCATED, f"The file begins as {name} but its header is damaged.")
    head = data[:1024].lower()
    if b"<svg" in head or data.startswith((b"8BPS", b"\x00\x00\x01\x00", b"qoif")):
        return ImageFault(FaultCode.UNSUPPORTED_FORMAT, f"Accepted are {', '.join(FORMATS)}.")
    return ImageFault(FaultCode.NOT_AN_IMAGE)
