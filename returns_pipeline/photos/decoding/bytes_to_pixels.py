"""Decodes one photo: its bytes to the pixels that a model takes.

Detect the format, check the bounds, decode, apply the orientation, fit to the model. Every fault of the file
raises ImageFault.
"""

import hashlib
import io
import logging
import re
import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageFile, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits, pixels_to_decode, require_few_pixels, webp_pixels
from returns_pipeline.photos.decoding.formats import detect_format
from returns_pipeline.photos.decoding.model_pixels import fit, to_model_pixels
from returns_pipeline.photos.decoding.plain_png import decode_plain_png
from returns_pipeline.records.images import Decoded, ImageFacts
from returns_pipeline.records.models import ImageInput

# There is one worker process for each core, and each decodes one image at a time. Thumbnails and depth maps
# are never used: reading them only adds attack surface.
register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# `bounds` counts the pixels that are really decoded. Pillow's own limit would refuse a large JPEG that is
# scaled down while it is decoded.
Image.MAX_IMAGE_PIXELS = None
# A fault of a file is stored in its row. Pillow's warnings about it would fill the workers' logs.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

#: Pillow's messages for a valid file of a kind that it cannot decode.
_UNSUPPORTED = re.compile(r"(?i)unsupported|not supported|cannot handle|unknown pixel mode|unknown data org")
_EXIF_ORIENTATION = 0x0112


def decode(data: bytes, want: ImageInput, limits: Limits) -> Decoded:
    """Return the first frame of a photo as uint8 [want.height, want.width, want.channels].

    Applies the orientation, composites transparency on white, reduces 16 bits to 8 and stretches the picture
    to the model's size. Raises ImageFault: empty_file, not_an_image, unsupported_format, truncated,
    too_many_pixels.
    """
    if not data:
        raise ImageFault(FaultCode.EMPTY_FILE)
    sha256 = hashlib.sha256(data).hexdigest()
    if (plain := decode_plain_png(data, limits)) is not None:
        return Decoded(fit(plain, want), ImageFacts(sha256, "PNG", *plain.size))
    name = detect_format(data)
    try:
        pixels, (width, height) = _decode(data, name, want, limits)
    except (ImageFault, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _header_fault(data, name) from None
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise _damaged(error) from error
    return Decoded(pixels, ImageFacts(sha256, name, width, height))


def _decode(
    data: bytes, name: str, want: ImageInput, limits: Limits
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return the pixels, and the size of the upright picture."""
    if name == "WEBP":
        # libwebp allocates two canvases when it opens a file.
        require_few_pixels(webp_pixels(data), limits)
    try:
        with Image.open(io.BytesIO(data), formats=(name,)) as image:
            size = image.size
            require_few_pixels(pixels_to_decode(image, data, name, want), limits)
            partial = _partial_frame(image) if name == "GIF" else None
            image.load()
            picture = _on_canvas(image, partial) if partial else image
            orientation = _orientation(image)
            if orientation != 1:
                picture = ImageOps.exif_transpose(picture)
            if orientation >= 5:
                size = size[::-1]
            return to_model_pixels(picture, want, data), size
    except ValueError as error:
        if name != "PNG" or "MAX_TEXT" not in str(error):
            raise
        # Text chunks that decompress to many megabytes do not matter for the picture.
        return _decode(_without_text_chunks(data), name, want, limits)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation that is not applied yet. Pillow's TIFF and HEIF decoders apply theirs."""
    # Parsing EXIF costs more than decoding a thumbnail, so check first that there is any.
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF; the picture may still be whole
        return 1
    return value if value in range(1, 9) else 1


def _partial_frame(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Return the box of a GIF's first frame if the frame does not cover the canvas."""
    box = image.tile[0].extents if image.tile else None
    return None if box is None or box == (0, 0, *image.size) else box


def _on_canvas(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    # Pillow fills the rest with the palette's first colour; browsers show the page's background.
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    canvas.paste(image.crop(box).convert("RGBA"), box)
    return canvas


def _without_text_chunks(data: bytes) -> bytes:
    """Return a PNG without the chunks that hold text or a colour profile."""
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in {b"zTXt", b"iTXt", b"tEXt", b"iCCP"}:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _header_fault(data: bytes, name: str) -> ImageFault:
    """Call the decoder directly for the reason, which Image.open does not pass on."""
    factory, _ = Image.OPEN[name]
    try:
        factory(io.BytesIO(data), b"")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        return _damaged(error, f"The file begins as {name} but its header is damaged")
    return ImageFault(FaultCode.TRUNCATED, "The file begins as {name} but its header is damaged.", name=name)


def _damaged(error: Exception, what: str = "The image's data is damaged") -> ImageFault:
    # The reason may quote bytes of the file that a database or a terminal cannot take.
    reason = "".join(c if c.isprintable() else "?" for c in str(error)[:200]).rstrip(".")
    if _UNSUPPORTED.search(reason):
        return ImageFault(
            FaultCode.UNSUPPORTED_FORMAT, "Images of this kind are not accepted: {reason}.", reason=reason
        )
    return ImageFault(
        FaultCode.TRUNCATED, "{what}: {reason}.", what=what, reason=reason or type(error).__name__
    )
