"""Copies bundles, and publishes them atomically from a draft folder."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from returns_pipeline.classify.bundle import MOST_FILE_BYTES, Bundle, load_bundle
from returns_pipeline.classify.manifest import HIGHEST_VERSION
from returns_pipeline.classify.models_folder import versions_of
from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.records.text import printable

#: Most files of a bundle, with those of its report.
_MOST_FILES = 1_000
_DRAFT = ".draft-"
_DRAFT_SECONDS = 7 * 24 * 3600


@contextmanager
def draft_folder(models_dir: Path) -> Iterator[Path]:
    """Yield an empty folder on the same disk as the bundles; it is deleted at the end unless published.

    Raises ConfigFault if the models folder cannot be written.
    """
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        remove_old_drafts(models_dir)
        temporary = tempfile.TemporaryDirectory(dir=models_dir, prefix=_DRAFT)
    except OSError as error:
        raise _unwritable(models_dir, error) from error
    with temporary as folder:
        # Only its owner can read the temporary folder; the published folder has the usual permissions.
        draft = Path(folder) / "bundle"
        draft.mkdir()
        yield draft


def remove_old_drafts(models_dir: Path) -> None:
    """Remove drafts of processes that were killed: those without a change for a week."""
    for draft in models_dir.glob(f"{_DRAFT}*"):
        with contextlib.suppress(OSError):
            newest = max(path.stat().st_mtime for path in (draft, *draft.rglob("*")))
            if time.time() - newest > _DRAFT_SECONDS:
                shutil.rmtree(draft, ignore_errors=True)


def copy_bundle(folder: Path, draft: Path) -> None:
    """Copy a bundle's folder, which holds only folders and regular files, into a draft.

    Raises RefusedError for a folder with anything else, or with more or larger files than a bundle has, and
    ConfigFault if it cannot be read or its copy cannot be written.
    """
    try:
        _require_plain(folder)
        shutil.copytree(folder, draft, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise ConfigFault(
            "{folder} cannot be copied to the models: {reason}.",
            "Give the user of this program permission to read it, and free some disk space.",
            folder=printable(folder),
            reason=printable(getattr(error, "strerror", None) or error),
        ) from error


def _require_plain(folder: Path) -> None:
    """Refuse links, which may lead anywhere, and pipes and devices, whose content has no end."""
    waiting, files, size = [os.fspath(folder)], 0, 0
    if folder.is_symlink():
        raise _not_plain(folder, "is a link", "Replace the link by a copy of its target.")
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise _not_plain(folder, "holds a link", "Replace each link by a copy of its target.")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
                else:
                    raise _not_plain(folder, "holds a pipe, a socket or a device", "Remove it.")
        if files + len(waiting) > _MOST_FILES or size > MOST_FILE_BYTES:
            raise _not_plain(
                folder,
                f"holds more than {_MOST_FILES:,} files or {MOST_FILE_BYTES:,} bytes",
                "Name the folder of one bundle: it has bundle.json.",
            )


def _not_plain(folder: Path, what: str, advice: str) -> RefusedError:
    return RefusedError("{folder} {what}.", advice, folder=printable(folder), what=what)


def publish(bundle: Bundle, models_dir: Path, above: int = 0) -> Bundle:
    """Move a finished draft to MODELS_DIR/NAME/VERSION, the next free version; return the published bundle.

    The version is also higher than `above`: the number of a deleted bundle is not used again. Raises
    ConfigFault if its bundle.json would not be read again, or the folder cannot be written.
    """
    taken = above
    try:
        (models_dir / bundle.name).mkdir(exist_ok=True)
        while True:
            version = max([taken, *versions_of(models_dir, bundle.name)]) + 1
            if version > HIGHEST_VERSION:
                raise ConfigFault(
                    "{name} has no version number left below {highest}.",
                    "Register the bundle under another name: `--name`.",
                    name=bundle.name,
                    highest=HIGHEST_VERSION,
                )
            target = models_dir / bundle.name / str(version)
            final = replace(bundle, version=version)
            final.save()
            load_bundle(final.folder, placed=False)
            try:
                final.folder.rename(target)
            except OSError:
                if not os.path.lexists(target):
                    raise
                taken = version  # another process published this version first, or it is no folder
                continue
            return replace(final, folder=target)
    except OSError as error:
        raise _unwritable(models_dir / bundle.name, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigFault:
    return ConfigFault(
        "Bundles cannot be written to {folder}: {reason}.",
        "Give the user of this program permission to write, and free some disk space.",
        folder=printable(folder),
        reason=error.strerror,
    )
