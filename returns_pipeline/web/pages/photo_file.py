"""What the page of an image says about its file: where it came from, where it is now, what is known of it."""

from functools import partial
from typing import Any

import anyio
from anyio import to_thread

from returns_pipeline.languages import N_, gettext, ngettext, number
from returns_pipeline.records.images import FilePlace, ImageFile
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import printable
from returns_pipeline.report import words
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.queries.media_types import SHOWN
from returns_pipeline.web.render.pictures import SIZES

#: Seconds that a page waits for the file server. After that it shows what the database has.
_WAIT_SECONDS = 2.0
#: The size in pixels in which the page shows a photo.
SHOWN_SIZE = 800
_FROM_ELSEWHERE = {
    RunKind.API: N_("sent by another program"),
    RunKind.RETRY: N_("quarantine: it was tried again"),
}


async def is_missing(context: Context, file: ImageFile) -> bool:
    """Whether the file is not where the database has it. False if the file server does not answer in time."""
    if file.place in {FilePlace.GONE, FilePlace.REMOVED}:
        return False
    with anyio.move_on_after(_WAIT_SECONDS):
        found = await to_thread.run_sync(partial(context.photos.describe, file.path), abandon_on_cancel=True)
        return not found.identity or found.size != file.size
    return False


def facts(file: ImageFile, missing: bool) -> list[tuple[str, str]]:
    """Return what is known of a file: pairs of a heading and a text. No text has a path of the server."""
    found = [
        (gettext("Came from"), _origin(file)),
        (
            gettext("The file is"),
            words.file_missing(file.place) if missing else words.FILE_PLACES[file.place],
        ),
        (gettext("Size"), ngettext("{count} byte", "{count} bytes", file.size)),
        (gettext("Format"), file.format or gettext("unknown")),
    ]
    if file.width and file.height:
        found.append((gettext("Pixels"), f"{number(file.width)} x {number(file.height)}"))
    if file.sha256:
        found.append((gettext("Fingerprint"), file.sha256))
    return found


def _origin(file: ImageFile) -> str:
    """Return the folder that a file came from, as seen from its intake."""
    if file.kind in _FROM_ELSEWHERE:
        return gettext(_FROM_ELSEWHERE[RunKind(file.kind)])
    root = file.intake.rstrip("/") if file.intake else ""
    if not root or not f"{file.folder}/".startswith(f"{root}/"):
        return gettext("the folder {name}", name=printable(file.folder.rpartition("/")[2]))
    folders = file.folder[len(root) :].strip("/").split("/") if file.folder != root else []
    return " / ".join(map(printable, [root.rpartition("/")[2], *folders]))


def zoom(file: ImageFile, may_see_original: bool) -> dict[str, Any] | None:
    """Return how to show more of a photo than its page does; None for a photo with no more pixels.

    `size` is that of the largest picture, `original` whether the browser can show the original in its place.
    """
    longest = max(file.width or 0, file.height or 0)
    if 0 < longest <= SHOWN_SIZE:
        return None
    return {
        "size": next((size for size in SIZES if size >= (longest or SIZES[-1])), SIZES[-1]),
        "original": may_see_original and file.format in SHOWN and file.width is not None,
    }
