"""Makes the odd files of docs/faults.md, as phones, cameras and interrupted copies leave them."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

#: The upright picture that turned photos show, and the stored one of orientation 6.
UPRIGHT_SIZE = (200, 300)
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT")


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def photo(width: int = 300, height: int = 200) -> Image.Image:
    """Return a picture that is nowhere black and changes everywhere, brightest at the top left."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(3).integers(0, 40, (height, width, 3))
    shade = 200 - 80 * rows / height - 60 * columns / width
    return Image.fromarray((shade[..., None] + noise).astype(np.uint8))


def stored() -> Image.Image:
    """Return the pixels of an upright photo as a camera on its side stores them: orientation 6."""
    return photo(*UPRIGHT_SIZE).transpose(Image.Transpose.ROTATE_90)


def _zeros_after(data: bytes, share: float) -> bytes:
    keep = int(len(data) * share)
    return data[:keep] + bytes(len(data) - keep)


def _rest_of(file_format: str, **options: Any) -> list[bytes]:
    data = encoded(photo(), file_format, **options)
    return [_zeros_after(data, share) for share in (0.34, 0.7, 0.9)]


def _jpeg_with_end() -> list[bytes]:
    return [data[:-2] + b"\xff\xd9" for data in _rest_of("JPEG", quality=95)]


def _jpeg_hole() -> list[bytes]:
    data = encoded(photo(600, 400), "JPEG", quality=95)
    middle = len(data) // 2
    return [data[:middle] + bytes(4096) + data[middle + 4096 :]]


def _jpeg2000_holes() -> list[bytes]:
    files = [
        encoded(photo(600, 400), "JPEG2000", **options)
        for options in ({}, {"irreversible": True, "quality_layers": [20]}, {"tile_size": (256, 256)})
    ]
    return [data[: len(data) // 3] + bytes(4096) + data[len(data) // 3 + 4096 :] for data in files]


def _packbits() -> list[bytes]:
    """Return a TIFF whose directory comes first and whose one strip is zeros."""
    tags = {256: 64, 257: 64, 258: 8, 259: 32773, 262: 1, 273: 200, 277: 1, 278: 64, 279: 8000}
    return [_tiff([(tag, 4, 1, struct.pack("<I", value)) for tag, value in tags.items()], 200) + bytes(8000)]


def _tiff(entries: list[tuple[int, int, int, bytes]], size: int, tail: bytes = b"") -> bytes:
    """Return the header and the directory of a TIFF, with `tail` behind it, filled up to `size` bytes."""
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for tag, kind, count, value in sorted(entries):
        head += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return (head + bytes(4) + tail).ljust(size, b"\0")


def _blank() -> list[bytes]:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("JPEG", {}),
        ("JPEG", {"optimize": True}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
    ]
    kinds += [
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("HEIF", {}),
        ("AVIF", {}),
        ("GIF", {}),
        ("BMP", {}),
    ]
    kinds += [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "packbits"})]
    kinds += [("TIFF", {"compression": "tiff_adobe_deflate"}), ("JPEG2000", {})]
    kinds += [("JPEG2000", {"precinct_size": (64, 64), "quality_layers": [80, 40, 20, 10, 5]})]
    colours = ("black", "white")
    return [encoded(Image.new("RGB", (1000, 800), c), kind, **more) for kind, more in kinds for c in colours]


def _black_background() -> list[bytes]:
    image = Image.new("RGB", (700, 800))
    image.paste(photo(), (150, 200))
    margin = Image.new("RGB", (300, 800))
    margin.paste(photo(), (0, 0))
    kinds = ("BMP", "TIFF", "PNG", "WEBP", "AVIF", "HEIF", "JPEG")
    flipped = margin.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return [encoded(each, kind) for each in (image, margin, flipped) for kind in kinds]


def _no_end(padding: int = 0, **options: Any) -> list[bytes]:
    sizes = ((300, 200), (301, 203), (64, 64))
    return [encoded(photo(*size), "JPEG", **options)[:-2] + bytes(padding) for size in sizes]


def _cut() -> list[bytes]:
    whole = [encoded(photo(), "JPEG", quality=90, progressive=each) for each in (False, True)]
    # Decoders scale a large picture down, and then need little of a progressive one.
    whole.append(encoded(photo(1000, 800), "JPEG", quality=90, progressive=True))
    return [data[: len(data) * 99 // 100] + bytes(zeros) for data in whole for zeros in (0, 5000)]


def _jpeg_with_exif(*entries: tuple[int, int, int, bytes], tail: bytes = b"") -> bytes:
    return encoded(stored(), "JPEG", quality=90, exif=b"Exif\0\0" + _tiff(list(entries), 0, tail))


_SIX = (274, 3, 1, b"\6\0")


def _mistyped() -> list[bytes]:
    far = struct.pack("<I", 10 + 12 * 2 + 4)
    return [
        _jpeg_with_exif(_SIX, (282, 2, 4, b"72\0\0")),
        _jpeg_with_exif(_SIX, (282, 3, 1, b"\x48\0")),
        _jpeg_with_exif(_SIX, (34853, 2, 4, b"gps\0")),
        _jpeg_with_exif(_SIX, (282, 5, 1, far), tail=struct.pack("<II", 72, 0)),
        _jpeg_with_exif(_SIX, (271, 5, 9, b"\xff\xff\xff\x7f")),
    ]


def _chunk(name: bytes, content: bytes, crc: int = 0) -> bytes:
    return (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content) ^ crc)
    )


def _png(chunk: bytes, image: Image.Image | None = None) -> bytes:
    data = encoded(image or photo(), "PNG")
    return data[:33] + chunk + data[33:]


def _xmp() -> bytes:
    return b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"


def _xmp_attribute() -> bytes:
    return b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def _raw_profile() -> bytes:
    exif = b"Exif\0\0" + _tiff([_SIX], 0)
    text = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n"
    return _chunk(b"tEXt", b"Raw profile type exif\0" + text)


def _turned_tiff() -> bytes:
    data = bytearray(encoded(stored(), "TIFF", tiffinfo={274: 6}, dpi=(72, 72)))
    at = data.index(struct.pack("<HH", 282, 5))
    data[at + 2 : at + 12] = struct.pack("<HI4s", 2, 4, b"72\0\0")
    return bytes(data)


_ANCILLARY = {b"gAMA": bytes([0, 0, 177, 143]), b"tEXt": b"a\0b", b"pHYs": bytes(9), b"sRGB": b"\0"}


def _bad_critical() -> list[bytes]:
    files = []
    palette = encoded(photo().quantize(16), "PNG")
    for name in _CRITICAL:
        data = bytearray(palette)
        at = data.index(name)
        data[at + 4 + int.from_bytes(data[at - 4 : at])] ^= 1
        files.append(bytes(data))
    return files


def _raw(preview: Image.Image, orientation: int = 1) -> list[bytes]:
    """Return a DNG, a CR2 and a NEF whose first picture is a thumbnail; a RW2, a RAF and a CR3."""
    jpeg = encoded(preview, "JPEG", quality=90)
    thumb = struct.pack("<I", 3000)
    first = [(256, 4, 1, b"\x10"), (257, 4, 1, b"\x0b"), (258, 3, 1, b"\x08"), (259, 3, 1, b"\1")]
    first += [(262, 3, 1, b"\1"), (273, 4, 1, thumb), (277, 3, 1, b"\1"), (278, 4, 1, b"\x0b")]
    first += [(279, 4, 1, b"\xb0"), (274, 3, 1, bytes([orientation]))]
    place, size = struct.pack("<I", 4000), struct.pack("<I", len(jpeg))
    below = _tiff([(254, 4, 1, b"\1"), (513, 4, 1, place), (514, 4, 1, size)], 0)[8:]
    strip = [(259, 3, 1, b"\x07"), (262, 3, 1, b"\6"), (273, 4, 1, place), (279, 4, 1, size)]
    makers = {
        "dng": ([(50706, 1, 4, b"\1\4\0\0"), (330, 4, 1, struct.pack("<I", 2000))], _tiff(strip, 0)[8:]),
        "nef": ([(271, 2, 4, b"Nik\0"), (254, 4, 1, b"\1"), (330, 4, 1, struct.pack("<I", 2000))], below),
    }
    files = [
        _tiff(first + more, 2000) + sub.ljust(2000, b"\1") + jpeg + b"\1" * 99
        for more, sub in makers.values()
    ]
    rw2 = _tiff([(46, 7, len(jpeg), place), (274, 3, 1, bytes([orientation]))], 4000) + jpeg
    files.append(b"IIU\0" + rw2[4:])
    exif = b"Exif\0\0" + _tiff([(274, 3, 1, bytes([orientation]))], 0)
    whole = encoded(preview, "JPEG", quality=90, exif=exif)
    files.append(
        (b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">II", 200, len(whole))).ljust(200) + whole
    )
    cmt1 = _tiff([(274, 3, 1, bytes([orientation]))], 0)
    brand = struct.pack(">I", 24) + b"ftypcrx " + bytes(4) + b"crx isom"
    box = struct.pack(">I", len(cmt1) + 8) + b"CMT1" + cmt1
    files.append(brand + box + struct.pack(">I", len(jpeg) + 8) + b"mdat" + jpeg)
    return files


def _unknown_tags() -> bytes:
    tags = [(256, 4, 1, b"\x40"), (257, 4, 1, b"\x40"), (258, 3, 1, b"\x08"), (259, 3, 1, b"\5")]
    packed = encoded(Image.new("L", (64, 64), 90), "TIFF", compression="tiff_lzw")
    with Image.open(io.BytesIO(packed)) as image:
        at, size = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    place = 8 + 2 + 12 * 2009 + 4
    tags += [(262, 3, 1, b"\1"), (273, 4, 1, struct.pack("<I", place)), (277, 3, 1, b"\1")]
    tags += [(278, 4, 1, b"\x40"), (279, 4, 1, struct.pack("<I", size))]
    tags += [(40000 + i, 77, 1, b"\7") for i in range(2000)]
    return _tiff(tags, 0, packed[at : at + size])


def _hidden_scans() -> list[bytes]:
    data = encoded(Image.new("L", (200, 200), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    files = []
    for marker in (b"\xff\xfe", b"\xff\xe5"):
        segment = marker + struct.pack(">H", 6) + b"\xff\xd9\xff\xd9"
        files.append(data[:last] + segment + data[last:-2] * 501 + b"\xff\xd9")
    return files


KINDS: dict[str, Callable[[], list[bytes]]] = {
    "zeros-jpeg": lambda: _rest_of("JPEG", quality=90),
    "zeros-jpeg-progressive": lambda: _rest_of("JPEG", quality=90, progressive=True),
    "zeros-jpeg-with-end": _jpeg_with_end,
    "zeros-jpeg-hole": _jpeg_hole,
    "zeros-png": lambda: _rest_of("PNG") + _rest_of("PNG", dpi=(72, 72)),
    "zeros-webp": lambda: _rest_of("WEBP", quality=90),
    "zeros-webp-lossless": lambda: _rest_of("WEBP", lossless=True),
    "zeros-heic": lambda: _rest_of("HEIF"),
    "zeros-avif": lambda: _rest_of("AVIF"),
    "zeros-tiff": lambda: _rest_of("TIFF"),
    "zeros-tiff-packbits": _packbits,
    "zeros-bmp": lambda: _rest_of("BMP"),
    "zeros-jp2": lambda: _rest_of("JPEG2000"),
    "zeros-jp2-hole": _jpeg2000_holes,
    "zeros-gif": lambda: _rest_of("GIF"),
    "blank": _blank,
    "black-background": _black_background,
    "zeros-after-end": lambda: [encoded(photo(), "JPEG", progressive=p) + bytes(9000) for p in (False, True)],
    "no-end": _no_end,
    "no-end-progressive": lambda: _no_end(progressive=True),
    "no-end-zeros": lambda: _no_end(4096) + _no_end(100) + _no_end(4096, progressive=True),
    "cut": _cut,
    "exif-mistyped": _mistyped,
    "orientation-byte": lambda: [_jpeg_with_exif((274, 1, 1, b"\6"))],
    "orientation-long": lambda: [_jpeg_with_exif((274, 4, 1, b"\6\0\0\0"))],
    "orientation-two": lambda: [_jpeg_with_exif((274, 3, 2, b"\6\0\1\0"))],
    "orientation-ascii": lambda: [_jpeg_with_exif((274, 2, 2, b"6\0"))],
    "orientation-png-text": lambda: [_png(_raw_profile(), stored())],
    "orientation-xmp-jpeg": lambda: [encoded(stored(), "JPEG", xmp=x) for x in (_xmp(), _xmp_attribute())],
    "orientation-xmp-png": lambda: [_png(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp()), stored())],
    "orientation-tiff": lambda: [_turned_tiff()],
    "png-chunk-crc": lambda: [
        _png(_chunk(n, c, 1)) for n, c in (*_ANCILLARY.items(), (b"eXIf", _tiff([_SIX], 0)))
    ],
    "png-chunk-length": lambda: [_png(_chunk(n, b"")) for n in (b"gAMA", b"pHYs", b"sRGB")],
    "png-critical-crc": _bad_critical,
    "raw-preview": lambda: _raw(photo()),
    "raw-turned": lambda: _raw(stored(), 6),
    "raw-thumbnail": lambda: _raw(photo(30, 20)),
    "tiff-unknown-tags": lambda: [_unknown_tags()],
    "scans-hidden": _hidden_scans,
}

#: Names that a scan skips, whatever they contain.
SKIPPED: dict[str, tuple[str, ...]] = {
    "nas-folders": (
        *("@eaDir/IMG_1.jpg/SYNOPHOTO_THUMB_M.jpg", "@eaDir/IMG_1.jpg/SYNOINDEX_MEDIA_INFO"),
        *(
            "#recycle/IMG_2.jpg",
            "#snapshot/IMG_1.jpg",
            "$RECYCLE.BIN/S-1-5/$R1.jpg",
            ".Trashes/501/IMG_3.jpg",
        ),
        *(
            "__MACOSX/._IMG_1.jpg",
            ".AppleDouble/IMG_1.jpg",
            "System Volume Information/a",
            "lost+found/a.jpg",
        ),
    ),
    "nas-files": (
        *("Thumbs.db", "ehthumbs.db", "desktop.ini", ".DS_Store", "._IMG_1.jpg"),
        *("IMG_1.aae", "IMG_1.AAE", "IMG_1.jpg.xmp"),
    ),
    "partial-names": tuple(f"IMG_1.jpg{end}" for end in (".part", ".tmp", ".crdownload", ".filepart", "~")),
}
