"""Lists the folder of models, MODELS_DIR/NAME/VERSION/, whatever else it holds."""

import os
import re
from pathlib import Path

from returns_pipeline.classify.manifest import HIGHEST_VERSION, is_model_name
from returns_pipeline.errors import ConfigFault
from returns_pipeline.private_files import user_name
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.text import printable

_VERSION = re.compile(r"[1-9][0-9]{0,9}")


def on_disk(models_dir: Path) -> list[tuple[ModelRef, ConfigFault | None]]:
    """Return every version in the models folder, and what is wrong with its name, if anything.

    A folder whose versions cannot be listed has one entry with version 0. A models folder that does not exist
    has no versions.
    """
    if not os.path.lexists(models_dir):
        return []
    try:
        names = names_in(models_dir)
    except ConfigFault as fault:
        return [(ModelRef(printable(models_dir.name), 0), fault)]
    return [found for name in names for found in _versions_in(models_dir, name)]


def _versions_in(models_dir: Path, name: str) -> list[tuple[ModelRef, ConfigFault | None]]:
    no_version = ModelRef(printable(name), 0)
    try:
        numbers = _numbers_in(models_dir, name)
    except ConfigFault as fault:
        return [(no_version, fault)]
    if numbers and not is_model_name(name):
        bad_name = ConfigFault(
            "The folder {name} cannot be the name of a model.",
            "Rename it: at most 100 letters and digits, in words joined by `.` or `-`.",
            name=printable(name),
        )
        return [(no_version, bad_name)]
    found: list[tuple[ModelRef, ConfigFault | None]] = [
        (ModelRef(name, int(each)), None) for each in numbers if is_version(each)
    ]
    if wrong := [each for each in numbers if not is_version(each)]:
        bad_number = ConfigFault(
            "The folder {name}/{number} is not a version.",
            "Rename it to a number from 1 to {highest}, without leading zeros.",
            name=name,
            number=wrong[0],
            highest=HIGHEST_VERSION,
        )
        found.append((no_version, bad_number))
    return found


def names_in(models_dir: Path) -> list[str]:
    """Return the names of the folders with models, in alphabetical order.

    Raises ConfigFault if the models folder is missing or cannot be read.
    """
    try:
        with os.scandir(models_dir) as entries:
            return sorted(each.name for each in entries if not each.name.startswith(".") and _is_folder(each))
    except FileNotFoundError:
        raise ConfigFault(
            "The models folder {models_dir} does not exist.",
            advice="Set RETURNS_MODELS_DIR to a folder with bundles (NAME/VERSION/bundle.json), or remove "
            "the setting to use the shipped models; if those are gone, install returns-pipeline again.",
            models_dir=printable(models_dir),
        ) from None
    except OSError as error:
        raise unreadable(models_dir, error) from error


def versions_of(models_dir: Path, name: str) -> list[int]:
    """Return the versions of one model that are on disk, lowest first.

    Raises ConfigFault if its folder cannot be read.
    """
    return [int(each) for each in _numbers_in(models_dir, name) if is_version(each)]


def _numbers_in(models_dir: Path, name: str) -> list[str]:
    """Return the names of a model's folders that are numbers, lowest first; see `is_version`.

    Raises ConfigFault if the model's folder cannot be read.
    """
    folder = models_dir / name
    try:
        with os.scandir(folder) as entries:
            found = [each.name for each in entries if each.name.isdecimal() and _is_folder(each)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(found, key=int)


def is_version(text: str) -> bool:
    """Whether the name of a folder is a version: 1 to HIGHEST_VERSION, without leading zeros."""
    return _VERSION.fullmatch(text) is not None and int(text) <= HIGHEST_VERSION


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or to a folder that may not be looked into
        return False


def unreadable(folder: Path, error: OSError) -> ConfigFault:
    """Return the fault of a folder with models that this process cannot read."""
    if isinstance(error, PermissionError):
        return ConfigFault(
            "The user {user} may not read the models in {folder}: {reason}.",
            "Let this user read it and enter the folders above it: `chmod -R a+rX {folder}`; with Compose "
            "`chmod -R a+rX models` on the host.",
            user=user_name(),
            folder=printable(folder),
            reason=error.strerror,
        )
    return ConfigFault(
        "The folder {folder} cannot be read: {reason}.",
        advice="Give the user of this program permission to read it.",
        folder=printable(folder),
        reason=error.strerror,
    )
