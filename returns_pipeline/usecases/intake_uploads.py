"""Files that people upload into an intake, in parts: the next scan takes them like any other photo.

A file lands in INTAKE/uploads/DAY-PERSON/FOLDERS/NAME, and in DAY-PERSON/return=NUMBER/FOLDERS/NAME if its
sender named a return.
"""

import hashlib
from typing import NamedTuple
from zoneinfo import ZoneInfo

from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.photos import folder_uploads
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.places import is_object
from returns_pipeline.records.text import printable
from returns_pipeline.store import audit
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.return_evidence import given_folder

#: Bytes of a name, so that a prefix still fits a file system's 255.
_MOST_NAME_BYTES = 200
_MOST_FOLDERS = 8


class Upload(NamedTuple):
    """A file that a person uploads: its sha256, its `size` in bytes, its name and its folder there.

    `folder` is empty or has parts that are separated by `/`. `intake` is a place in `every_intake`.
    """

    who: str
    sha256: str
    size: int
    name: str
    folder: str = ""
    intake: int = 0
    #: The return that the photo belongs to, as `records.returns.return_number` gives it.
    number: str | None = None


class Arrival(NamedTuple):
    """How many bytes of an upload have arrived, and whether the file is complete and in the intake."""

    offset: int
    is_done: bool


def arrived(context: Context, upload: Upload) -> int:
    """Return how many bytes of an upload have arrived: 0 for one that is unknown or complete."""
    return folder_uploads.arrived(_arriving(context, root_of(context, upload.intake)), key_of(upload))


def add_part(context: Context, upload: Upload, offset: int, content: bytes) -> Arrival:
    """Store a part of a file that begins at `offset`. The last part moves the file into the intake.

    A part at another offset than the one that is expected changes nothing. Raises RefusedError for a file
    that the intake does not take, ConflictError if the content has another sha256, TransientFault if the
    disk takes no more.
    """
    root = root_of(context, upload.intake)
    target = target_of(context, root, upload)
    require_small(context, upload, upload.size)
    context.photos.require_folder(root)
    key = key_of(upload)
    offset = folder_uploads.add_part(_arriving(context, root), key, upload.size, offset, content)
    if offset < upload.size:
        return Arrival(offset, is_done=False)
    if is_object(root):
        _send_on(context, key, upload, target)
    else:
        folder_uploads.finish(root, key, upload.size, upload.sha256, target)
    note(context, upload)
    return Arrival(offset, is_done=True)


def require_small(context: Context, upload: Upload, size: int) -> None:
    """Raise RefusedError if a file has more bytes than this installation accepts."""
    most = context.settings.max_file_bytes
    if size > most:
        raise RefusedError(
            "{name} has {size:,} bytes; at most {most:,} are accepted.",
            name=upload.name,
            size=size,
            most=most,
        )


def note(context: Context, upload: Upload) -> None:
    """Write a complete upload into the audit log."""
    intake = context.settings.every_intake[upload.intake].folder.name
    audit.note(
        context.db, upload.who, AuditAction.UPLOAD, AuditSubject.INTAKE, intake, name=printable(upload.name)
    )


def _arriving(context: Context, root: str) -> str:
    """Return the folder where the parts of uploads for an intake arrive: a store takes whole objects."""
    return str(context.settings.scratch_dir) if is_object(root) else root


def _send_on(context: Context, key: str, upload: Upload, target: str) -> None:
    """Write a complete upload into an object store. Another photo of the same name stays beside it."""
    scratch = str(context.settings.scratch_dir)
    with folder_uploads.complete(scratch, key, upload.size, upload.sha256) as content:
        if content is None:
            return
        folder, _, name = target.rpartition("/")
        try:
            context.photos.put_all(folder, [(name, content)])
        except ConfigFault:
            context.photos.put_all(folder, [(beside(name, upload.sha256), content)])


def beside(name: str, sha256: str) -> str:
    """Return the name of a photo whose own name another one of its folder has."""
    return f"{sha256[:12]}-{name}"


def root_of(context: Context, intake: int) -> str:
    """Return the place of an intake. Raises RefusedError if there is none of this number."""
    every = context.settings.every_intake
    if intake >= len(every):
        raise RefusedError("There is no intake {intake}.", intake=intake)
    return str(every[intake].folder.resolve())


def key_of(upload: Upload) -> str:
    """Return the name of a file while it arrives. Two people who upload the same one do not share it."""
    return hashlib.sha256(f"{upload.who}\n{upload.sha256}".encode()).hexdigest()


def target_of(context: Context, root: str, upload: Upload) -> str:
    """Return where the file will be. Raises RefusedError for a name that a scan would leave out."""
    day = utc_now().astimezone(ZoneInfo(context.settings.timezone)).date()
    folders = [part for part in upload.folder.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    if len(folders) > _MOST_FOLDERS:
        raise RefusedError("The file lies in more than {most} folders.", most=_MOST_FOLDERS)
    is_skipped = SkipRule(context.settings.skip_patterns)
    for part in (*folders, upload.name):
        if is_skipped(part) or is_skipped(_safe(part)):
            raise RefusedError("The intake leaves out files and folders named {name}.", name=part)
    owner = f"{day.isoformat()}-{upload.who}"
    given: tuple[str, ...] = ()
    if upload.number is not None:
        given_name = given_folder(upload.number)
        if given_name is None:
            raise RefusedError("The number of the return is too long for the name of a folder.")
        given = (given_name,)
    inside = map(_safe, (*folders, upload.name))
    return "/".join((root, "uploads", _safe(owner), *given, *inside))


def _safe(name: str) -> str:
    """Return a name that is one name on every file system, not hidden, and not too long."""
    kept = "".join("_" if letter in '/\\:*?"<>|' or not letter.isprintable() else letter for letter in name)
    short = kept.encode()[-_MOST_NAME_BYTES:].decode(errors="ignore").strip().rstrip(".")
    return f"_{short}" if not short or short.startswith(".") else short
