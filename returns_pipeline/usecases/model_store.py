"""Bundles in an object store: RETURNS_MODELS_DIR is a copy on this machine, which follows the store.

A version in the store is complete when its bundle.json is there: it is written last. The object `.claimed` is
written first, on the condition that there is none, so two machines never publish the same version.
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import structlog

from returns_pipeline.classify.bundle import MANIFEST, Bundle, find_bundle, load_bundle
from returns_pipeline.classify.manifest import is_model_name
from returns_pipeline.classify.models_folder import is_version
from returns_pipeline.classify.publishing import publish, remove_old_drafts
from returns_pipeline.errors import ConfigFault, ConflictError, TransientFault
from returns_pipeline.private_files import make_folder
from returns_pipeline.records.models import ModelRef
from returns_pipeline.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds after which a process looks again for new versions; a version that it lacks is looked for at once.
_SECONDS = 30.0
_CLAIM = ".claimed"
#: What a version on this machine was copied from: the identity of each object.
COPIED = ".copied-from.json"
_AT_ONCE = 8
_COPY, _ASIDE = ".copy-", ".aside-"
#: How long a bundle is kept that this machine could not publish.
_ASIDE_SECONDS = 30 * 24 * 3600
#: Versions that other machines may publish while one bundle waits to be published.
_MOST_TAKEN = 20

_looked: dict[str, float] = {}


class _Stored(NamedTuple):
    """A version in the store: its place, and the identity of each of its objects by its name."""

    place: str
    objects: Mapping[str, str]


def find(settings: Settings, model: str) -> Bundle:
    """Return a bundle as `find_bundle` does, after a look into the store.

    A copy is good enough while the store does not answer. Raises TransientFault then if there is none.
    """
    try:
        refresh(settings)
    except TransientFault as fault:
        log.warning("models_not_refreshed", reason=str(fault))
    try:
        return find_bundle(settings.models_dir, model)
    except ConfigFault:
        if not settings.models_store:
            raise
    refresh(settings, now=True)
    return find_bundle(settings.models_dir, model)


def refresh(settings: Settings, *, now: bool = False) -> None:
    """Copy what is new or changed in the store, and remove what is gone there. Does nothing without a store.

    If the store has no model at all, the copies stay and serve on: it is rather the wrong place, or was
    emptied by mistake. A process looks every 30 seconds at most, unless it must look `now`. A version whose
    files do not match its bundle.json is left out, and the log says so. Raises TransientFault if the store
    does not answer.
    """
    if not settings.models_store:
        return
    last = _looked.get(settings.models_store)
    if last is not None and not now and time.monotonic() - last < _SECONDS:
        return
    _looked[settings.models_store] = time.monotonic()
    with _locked(settings.models_dir):
        _tidy(settings.models_dir)
        stored = _stored(settings.models_store)
        copies = list(_copies(settings.models_dir))
        if copies and not stored:
            log.warning("models_store_empty", place=settings.models_store, kept=len(copies))
            return
        for ref, version in stored.items():
            folder = settings.models_dir / ref.name / str(ref.version)
            if _copied_from(folder) != dict(version.objects):
                _copy(settings.models_dir, ref, version)
        for folder in copies:
            if ModelRef(folder.parent.name, int(folder.name)) not in stored:
                _remove(settings.models_dir, folder)


def forget() -> None:
    """Look into the store the next time, however short the last look was ago."""
    _looked.clear()


def is_published(bundle: Bundle) -> bool:
    """Whether a bundle of this machine is a copy of one in the store."""
    return _copied_from(bundle.folder) is not None


def send(settings: Settings, bundle: Bundle) -> None:
    """Publish a bundle of this machine in the store, or what changed of one that is there.

    Does nothing without a store, and for a bundle of another folder. Raises TransientFault if the store
    refuses: the bundle stays, and another call publishes it. Raises ConflictError if another machine has
    published this version meanwhile: the bundle is kept aside, in a folder that the fault names.
    """
    if not settings.models_store or bundle.folder.parent.parent != settings.models_dir:
        return
    with _locked(settings.models_dir):
        try:
            _write(f"{settings.models_store}/{bundle.ref}", bundle)
        except TransientFault as fault:
            raise TransientFault(
                "{bundle_ref} is not published: {reason}",
                "Publish it later: `returns-pipeline models register {folder}`.",
                bundle_ref=bundle.ref,
                reason=fault.message,
                folder=bundle.folder,
            ) from fault
        except ConflictError as fault:
            raise ConflictError(
                "{bundle_ref} is not published: {reason}",
                "Publish it later: `returns-pipeline models register {folder}`.",
                bundle_ref=bundle.ref,
                reason=fault.message,
                folder=_set_aside(settings.models_dir, bundle.folder),
            ) from fault
        stored = _stored(settings.models_store).get(bundle.ref)
        if stored is not None:
            _note(bundle.folder, stored)


def send_as_next(settings: Settings, bundle: Bundle) -> Bundle:
    """Publish a new bundle of this machine in the store; return it with the version that it has there.

    If another machine has published its version meanwhile, it takes the next free one. Raises TransientFault
    if the store refuses, and ConflictError if others were faster every time.
    """
    for _ in range(_MOST_TAKEN):
        try:
            send(settings, bundle)
        except ConflictError as fault:
            log.info("version_taken", bundle=str(bundle.ref))
            aside = replace(bundle, folder=Path(str(fault.parameters["folder"])))
            refresh(settings, now=True)
            # A version that is claimed but not yet complete is in no list.
            bundle = publish(aside, settings.models_dir, above=bundle.version)
        else:
            return bundle
    send(settings, bundle)
    return bundle


def _write(place: str, bundle: Bundle) -> None:
    from returns_pipeline.photos.objects import files

    claim, mine = f"{place}/{_CLAIM}", bundle.digest.encode()
    # A claim with the same digest is that of an attempt which was interrupted.
    if not is_published(bundle) and not files.create(claim, mine) and b"".join(files.stream(claim)) != mine:
        raise ConflictError("Another machine has published this version meanwhile.")
    for name in sorted(_names_in(bundle.folder), key=lambda name: name == MANIFEST):
        files.write(f"{place}/{name}", bundle.folder / name)


def _stored(root: str) -> dict[ModelRef, _Stored]:
    """Return the complete versions in the store."""
    from returns_pipeline.photos.objects.source import ObjectSource

    versions: dict[ModelRef, dict[str, str]] = {}
    for file in ObjectSource().find(root, lambda _: False):
        name, _, rest = file.path.removeprefix(f"{root}/").partition("/")
        version, _, path = rest.partition("/")
        if is_model_name(name) and is_version(version) and _is_plain(path):
            versions.setdefault(ModelRef(name, int(version)), {})[path] = file.identity
    return {
        ref: _Stored(f"{root}/{ref}", objects) for ref, objects in versions.items() if MANIFEST in objects
    }


def _is_plain(path: str) -> bool:
    """Whether the name of an object is a path of files that are not hidden."""
    return all(part and not part.startswith(".") for part in path.split("/"))


def _copy(models_dir: Path, ref: ModelRef, stored: _Stored) -> None:
    """Copy one version into a folder beside, check it, and let it take its place."""
    from returns_pipeline.photos.objects import files

    draft = models_dir / f"{_COPY}{uuid.uuid4().hex}"
    target = models_dir / ref.name / str(ref.version)

    def fetch(name: str) -> None:
        path = draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for part in files.stream(f"{stored.place}/{name}"):
                stream.write(part)

    try:
        with ThreadPoolExecutor(_AT_ONCE, "bundle") as pool:
            list(pool.map(fetch, stored.objects))
        _require_whole(draft, ref)
        _note(draft, stored)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            _remove(models_dir, target)
        draft.rename(target)
        log.info("bundle_copied", bundle=str(ref))
    except ConfigFault as fault:
        log.warning("bundle_left_out", bundle=str(ref), reason=str(fault))
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _require_whole(folder: Path, ref: ModelRef) -> None:
    """Raise ConfigFault unless a folder has this bundle, with the files that its bundle.json states."""
    bundle = load_bundle(folder, placed=False)
    if bundle.ref != ref:
        raise ConfigFault("It is the bundle {bundle_ref}.", bundle_ref=bundle.ref)
    for name in bundle.sha256:
        bundle.file(name)


def _remove(models_dir: Path, folder: Path) -> None:
    """Take a copy away in one step, then delete it; a bundle that is not in the store is kept aside."""
    is_copy = _copied_from(folder) is not None
    aside = _set_aside(models_dir, folder)
    if is_copy:
        shutil.rmtree(aside, ignore_errors=True)


def _set_aside(models_dir: Path, folder: Path) -> Path:
    aside = models_dir / f"{_ASIDE}{folder.parent.name}-{folder.name}-{uuid.uuid4().hex[:8]}"
    os.utime(folder)
    return folder.rename(aside)


def _tidy(models_dir: Path) -> None:
    """Remove what a process left that was killed, and bundles that were kept aside long ago.

    The process that holds the lock makes the only copy, so one that is there is of a process that ended. A
    copy that is aside was about to be deleted.
    """
    remove_old_drafts(models_dir)
    for copy in models_dir.glob(f"{_COPY}*"):
        shutil.rmtree(copy, ignore_errors=True)
    for aside in models_dir.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError):
            if _copied_from(aside) is not None or time.time() - aside.stat().st_mtime > _ASIDE_SECONDS:
                shutil.rmtree(aside, ignore_errors=True)
                log.info("bundle_aside_removed", folder=str(aside))


def _copies(models_dir: Path) -> Iterable[Path]:
    """Return the folders of versions on this machine that were copied from the store."""
    return [each.parent for each in models_dir.glob(f"*/*/{COPIED}") if is_version(each.parent.name)]


def _copied_from(folder: Path) -> dict[str, str] | None:
    try:
        found = json.loads((folder / COPIED).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _note(folder: Path, stored: _Stored) -> None:
    (folder / COPIED).write_text(json.dumps(dict(stored.objects)), "utf-8")


def _names_in(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and _is_plain(name):
            yield name


@contextmanager
def _locked(models_dir: Path) -> Iterator[None]:
    """Let one process of this machine copy at a time."""
    make_folder(models_dir)
    with (models_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file unlocks it
        yield
