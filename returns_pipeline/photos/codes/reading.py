"""Reads codes in a grey picture with zxing-cpp, at the scales at which they are found.

Nothing can interrupt zxing-cpp, so `reading_process` calls this, and not a worker.

A picture of 12 megapixels is too large to be searched as it is. The bars of a linear code need every pixel
across them, but only a few lines along them: some rows and some columns of the picture are enough. The
squares of a matrix code need both directions, but are several times as large as the bars of a code of the
same width: a smaller picture is enough.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.photos.codes.lines import lines_of
from returns_pipeline.records.codes import LONGEST_CODE, Code, CodeFormat, CodeRules
from returns_pipeline.records.number_patterns import NumberPattern

#: Codes of one photo that are kept, in the order in which they are found.
MOST_CODES = 16
#: The longer side, in pixels, in which matrix codes are searched: half of what phones take, and a quarter for
#: formats whose search takes long. Those are not searched light on dark either.
_SIDE, _SHORT_SIDE = 2100, 1050
#: Characters of a code's text that a pattern is matched against. A QR code holds at most 7,089.
_LONGEST_TEXT = 512
#: Spreadsheets take a text that begins so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@")

_MATRIX = {
    CodeFormat.QR: zxingcpp.BarcodeFormat.QRCode,
    CodeFormat.DATA_MATRIX: zxingcpp.BarcodeFormat.DataMatrix,
    CodeFormat.AZTEC: zxingcpp.BarcodeFormat.Aztec,
    CodeFormat.PDF417: zxingcpp.BarcodeFormat.PDF417,
}
_SLOW = frozenset({CodeFormat.DATA_MATRIX, CodeFormat.AZTEC})
_LINEAR = {
    CodeFormat.EAN13: zxingcpp.BarcodeFormat.EAN13,
    CodeFormat.EAN8: zxingcpp.BarcodeFormat.EAN8,
    CodeFormat.CODE128: zxingcpp.BarcodeFormat.Code128,
    CodeFormat.CODE39: zxingcpp.BarcodeFormat.Code39,
    CodeFormat.ITF: zxingcpp.BarcodeFormat.ITF,
}
#: A variant, like ITF-14 or an ISBN, has the name of its family.
_NAMES = {barcode: name for name, barcode in (_MATRIX | _LINEAR).items()}


def read_codes(grey: NDArray[np.uint8], rules: CodeRules) -> tuple[Code, ...]:
    """Return the codes in a grey picture, uint8 [h, w], whose text `rules` accepts: each text once.

    At most MOST_CODES are returned.
    """
    found: dict[tuple[str, str], Code] = {}
    for code in _all_codes(grey, rules.formats):
        number = _number_in(code.text, rules.pattern)
        if number is not None and len(found) < MOST_CODES:
            found.setdefault((code.format, number), code._replace(text=number))
    return tuple(found.values())


def _all_codes(grey: NDArray[np.uint8], names: Sequence[str]) -> Iterator[Code]:
    """Yield the codes in a picture, some of them several times."""
    if linear := _formats(tuple(name for name in names if name in _LINEAR)):
        for lines in lines_of(grey):
            found = zxingcpp.read_barcodes(
                lines.pixels,
                linear,
                try_rotate=False,
                try_downscale=False,
                text_mode=zxingcpp.TextMode.Plain,
                binarizer=zxingcpp.Binarizer.BoolCast,
            )
            yield from _codes(found, lines.along, lines.across, lines.are_columns)
    for side, is_slow in ((_SIDE, False), (_SHORT_SIDE, True)):
        names_here = tuple(name for name in names if name in _MATRIX and (name in _SLOW) is is_slow)
        if matrix := _formats(names_here):
            factor = -(-max(grey.shape) // side)
            smaller = np.asarray(Image.fromarray(grey).reduce(factor)) if factor > 1 else grey
            found = zxingcpp.read_barcodes(
                smaller, matrix, try_invert=not is_slow, text_mode=zxingcpp.TextMode.Plain
            )
            yield from _codes(found, factor, factor)


def _codes(
    found: Sequence[zxingcpp.Barcode], x_scale: int, y_scale: int, are_columns: bool = False
) -> Iterator[Code]:
    """Yield what zxing-cpp found; corners are multiplied by the scales, then x and y exchanged if needed."""
    for barcode in found:
        place = barcode.position
        corners = [
            (point.x * x_scale, point.y * y_scale)
            for point in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
        ]
        yield Code(
            barcode.text[: _LONGEST_TEXT + 1],
            _NAMES.get(barcode.format) or _NAMES.get(barcode.symbology, CodeFormat.EAN13),
            tuple((y, x) for x, y in corners) if are_columns else tuple(corners),
        )


@lru_cache(maxsize=8)
def _formats(names: tuple[str, ...]) -> Any:
    """Return zxing-cpp's set of formats; None for no names, which zxing-cpp takes for all formats."""
    known = _MATRIX | _LINEAR
    return zxingcpp.BarcodeFormats([known[CodeFormat(name)] for name in names]) if names else None


def _number_in(text: str, pattern: str) -> str | None:
    """Return what is stored of a code's text; None if it is no number of a return."""
    if len(text) > _LONGEST_TEXT:
        return None
    text = unicodedata.normalize("NFC", text.strip())
    if pattern:
        text = (NumberPattern(pattern).find_whole(text) or "").strip()
    if not 0 < len(text) <= LONGEST_CODE or not text.isprintable() or text.startswith(_FORMULA_STARTS):
        return None
    return text
