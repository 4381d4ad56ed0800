"""Base64 as programs write it: with line breaks, without padding, in the alphabet of addresses."""

import binascii
import re

from returns_pipeline.errors import RefusedError

#: White space of MIME, Android and hand-written JSON; it carries no data.
_SPACE = b" \t\r\n\f\v"
#: The alphabet of addresses (RFC 4648, section 5) differs from the usual one in two characters.
_TO_USUAL = bytes.maketrans(b"-_", b"+/")
_FOREIGN = re.compile(r"[^A-Za-z0-9+/\-_= \t\r\n\f\v]")
_MOST_SHOWN = 40


class NotBase64Error(RefusedError):
    """Text that is not base64."""


def decode(text: str) -> bytes:
    """Return the bytes of base64 (RFC 4648), also of `data:image/png;base64,…` as browsers write it.

    White space, missing or needless `=` at the end, and `-` and `_` in place of `+` and `/` are accepted.
    Raises NotBase64Error for any other character, and for text of a length that no bytes have.
    """
    # The usual form needs one pass over the text. The other forms fail there after a few characters.
    found = _decode_usual(text)
    if found is not None:
        return found
    data = _data_of_address(text)
    found = _decode_usual(data)
    if found is not None:
        return found
    try:
        usual = data.encode("ascii").translate(_TO_USUAL, delete=_SPACE).rstrip(b"=")
        return binascii.a2b_base64(usual + b"=" * (-len(usual) % 4), strict_mode=True)
    except ValueError:
        raise _fault_of(data, len(text) - len(data)) from None


def _decode_usual(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _data_of_address(text: str) -> str:
    """Return what follows `data:image/png;base64,`; text that is no such address stays unchanged."""
    if not text[:100].lstrip().lower().startswith("data:"):
        return text
    kind, comma, data = text.partition(",")
    if not comma or not kind.rstrip().lower().endswith(";base64"):
        raise NotBase64Error(
            "Its address {kind!r} does not end with `;base64,`.", kind=kind.strip()[:_MOST_SHOWN]
        )
    return data


def _fault_of(data: str, start: int) -> NotBase64Error:
    """Return what is wrong with text that begins at the character `start` of what was sent."""
    foreign = _FOREIGN.search(data)
    if foreign:
        return NotBase64Error(
            "It is not base64: character {position:,} (counted from 0) is {character}.",
            position=start + foreign.start(),
            character=ascii(foreign.group()),
        )
    count = len(re.sub(r"\s", "", data).rstrip("="))
    if count % 4 == 1:
        return NotBase64Error("It is cut off: {count:,} characters are not whole base64.", count=count)
    return NotBase64Error("It is not base64: `=` stands before its end.")
