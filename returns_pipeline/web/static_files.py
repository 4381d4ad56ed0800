"""Style sheets, scripts and symbols: read once, sent compressed, and kept by browsers until they change."""

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from returns_pipeline.errors import NotFoundError

router = APIRouter(include_in_schema=False)

#: The packages and folders of the files. Reports and pages share the design of the first one.
_FOLDERS = (("returns_pipeline.report", "styles"), ("returns_pipeline.web", "static"))
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_YEAR = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """One file: its bytes as they are and compressed, its media type, and the hash of its content."""

    plain: bytes
    compressed: bytes
    kind: str
    version: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every file by its name."""
    found = {}
    for package, folder in _FOLDERS:
        for each in files(package).joinpath(folder).iterdir():
            kind = _KINDS.get(each.name.rpartition(".")[2])
            if kind:
                plain = each.read_bytes()
                version = hashlib.sha256(plain).hexdigest()[:12]
                found[each.name] = StaticFile(plain, gzip.compress(plain, 9, mtime=0), kind, version)
    return found


def static_address(root: str, name: str) -> str:
    """Return the address of a file below `root`; it changes with the content of the file."""
    return f"{root}/static/{name}?v={static_files()[name].version}"


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
def send(request: Request, name: str) -> Response:
    """Send a file. A browser keeps one with its hash in the address, and asks again for others."""
    file = static_files().get(name)
    if file is None:
        raise NotFoundError("There is nothing at this address.")
    headers = {
        "ETag": f'"{file.version}"',
        "Vary": "Accept-Encoding",
        "Cache-Control": _YEAR if request.query_params.get("v") == file.version else "no-cache",
    }
    if f'"{file.version}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    media_type = f"{file.kind}; charset=utf-8"
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.plain, headers=headers, media_type=media_type)
    return Response(file.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
