"""Bar codes and matrix codes in photos."""

from enum import StrEnum
from typing import NamedTuple

#: Characters of a code's text that are stored. A return's number is shorter.
LONGEST_CODE = 100


class CodeFormat(StrEnum):
    """A kind of code that can be read. A UPC-A is read as the EAN-13 that it is, with a 0 in front."""

    QR = "qr"
    DATA_MATRIX = "datamatrix"
    AZTEC = "aztec"
    PDF417 = "pdf417"
    EAN13 = "ean13"
    EAN8 = "ean8"
    CODE128 = "code128"
    CODE39 = "code39"
    ITF = "itf"


class Code(NamedTuple):
    """A code that was read. `text` is printable, in Unicode's form NFC, of at most LONGEST_CODE characters.

    `format` is one of CodeFormat. `corners` are (x, y) in pixels of the picture that was read, from the
    code's own top left, clockwise.
    """

    text: str
    format: str
    corners: tuple[tuple[int, int], ...] = ()


class CodeRules(NamedTuple):
    """Which codes are read: `formats`, each one of CodeFormat, and a regular expression for the text.

    The whole text must match `pattern`, and its first group is the number. If `pattern` is empty, every text
    is a number.
    """

    formats: tuple[str, ...]
    pattern: str = ""
