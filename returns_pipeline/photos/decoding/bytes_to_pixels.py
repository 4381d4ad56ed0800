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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageFile, PngImagePlugin, UnidentifiedImageError
from pillow_heif import register_heif_opener

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.codes.picture import CodePicture, grey_picture, is_simple, size_to_convert
from returns_pipeline.photos.decoding.bounds import Limits, pixels_to_decode, require_few_pixels, webp_pixels
from returns_pipeline.photos.decoding.colourfulness import has_colours
from returns_pipeline.photos.decoding.formats import RAW, detect_format
from returns_pipeline.photos.decoding.jpeg_ends import close_jpeg
from returns_pipeline.photos.decoding.jpeg_markers import read_jpeg_frame
from returns_pipeline.photos.decoding.libtiff_messages import silence_libtiff
from returns_pipeline.photos.decoding.memory import (
    LONGEST_SIDE,
    has_jpeg2000_end,
    jpeg2000_memory,
    jpeg2000_reduction,
    memory_to_decode,
    require_little_memory,
    require_short_sides,
    webp_memory,
)
from returns_pipeline.photos.decoding.model_pixels import fit, to_model_pixels
from returns_pipeline.photos.decoding.orientation import hide_other_tags, orientation_of
from returns_pipeline.photos.decoding.plain_jpeg import decode_plain_jpeg
from returns_pipeline.photos.decoding.plain_png import decode_plain_png
from returns_pipeline.photos.decoding.png_chunks import only_needed_chunks, require_picture_chunks
from returns_pipeline.photos.decoding.raw_previews import Preview, require_preview
from returns_pipeline.photos.decoding.scaling import strips_of
from returns_pipeline.photos.decoding.stated_colours import stated_profile
from returns_pipeline.photos.decoding.unwritten import (
    jpeg_end,
    require_written,
    require_written_rows,
    unwritten_fault,
)
from returns_pipeline.records.images import Decoded, ImageFacts
from returns_pipeline.records.models import ImageInput

# There is one worker process for each core, and each decodes one image at a time. Thumbnails and depth maps
# are never used: reading them only adds attack surface.
register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# `bounds` counts the pixels that are really decoded. Pillow's own limit would refuse a large JPEG that is
# scaled down while it is decoded.
Image.MAX_IMAGE_PIXELS = None
# Bytes of unpacked text; a PNG with more is decoded without its texts.
PngImagePlugin.MAX_TEXT_MEMORY = 16 << 20
# A fault of a file is stored in its row. Pillow's warnings about it would fill the workers' logs.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
silence_libtiff()

#: Pillow's messages for a valid file of a kind that it cannot decode.
_UNSUPPORTED = re.compile(r"(?i)unsupported|not supported|cannot handle|unknown pixel mode|unknown data org")
#: The head of a PNG with 8 bits for each sample.
_EIGHT_BITS = bytes(24) + b"\x08"


def decode(data: bytes, want: ImageInput, limits: Limits) -> Decoded:
    """Return the first frame of a photo as uint8 [want.height, want.width, want.channels].

    Applies the orientation, composites transparency on white, reduces 16 bits to 8, converts the colours that
    the file states to sRGB and stretches the picture to the model's size. Raises ImageFault: empty_file,
    not_an_image, unsupported_format, truncated, too_many_pixels.
    """
    return _decode_file(data, want, limits, for_codes=False)[0]


def decode_with_picture(data: bytes, want: ImageInput, limits: Limits) -> tuple[Decoded, CodePicture | None]:
    """Return what `decode` returns, and the picture in which codes are searched. Raises ImageFault too."""
    return _decode_file(data, want, limits, for_codes=True)


def _decode_file(
    data: bytes, want: ImageInput, limits: Limits, for_codes: bool
) -> tuple[Decoded, CodePicture | None]:
    if not data:
        raise ImageFault(FaultCode.EMPTY_FILE)
    sha256 = hashlib.sha256(data).hexdigest()
    if (plain := decode_plain_png(data, limits)) is not None:
        facts = ImageFacts(sha256, "PNG", *plain.size)
        decoded = Decoded(fit(plain, want), facts, want.channels == 1 and has_colours(plain))
        return decoded, grey_picture(plain) if for_codes else None
    name = detect_format(data)
    try:
        pixels, (width, height), lost_colours, picture = _decode(data, name, want, limits, for_codes)
    except (ImageFault, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _header_fault(data, name) from None
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise _damaged(error) from error
    return Decoded(pixels, ImageFacts(sha256, name, width, height), lost_colours), picture


def _decode(
    data: bytes, name: str, want: ImageInput, limits: Limits, for_codes: bool
) -> tuple[NDArray[np.uint8], tuple[int, int], bool, CodePicture | None]:
    """Return the pixels, the size of the upright picture, and whether the model takes its colours away.

    The last is the picture in which codes are searched.
    """
    stated: Preview | None = None
    if name == RAW:
        stated = require_preview(data, want)
        data, name = stated.jpeg, "JPEG"
    image, size, data = _load(data, name, want, limits)
    orientation, profile = orientation_of(image), stated_profile(image, data)
    if stated:
        orientation = orientation or stated.orientation
        profile = profile or stated.profile
    full_size = size
    if orientation >= 5:
        size = size[::-1]
    lost_colours = want.channels == 1 and has_colours(image)
    pixels = to_model_pixels(image, want, data, orientation, profile)
    picture = _code_picture(image, full_size, data) if for_codes else None
    return pixels, size, lost_colours, picture


def _code_picture(image: Image.Image, full_size: tuple[int, int], data: bytes) -> CodePicture:
    """Return the picture in which codes are searched, after the model's pixels have been made."""
    if image.size != full_size and image.format in {"JPEG", "MPO"}:
        # It was scaled down in the decoder, to too few pixels for codes. It is decoded again, in grey: one
        # picture in full size for both would change the model's pixels.
        return CodePicture(data)
    if is_simple(image):
        return grey_picture(image)
    width, height = size_to_convert(image)
    # A clear colour has been converted to 8 bits with the model's pixels.
    grey = to_model_pixels(image, ImageInput(height, width, 1), _EIGHT_BITS)
    return CodePicture(grey.tobytes(), width, height)


class _Loaded(NamedTuple):
    """A decoded picture, not yet upright; its size in the file; and the bytes that were decoded."""

    image: Image.Image
    size: tuple[int, int]
    data: bytes


def _load(data: bytes, name: str, want: ImageInput, limits: Limits) -> _Loaded:
    """Decode a file; what is missing or damaged beside the picture does not matter."""
    if name == "JPEG":
        return _load_jpeg(data, want, limits)
    if name == "PNG":
        return _load_png(data, want, limits)
    if name == "WEBP":
        # libwebp allocates two canvases when it opens a file.
        require_few_pixels(webp_pixels(data), limits)
        require_little_memory(webp_memory(webp_pixels(data)), limits)
    require_written(data, name)
    return _open(data, name, want, limits)


def _load_jpeg(data: bytes, want: ImageInput, limits: Limits) -> _Loaded:
    end = jpeg_end(data)
    if end is None:
        try:
            return _open(data, "JPEG", want, limits)
        except OSError as error:
            if "truncated" not in str(error):
                raise
            closed, fault = close_jpeg(data), _damaged(error)
    else:
        closed, fault = close_jpeg(data[:end]), unwritten_fault()
    # If only the end marker is missing, nothing that follows changes the picture. A progressive one is
    # compared at its full size: scaled down, it does not show what the last scans hold.
    several = read_jpeg_frame(data).has_several_scans
    compared = ImageInput(LONGEST_SIDE, LONGEST_SIDE, want.channels) if several else want
    # Both by Pillow: the fast path refuses the continued one, and has other pixels.
    continued = _digest(_open(closed.continued, "JPEG", compared, limits, is_plain=False).image)
    loaded = _open(closed.data, "JPEG", compared, limits, is_plain=False)
    if not closed.has_every_component or _digest(loaded.image) != continued:
        raise fault
    return loaded


def _digest(image: Image.Image) -> bytes:
    digest = hashlib.sha256()
    for _, strip in strips_of(image):
        digest.update(strip.tobytes())
    return digest.digest()


def _load_png(data: bytes, want: ImageInput, limits: Limits) -> _Loaded:
    require_picture_chunks(data)
    try:
        return _open(data, "PNG", want, limits)
    except (ImageFault, MemoryError):
        raise
    except Exception:  # perhaps in a chunk that the picture does not need
        try:
            return _open(only_needed_chunks(data), "PNG", want, limits)
        except UnidentifiedImageError:
            pass
        raise


def _open(data: bytes, name: str, want: ImageInput, limits: Limits, *, is_plain: bool = True) -> _Loaded:
    """Check the cost of a file's picture, then decode it; a JPEG that `is_plain`, by its fast path."""
    with Image.open(io.BytesIO(data), formats=(name,)) as image:
        size = image.size
        require_short_sides(image)
        require_few_pixels(pixels_to_decode(image, data, name, want), limits)
        if name == "JPEG2000":
            _leave_out_detail(image, data, want, limits)
        else:
            require_little_memory(memory_to_decode(image, data, name, size), limits)
        partial = _partial_frame(image) if name == "GIF" else None
        if name == "JPEG" and is_plain and (plain := decode_plain_jpeg(image, data, size, want)) is not None:
            return _Loaded(plain, size, data)
        if name == "TIFF":
            hide_other_tags(image)
        image.load()
        if name in {"BMP", "TIFF"}:
            require_written_rows(image, data, name)
            size = image.size
        return _Loaded(_on_canvas(image, partial) if partial else image, size, data)


def _leave_out_detail(image: ImageFile.ImageFile, data: bytes, want: ImageInput, limits: Limits) -> None:
    """Let OpenJPEG decode a picture smaller if all of it would take too much memory."""
    reduction = jpeg2000_reduction(data, image.size, want, limits)
    require_little_memory(jpeg2000_memory(data, image.size, reduction), limits)
    if reduction:
        if not has_jpeg2000_end(data):
            # The details that are left out may be those that are missing.
            raise ImageFault(FaultCode.TRUNCATED, "The image's end is missing.")
        image.reduce = reduction  # type: ignore[assignment,method-assign]


def _partial_frame(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Return the box of a GIF's first frame if the frame does not cover the canvas."""
    box = image.tile[0].extents if image.tile else None
    return None if box is None or box == (0, 0, *image.size) else box


def _on_canvas(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    # Pillow fills the rest with the palette's first colour; browsers show the page's background.
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    for top, strip in strips_of(image.crop(box)):
        canvas.paste(strip.convert("RGBA"), (box[0], box[1] + top))
    return canvas


def _header_fault(data: bytes, name: str) -> ImageFault:
    """Call the decoder directly for the reason, which Image.open does not pass on."""
    factory, _ = Image.OPEN[name]
    try:
        factory(io.BytesIO(data), b"")
    except (OSError, SyntaxError, IndexError, TypeError, struct.error) as error:
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
