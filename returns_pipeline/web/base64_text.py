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
    length = len(text)
    if text[:100].lstrip().lower().startswith("data:"):
        text = _data_of_address(text)
    try:
        # The usual form needs one pass over the text. The other forms fail here after a few characters.
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return _decode_other_form(text, length - len(text))


def _data_of_address(text: str) -> str:
    kind, comma, data = text.partition(",")
    if not comma or not kind.rstrip().lower().endswith(";base64"):
        raise NotBase64Error(
            "Its address {kind!r} does not end with `;base64,`.", kind=kind.strip()[:_MOST_SHOWN]
        )
    return data


def _decode_other_form(text: str, start: int) -> bytes:
    foreign = _FOREIGN.search(text)
    if foreign:
        raise NotBase64Error(
            "It is not base64: character {position:,} (counted from 0) is {character}.",
            position=start + foreign.start(),
            character=ascii(foreign.group()),
        )
    usual = text.encode("ascii").translate(_TO_USUAL, delete=_SPACE).rstrip(b"=")
    if b"=" in usual:
        raise NotBase64Error("It is not base64: `=` stands before its end.")
    if len(usual) % 4 == 1:
        raise NotBase64Error("It is cut off: {count:,} characters are not whole base64.", count=len(usual))
    return binascii.a2b_base64(usual + b"=" * (-len(usual) % 4))
