"""Text from outside, made safe to show and to send: file names, messages of other programs."""

import re
import unicodedata
from datetime import UTC, datetime

#: How the name of a file in the spool begins: the request's id, and the image's place in the request.
SPOOLED = re.compile(r"^[0-9a-f]{32}-[0-9]{6}-")
#: Characters that are kept of a client's file name, from its end.
_KEPT = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_SEPARATORS = re.compile(r"[\s_/-]+")
_URL = re.compile(r"\b[a-z][a-z0-9+]*://\S+")
_PATH = re.compile(r"(?<![\w./])/(?:[^\s/,;:'\"()]+/)+([^\s/,;:'\"()]*)")


def printable(value: object) -> str:
    r"""Return the text of a name or path with every character that cannot be printed as an escape, like `\n`.

    A line break in a file name must not start a new row of a table, and a terminal must not obey a name.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def printable_lines(text: str) -> str:
    """Return a text with `printable` lines. For pages, where a line break is only a space."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def file_name(path: str) -> str:
    """Return the printable file name of a path, without its folders; of an upload the client's name."""
    return printable(client_name(path.rpartition("/")[2]))


def client_name(name: str) -> str:
    """Return the name that the client gave to a file of the spool, which is stored as REQUEST-NUMBER-NAME."""
    # Quicker than the pattern, for the names of a night.
    return SPOOLED.sub("", name, count=1) if name[32:33] == "-" else name


def safe_name(name: str) -> str:
    """Return a file name without folders, unsafe characters or a leading dot: at most 60 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = _UNSAFE.sub("_", last)
    return kept[-_KEPT:].lstrip(".") or "image"


def pathless(text: str) -> str:
    """Return text without this server's addresses and folders: of a path, only its last part stays."""
    return _PATH.sub(r"\1", _URL.sub("…", text))


def iso(moment: datetime) -> str:
    """Return an aware moment as ISO 8601 in UTC, to the second: `2026-05-04T02:00:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class _Folded(dict[int, str]):
    """The folded form of each character, computed once: several times as fast as to normalize each text."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(code).casefold())
        folded = "".join(letter for letter in parts if not unicodedata.combining(letter)).casefold()
        self[code] = folded
        return folded


_FOLDED = _Folded()


def fold(text: str) -> str:
    """Return text as a search compares it, without case and accents: `muller` is the same as `Müller`."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def label_key(label: str) -> str:
    """Return a key that all spellings of a label share: case, `_`, `-`, `/` and spaces do not matter."""
    text = unicodedata.normalize("NFC", label).casefold()
    return _SEPARATORS.sub(" ", text).strip() or text
