"""Detects the image format of a file from its first bytes, whatever the file is called."""

import re

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.raw_previews import is_raw_tiff

#: The only formats that Pillow may open.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000")
#: A camera's raw file, of which the JPEG preview is decoded.
RAW = "RAW"

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
    b"FUJIFILMCCD-RAW": RAW,
    b"IIU\x00": RAW,
}
#: Magic bytes of image formats that are not accepted.
_REFUSED_MAGIC = (
    *(b"8BPS", b"\x00\x00\x01\x00", b"\x00\x00\x02\x00", b"qoif", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
    *(b"II\xbc\x01", b"IIRO", b"IIRS", b"v/1\x01", b"#?RADIANCE", b"gimp xcf"),
    *(b"DDS ", b"icns", b"BPG\xfb", b"FLIF", b"\x8aMNG", b"\x8bJNG", b"SIMPLE  =", b"\xd7\xcd\xc6\x9a"),
)
_NETPBM = re.compile(rb"P[1-6]\s+[\d#]|P[fF]\s+\d|P7\nWIDTH ")
_SVG = re.compile(rb"<(?:svg:)?svg[\s>]")
#: Brands of ISO media files (ISO/IEC 14496-12): the codec of the image inside.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_REFUSED_BRANDS = frozenset({b"jxl ", b"jpeg", b"jpgs", b"avci", b"j2ki", b"vvic", b"miaf", b"mif2"})
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def detect_format(data: bytes) -> str:
    """Return the format of FORMATS whose magic bytes `data` has, or RAW.

    Raises ImageFault: unsupported_format for another image format, not_an_image for other content.
    """
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return RAW if name == "TIFF" and is_raw_tiff(data) else name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    format_of_brand = _format_of_brand(brand, data[16 : min(int.from_bytes(data[:4]), 256)])
    if format_of_brand:
        return format_of_brand
    if data.startswith(_REFUSED_MAGIC) or brand in _REFUSED_BRANDS or _NETPBM.match(data) or _is_svg(data):
        raise ImageFault(FaultCode.UNSUPPORTED_FORMAT, "Accepted are {formats}.", formats=", ".join(FORMATS))
    raise ImageFault(FaultCode.NOT_AN_IMAGE)


def _format_of_brand(brand: bytes, compatible: bytes) -> str | None:
    if brand in _HEIF_BRANDS:
        return "HEIF"
    if brand == b"crx ":
        return RAW
    if brand in _AVIF_BRANDS:
        return "AVIF"
    if brand in {b"mif1", b"msf1"}:
        # These brands name the container only; the list of compatible brands names the codec.
        codecs = {compatible[i : i + 4] for i in range(0, len(compatible), 4)}
        return "AVIF" if codecs & _AVIF_BRANDS and not codecs & _HEIF_BRANDS else "HEIF"
    return None


def _is_svg(data: bytes) -> bool:
    head = data[:4096]
    found = _SVG.search(head)
    # An HTML page may contain SVG drawings too.
    return found is not None and b"<html" not in head[: found.start()].lower()
