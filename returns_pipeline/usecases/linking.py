"""Finds the return of each photo: of a whole run when it closes, of one chunk of uploads. May run twice."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from returns_pipeline.errors import PipelineError
from returns_pipeline.photos.capture_times import captured_at
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.number_patterns import NumberPattern
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import client_name
from returns_pipeline.settings import Settings
from returns_pipeline.store import bulk, return_links
from returns_pipeline.store.database import Database
from returns_pipeline.store.return_links import LinkablePhoto, NewLink
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.return_evidence import (
    InFolder,
    Shown,
    SlipLink,
    Standing,
    folders_of,
    given_in,
    linked,
    number_in,
    shown_number,
    slips_of,
)

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Runs of a person's own files, and of files that another model predicts again: they belong to no return.
_WITHOUT_RETURNS = {RunKind.ADHOC, RunKind.UNKNOWN}
_NOTHING = Shown()


class _Rules(NamedTuple):
    """The patterns of the settings, and the folder that the run scanned; None for photos without a folder."""

    folder: NumberPattern | None
    file: NumberPattern | None
    root: str | None
    has_folders: bool

    @classmethod
    def of(cls, settings: Settings, kind: RunKind, root: str | None) -> "_Rules":
        patterns = settings.folder_pattern, settings.file_pattern
        folder, file = (NumberPattern(pattern) if pattern else None for pattern in patterns)
        return cls(folder, file, root, has_folders=kind is not RunKind.API)


def link_run(context: Context, run_id: int) -> bool:
    """Link the photos of a run whose chunks are all done; return whether a return is to be judged.

    Costs one query of an empty table if no codes, patterns or feeds are set and there are no returns.
    """
    settings, db = context.settings, context.db
    if not _is_on(settings) and not return_links.is_used(db):
        return False
    kind, root = return_links.kind_and_root(db, run_id)
    if kind in _WITHOUT_RETURNS:
        return False
    if kind is RunKind.RETRY:
        return _inherit(db, run_id)
    rules = _Rules.of(settings, kind, root)
    shown, paths = _shown(db, settings, run_id)
    slips: dict[int, SlipLink] = {}
    if settings.slips == "on" and rules.has_folders and shown:
        slips = _slips(context, run_id, shown, {path.rpartition("/")[0] for path in paths})
    queued = 0
    for photos in return_links.photos_of(db, run_id):
        queued += _link(db, photos, rules, shown, slips)
    if queued:
        log.info("photos_linked", run=run_id, returns=queued)
    return bool(queued)


def link_chunk(context: Context, run_id: int, chunk_id: int) -> bool:
    """Link the photos of a chunk of uploads, for which a person may wait; return as `link_run`."""
    settings, db = context.settings, context.db
    if not settings.codes and not settings.file_pattern:
        return False
    shown, _ = _shown(db, settings, run_id, chunk_id)
    photos = return_links.photos_of_chunk(db, chunk_id)
    return bool(_link(db, photos, _Rules.of(settings, RunKind.API, None), shown, {}))


def _is_on(settings: Settings) -> bool:
    has_feeds = any(intake.feed for intake in settings.every_intake)
    return bool(settings.codes or settings.folder_pattern or settings.file_pattern or has_feeds)


def _shown(
    db: Database, settings: Settings, run_id: int, chunk_id: int | None = None
) -> tuple[dict[int, Shown], set[str]]:
    """Return the return that each photo's codes name, and the paths of the photos with codes."""
    if not settings.codes:
        return {}, set()
    found = return_links.codes_of_run(db, run_id, chunk_id)
    known = return_links.standing(db, {code.text for _, codes in found.values() for code in codes})
    standing = {number: Standing(*each) for number, each in known.items()}
    shown = {image_id: shown_number(codes, standing) for image_id, (_, codes) in found.items()}
    return shown, {path for image_id, (path, _) in found.items() if shown[image_id] != _NOTHING}


def _slips(context: Context, run_id: int, shown: dict[int, Shown], folders: set[str]) -> dict[int, SlipLink]:
    """Return what slips say of the photos in these folders. Holds some hundred bytes for each photo there."""
    by_folder: dict[str, list[InFolder]] = {folder: [] for folder in folders}
    for photos in return_links.photos_of(context.db, run_id):
        for photo in photos:
            folder, _, name = photo.path.rpartition("/")
            if folder in by_folder:
                is_readable = photo.state == ImageState.CLASSIFIED
                here = InFolder(photo.id, name, shown.get(photo.id, _NOTHING), is_readable)
                by_folder[folder].append(here)
    found: dict[int, SlipLink] = {}
    for listed in by_folder.values():
        found.update(slips_of(_with_times(context.db, context.photos, listed)))
    return found


def _with_times(db: Database, photos: PhotoSource, listed: Sequence[InFolder]) -> Iterable[InFolder]:
    """Yield photos with the moments at which they were taken, read from their files."""
    for part in bulk.parts(listed):
        files = return_links.files_of(db, [photo.image_id for photo in part if photo.is_readable])
        for photo in part:
            captured = None
            if photo.image_id in files:
                try:
                    with photos.open(files[photo.image_id]) as stream:
                        captured = captured_at(stream)
                except PipelineError as fault:
                    # Without its time, the photo has its place by name.
                    log.info("time_unread", image=photo.image_id, reason=fault.message)
            yield photo._replace(captured=captured)


def _link(
    db: Database,
    photos: Sequence[LinkablePhoto],
    rules: _Rules,
    shown: dict[int, Shown],
    slips: dict[int, SlipLink],
) -> int:
    """Store the links of photos that differ from those that they have; return how many returns changed."""
    found: Callable[[LinkablePhoto], NewLink] = lambda photo: _found(photo, rules, shown, slips)  # noqa: E731
    new = [link for photo in photos if (link := found(photo)) != (photo.id, *photo[3:])]
    return return_links.write(db, new)


def _found(
    photo: LinkablePhoto, rules: _Rules, shown: dict[int, Shown], slips: dict[int, SlipLink]
) -> NewLink:
    name = client_name(photo.path.rpartition("/")[2])
    folders = folders_of(photo.path, rules.root) if rules.has_folders else []
    given = photo.number if photo.source == LinkSource.GIVEN else given_in(folders)
    link = linked(
        given,
        shown.get(photo.id, _NOTHING),
        slips.get(photo.id),
        number_in(rules.folder, folders),
        number_in(rules.file, [name]),
    )
    return NewLink(photo.id, *link)


def _inherit(db: Database, run_id: int) -> bool:
    """Link the photos of a retry to the returns that the same files belonged to."""
    present = {photo.id: photo for photos in return_links.photos_of(db, run_id) for photo in photos}
    queued = 0
    for links in return_links.tried_before(db, run_id):
        new = [
            link
            for link in links
            if (photo := present.get(link.image_id)) is not None and link != (photo.id, *photo[3:])
        ]
        queued += return_links.write(db, new)
    return bool(queued)
