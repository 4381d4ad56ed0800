"""One file's bytes to the pixels that a model takes: sniff, bound, orient, decode, resize.

Every fault of the file raises ImageFault. Bounds are enforced before anything is decoded.
"""

import hashlib
import io
import logging
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageFile, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.records.images import Decoded, ImageFacts
from returns_pipeline.records.models import ImageInput

# A worker process decodes one image at a time and there is a process for each core. Thumbnails, depth
# maps and the like are never used and would only be more of a hostile file to read.
register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Our own bound counts what is really decoded and is checked in `decode`; Pillow's would refuse
# a large JPEG that is scaled down while it is decoded.
Image.MAX_IMAGE_PIXELS = None
# What is wrong with a file is told in its row. Pillow's remarks about it would fill a worker's log.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

#: The only formats that Pillow may open, whatever a file is called.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000")

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
#: Beginnings of images that a person would call images, but that are not accepted.
_REFUSED = (
    *(b"8BPS", b"\x00\x00\x01\x00", b"\x00\x00\x02\x00", b"qoif", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
    *(b"II\xbc\x01", b"IIRO", b"IIRS", b"IIU\x00", b"FUJIFILM", b"v/1\x01", b"#?RADIANCE", b"gimp xcf"),
    *(b"DDS ", b"icns", b"BPG\xfb", b"FLIF", b"\x8aMNG", b"\x8bJNG", b"SIMPLE  =", b"\xd7\xcd\xc6\x9a"),
)
#: The parts of a PNG that has no more than it must: what stands before the size, the kinds by depth, colour,
#: compression, filter and interlace, what ends it.
_PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PLAIN_PNG = {b"\x08\x00\x00\x00\x00": "L", b"\x08\x02\x00\x00\x00": "RGB"}
_PNG_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_NETPBM = re.compile(rb"P[1-6]\s+[\d#]|P[fF]\s+\d|P7\nWIDTH ")
_SVG = re.compile(rb"<(?:svg:)?svg[\s>]")
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_OTHER_BRANDS = frozenset({b"crx ", b"jxl ", b"jpeg", b"jpgs", b"avci", b"j2ki", b"vvic", b"miaf", b"mif2"})
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
#: How Pillow says that a file may be sound but is of a kind that it cannot decode.
_UNSUPPORTED = re.compile(r"(?i)unsupported|not supported|cannot handle|unknown pixel mode|unknown data org")
_ORIENTATION = 0x0112
_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _TILE_WIDTH, _TILE_HEIGHT = 262, 258, 339, 322, 323
#: Passes over a progressive JPEG that an encoder makes; each more costs as much as the picture again.
_SCANS = 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost: `max_bytes` of the file, `max_pixels` to decode."""

    max_bytes: int
    max_pixels: int


class _JpegFrame(NamedTuple):
    """How a JPEG is coded: its SOF `marker`, whether it comes in `passes`, where the `first` scan begins."""

    marker: int
    passes: bool
    first: int

    @property
    def is_lossless(self) -> bool:
        return self.marker in {0xC3, 0xC7, 0xCB, 0xCF}


def decode(data: bytes, want: ImageInput, limits: Limits) -> Decoded:
    """Return the first frame of an image as uint8 [want.height, want.width, want.channels].

    Orientation is applied, transparency composited on white, 16 bits reduced to 8. The picture is
    stretched to the model's size. Raises ImageFault: empty_file, not_an_image, unsupported_format,
    truncated, too_many_pixels.
    """
    if not data:
        raise ImageFault(FaultCode.EMPTY_FILE)
    sha256 = hashlib.sha256(data).hexdigest()
    if (plain := _plain_png(data, limits)) is not None:
        return Decoded(_fit(plain, want), ImageFacts(sha256, "PNG", *plain.size))
    name = _sniff(data)
    try:
        pixels, (width, height) = _decode(data, name, want, limits)
    except (ImageFault, MemoryError):
        raise
    except UnidentifiedImageError:
        raise _refused_by_the_decoder(data, name) from None
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise _damaged(error) from error
    return Decoded(pixels, ImageFacts(sha256, name, width, height))


def _decode(
    data: bytes, name: str, want: ImageInput, limits: Limits
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return the pixels and the size of the upright picture."""
    if name == "WEBP":
        # libwebp holds two canvases as soon as a file is opened.
        _refuse_too_many(_webp_pixels(data), limits)
    try:
        with Image.open(io.BytesIO(data), formats=(name,)) as image:
            size = image.size
            _refuse_too_many(_pixels_to_decode(image, data, name, want), limits)
            partial = _partial_frame(image) if name == "GIF" else None
            image.load()
            picture = _on_canvas(image, partial) if partial else image
            orientation = _orientation(image)
            if orientation != 1:
                picture = ImageOps.exif_transpose(picture)
            if orientation >= 5:
                size = size[::-1]
            return _to_pixels(picture, want, data), size
    except ValueError as error:
        if name != "PNG" or "MAX_TEXT" not in str(error):
            raise
        # Comments that unpack to many megabytes say nothing about the picture.
        return _decode(_without_comments(data), name, want, limits)


def _sniff(data: bytes) -> str:
    """Return the one format of FORMATS that `data` begins as. Raises ImageFault for all else."""
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    format_of_brand = _brand_format(brand, data[16 : min(int.from_bytes(data[:4]), 256)])
    if format_of_brand:
        return format_of_brand
    if data.startswith(_REFUSED) or brand in _OTHER_BRANDS or _NETPBM.match(data) or _is_svg(data):
        raise ImageFault(FaultCode.UNSUPPORTED_FORMAT, "Accepted are {formats}.", formats=", ".join(FORMATS))
    raise ImageFault(FaultCode.NOT_AN_IMAGE)


def _brand_format(brand: bytes, compatible: bytes) -> str | None:
    if brand in _HEIF_BRANDS:
        return "HEIF"
    if brand in {b"avif", b"avis"}:
        return "AVIF"
    if brand in {b"mif1", b"msf1"}:
        # The container's own brand leaves the codec to the list that follows.
        codecs = {compatible[i : i + 4] for i in range(0, len(compatible), 4)}
        return "AVIF" if codecs & {b"avif", b"avis"} and not codecs & _HEIF_BRANDS else "HEIF"
    return None


def _is_svg(data: bytes) -> bool:
    head = data[:4096]
    found = _SVG.search(head)
    # A web page may hold drawings too.
    return found is not None and b"<html" not in head[: found.start()].lower()


def _pixels_to_decode(image: ImageFile.ImageFile, data: bytes, name: str, want: ImageInput) -> int:
    """Return how many pixels `load` would hold, having asked a JPEG's decoder to scale down."""
    pixels = image.width * image.height
    if name == "JPEG":
        frame = _jpeg_frame(data)
        if not frame.is_lossless:
            _scale_while_decoding(image, want)
        if frame.passes or frame.is_lossless:
            # Scaled or not, libjpeg keeps the coefficients of the whole picture until the last pass.
            end = data.find(b"\xff\xd9", frame.first)
            scans = data.count(b"\xff\xda", frame.first, end if end > 0 else len(data))
            return max(pixels, pixels * scans // _SCANS)
        return image.width * image.height
    if name == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        # A tile is unpacked whole, however little of it the picture shows.
        return max(pixels, _whole(tags.get(_TILE_WIDTH)) * _whole(tags.get(_TILE_HEIGHT)))
    return pixels


def _scale_while_decoding(image: Image.Image, want: ImageInput) -> None:
    """Let the JPEG decoder scale down by 2, 4 or 8, never below 1.5 times the wanted size.

    Over photos that changes pixels by 2.3 of 255 (root mean square) against decoding them whole. Never below
    twice the size would change them by 1.9, but take a third longer for 12 megapixels to 224 x 224.
    """
    side = 3 * max(want.width, want.height) // 2
    image.draft(None, (side, side))


def _jpeg_frame(data: bytes) -> _JpegFrame:
    """Walk a JPEG's markers up to its first scan, as libjpeg does."""
    at, marker, components = 2, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        code = data[at + 1]
        if code in {0x00, 0x01, 0xFF} or 0xD0 <= code <= 0xD8:
            at += 1 if code == 0xFF else 2
            continue
        if code == 0xDA:
            return _JpegFrame(marker, marker not in {0xC0, 0xC1, 0xC9} or data[at + 4] < components, at)
        if 0xC0 <= code <= 0xCF and code not in {0xC4, 0xC8, 0xCC}:
            marker, components = code, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return _JpegFrame(marker, passes=True, first=len(data))


def _plain_png(data: bytes, limits: Limits) -> Image.Image | None:
    """Return a grey or RGB PNG of 8 bits that is nothing but one piece of data; None for every other one.

    Reading the parts of a small PNG costs Image.open several times as much as decoding it. What is damaged
    is left to Image.open too, which knows the reason.
    """
    mode = _PLAIN_PNG.get(data[24:29])
    if mode is None or data[:16] != _PNG_HEAD or data[37:41] != b"IDAT":
        return None
    end = 41 + int.from_bytes(data[33:37])
    if data[end + 4 :] != _PNG_TAIL:
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    sums = zlib.crc32(data[12:29]), zlib.crc32(data[37:end])
    said = int.from_bytes(data[29:33]), int.from_bytes(data[end : end + 4])
    if sums != said or not 0 < width * height <= limits.max_pixels:
        return None
    image = Image.new(mode, (width, height), None)
    try:
        image.frombytes(data[41:end], "zip", mode, 0)
    except ValueError:
        return None
    return image


def _webp_pixels(data: bytes) -> int:
    """Return the pixels of a WebP's canvas from its header, 0 where the header is no header."""
    head = data[:30].ljust(30, b"\0")
    if head[12:16] == b"VP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (int.from_bytes(head[27:30], "little") + 1)
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (int.from_bytes(head[28:30], "little") & 0x3FFF)


def _refuse_too_many(pixels: int, limits: Limits) -> None:
    if pixels > limits.max_pixels:
        raise ImageFault(
            FaultCode.TOO_MANY_PIXELS,
            "The image has {pixels:,} pixels to decode; at most {max_pixels:,} are accepted.",
            pixels=pixels,
            max_pixels=limits.max_pixels,
        )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation still to be applied. Pillow's TIFF and HEIF decoders apply their own."""
    # Reading EXIF costs more than decoding a thumbnail: ask only where there is some.
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF, which says nothing about the picture
        return 1
    return value if value in range(1, 9) else 1


def _partial_frame(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Return the place of a GIF's first frame where it leaves some of the canvas bare."""
    box = image.tile[0].extents if image.tile else None
    return None if box is None or box == (0, 0, *image.size) else box


def _on_canvas(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    # Pillow would show the palette's first colour where a browser shows the page.
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 0))
    canvas.paste(image.crop(box).convert("RGBA"), box)
    return canvas


def _to_pixels(image: Image.Image, want: ImageInput, data: bytes) -> NDArray[np.uint8]:
    size = (want.width, want.height)
    if image.mode[0] in "IF":
        image = _to_eight_bits(image, size)
    if image.has_transparency_data:
        image = _on_white(image, size, data)
    if image.mode == "LAB":
        image = image.convert("RGB")  # Pillow knows no other way out of it
    return _fit(image, want)


def _fit(image: Image.Image, want: ImageInput) -> NDArray[np.uint8]:
    """Return the pixels in the model's colours and size."""
    mode, size = "L" if want.channels == 1 else "RGB", (want.width, want.height)
    if image.mode != mode:
        image = image.convert(mode)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(want.shape)


def _to_eight_bits(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Reduce 16-bit, 32-bit and float greys; Pillow's own conversion would clip them to white."""
    tags: Any = getattr(image, "tag_v2", {})
    clear = image.info.get("transparency")
    if image.mode.startswith("I;16") and clear is None:
        # Smaller first: floats of a whole picture are the costliest to hold.
        image = image.resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(image)
    if image.mode == "I" and _whole(tags.get(_BITS)) == 32 and _whole(tags.get(_SAMPLE_FORMAT, 1)) == 1:
        values = values.view(np.uint32)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    white = _white_level(image.mode, values, tags)
    if clear is None and values.shape != size[::-1]:
        exact = Image.fromarray(values.astype(np.float32))
        values = np.asarray(exact.resize(size, Image.Resampling.BILINEAR))
    grey = np.rint(np.clip(values.astype(np.float32) / white, 0, 1) * 255).astype(np.uint8)
    if _whole(tags.get(_PHOTOMETRIC, 1)) == 0:
        grey = 255 - grey
    reduced = Image.fromarray(grey)
    if isinstance(clear, int):
        reduced.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return reduced


def _white_level(mode: str, values: NDArray[Any], tags: Any) -> float:
    """Return the value that is white: what the file says, else the next usual one above the brightest."""
    bits, signed = _whole(tags.get(_BITS)), _whole(tags.get(_SAMPLE_FORMAT, 1)) == 2
    if mode.startswith("I;16"):
        return 4095.0 if bits == 12 else 65535.0
    if bits == 16 and signed:
        return 32767.0
    brightest = float(values.max())
    usual = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
    return next((level for level in usual if brightest <= level), brightest)


def _on_white(image: Image.Image, size: tuple[int, int], data: bytes) -> Image.Image:
    """Composite transparency on white, as a shop shows a cut-out product, at the model's size."""
    if image.format == "PNG":
        _match_clear_colour(image, data)
    layer = image.convert("RGBA").convert("RGBa")
    if layer.size != size:
        layer = layer.resize(size, Image.Resampling.BILINEAR)
    values = np.asarray(layer).astype(np.int16)
    return Image.fromarray(np.minimum(values[..., :3] + (255 - values[..., 3:]), 255).astype(np.uint8))


def _match_clear_colour(image: Image.Image, data: bytes) -> None:
    """Give a PNG's one clear colour the depth to which Pillow brought the pixels."""
    depth, clear = data[24], image.info.get("transparency")
    if image.mode == "L" and isinstance(clear, int) and depth < 8:
        image.info["transparency"] = clear * 255 // (2**depth - 1)
    elif image.mode == "RGB" and isinstance(clear, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in clear)


def _without_comments(data: bytes) -> bytes:
    """Return a PNG without the chunks that hold packed text or a colour profile."""
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in {b"zTXt", b"iTXt", b"tEXt", b"iCCP"}:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _whole(value: object) -> int:
    """Return a TIFF tag's number, or the first of its numbers; 0 for anything else."""
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else 0


def _refused_by_the_decoder(data: bytes, name: str) -> ImageFault:
    """Ask the decoder again for the reason, which Image.open keeps to itself."""
    factory, _ = Image.OPEN[name]
    try:
        factory(io.BytesIO(data), b"")
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        return _damaged(error, f"The file begins as {name} but its header is damaged")
    return ImageFault(FaultCode.TRUNCATED, "The file begins as {name} but its header is damaged.", name=name)


def _damaged(error: Exception, what: str = "The image's data is damaged") -> ImageFault:
    # A reason may quote the file: nothing that a database or a terminal would choke on goes through.
    reason = "".join(c if c.isprintable() else "?" for c in str(error)[:200]).rstrip(".")
    if _UNSUPPORTED.search(reason):
        return ImageFault(
            FaultCode.UNSUPPORTED_FORMAT, "Images of this kind are not accepted: {reason}.", reason=reason
        )
    return ImageFault(
        FaultCode.TRUNCATED, "{what}: {reason}.", what=what, reason=reason or type(error).__name__
    )
