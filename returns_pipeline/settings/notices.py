"""Parsers of the settings of notices."""

import base64
import binascii
import re
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from returns_pipeline.records.notices import EVENTS, NoticeKind

#: A comma within an address separates nothing.
_SEPARATOR = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_PREFIX = "whsec_"
#: Bytes of a key, as Standard Webhooks bounds them.
_LEAST_KEY, _MOST_KEY = 24, 64
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def split_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of `ADDRESS,ADDRESS`."""
    return tuple(part for each in _SEPARATOR.split(text) if (part := each.strip().rstrip(",")))


def parse_webhooks(value: SecretStr) -> SecretStr:
    """Return addresses of webhooks as they are. Raises ValueError for what is no address of HTTP."""
    for address in split_addresses(value.get_secret_value()):
        try:
            parts = urlsplit(address)
            is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_valid = False
        if not is_valid or not re.fullmatch(r"[!-~]+", address) or parts.username or parts.fragment:
            raise ValueError(
                "should be addresses like https://example.com/returns, separated by commas, "
                "without a user name and a fragment"
            )
    return value


def parse_apprise(value: SecretStr) -> SecretStr:
    """Return addresses of Apprise as they are. Raises ValueError for what is no address."""
    if not all(_ADDRESS.fullmatch(each) for each in split_addresses(value.get_secret_value())):
        raise ValueError("should be addresses like mailto://USER:PASSWORD@example.com, separated by commas")
    return value


def parse_secret(value: SecretStr) -> SecretStr:
    """Return the secrets of webhooks as they are. Raises ValueError for a wrong form or length."""
    webhook_keys(value.get_secret_value())
    return value


def webhook_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys of `whsec_BASE64,whsec_BASE64`. Raises ValueError for another form or length."""
    keys = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            key = base64.b64decode(part.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not part.startswith(_PREFIX) or not _LEAST_KEY <= len(key) <= _MOST_KEY:
            raise ValueError(
                "should be whsec_ and 24 to 64 random bytes in base64: "
                "`returns-pipeline notify secret` makes one"
            )
        keys.append(key)
    return tuple(keys)


def new_secret(key: bytes) -> str:
    """Return a key as the text of a setting."""
    return _PREFIX + base64.b64encode(key).decode()


def parse_events(value: Any) -> tuple[NoticeKind, ...]:
    """Return the kinds of `NAME,NAME`. Raises ValueError for an unknown name."""
    names = value.split(",") if isinstance(value, str) else tuple(value)
    known = {kind.value: kind for kind in EVENTS}
    chosen = [known.get(name.strip()) for name in names if name.strip()]
    if None in chosen:
        raise ValueError(f"should be names of events, separated by commas: {', '.join(known)}")
    return tuple(kind for kind in chosen if kind)


def parse_late(value: str) -> str:
    """Return `HH:MM` or a number of hours as it is. Raises ValueError for anything else."""
    late_after(value)
    return value


def late_after(text: str) -> float | tuple[int, int]:
    """Return hours after the night was due, above 0 and below 24, or a time of day as (hour, minute)."""
    if match := _TIME.fullmatch(text):
        return int(match[1]), int(match[2])
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours < 24:
        raise ValueError("should be a time of day like 06:00, or hours above 0 and below 24, like 4")
    return hours
