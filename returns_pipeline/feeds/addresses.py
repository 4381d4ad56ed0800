"""Which addresses may be asked, and in which form."""

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from returns_pipeline.errors import RefusedError

_PORTS = {"http": 80, "https": 443}
MOST_OF_ADDRESS = 2000
#: What stays as it is in a path or a query: what has a meaning there, and what is quoted already.
_SAFE = "!$%&'()*+,/:;=?@~[]"


class Parts(NamedTuple):
    """An address, taken apart. `target` is its path with the query."""

    scheme: str
    name: str
    port: int
    target: str

    @property
    def host(self) -> str:
        """Return `name:port`."""
        return f"{self.name}:{self.port}"


def checked(text: str) -> str:
    """Return a web address as it is asked for: in ASCII, without a fragment. Raises RefusedError."""
    text = text.strip()
    if len(text) > MOST_OF_ADDRESS or not text.isprintable() or any(map(str.isspace, text)):
        raise RefusedError("The line has no address, or one with blanks or more than 2,000 characters.")
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
        if not name.isascii():
            name = name.encode("idna").decode()
    except ValueError:
        name = ""
    if not name or parts.scheme not in _PORTS or parts.username is not None or port == 0:
        raise RefusedError("The line has no address that begins with http:// or https:// and a host.")
    host = f"[{name}]" if ":" in name else name
    if port not in {None, _PORTS[parts.scheme]}:
        host += f":{port}"
    path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE)
    found = urlunsplit((parts.scheme, host, path, query, ""))
    if len(found) > MOST_OF_ADDRESS:
        raise RefusedError("The line has no address, or one with blanks or more than 2,000 characters.")
    return found


def parts_of(address: str) -> Parts:
    """Take an address apart that `checked` gave."""
    parts = urlsplit(address)
    target = urlunsplit(("", "", parts.path, parts.query, "")) or "/"
    return Parts(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme], target)


def file_name_of(address: str) -> str:
    """Return the last part of an address' path, which is perhaps a file's name."""
    return unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2], errors="replace")
