"""Makes folders' names of categories and labels, so that a training reads each of them as one label."""

import re
import unicodedata
from collections.abc import Iterable

from returns_pipeline.classify.manifest import LABEL_LENGTH
from returns_pipeline.photos.intake_rules import is_skipped
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.class_folders import PARTS

#: Between the levels of a category: `Apparel > Shoes > Sandals`.
_LEVELS = re.compile(r"\s*[>\u203a\u00bb|]\s*")
#: Not in names of files of every system; a line break or an invisible letter is in no label.
_UNSAFE = re.compile(r'[\\/:*?"<>|]')
_MOST_BYTES = 120


def folder_name(category: str) -> str:
    """Return the name of the folder of a category, whose last level counts; empty if it has no letter."""
    levels = [level for level in _LEVELS.split(_one_line(category)) if level.strip()]
    return label_folder(levels[-1]) if levels else ""


def label_folder(label: str) -> str:
    """Return the name of the folder of a label; empty if it has no letter and no digit.

    The name is no path, is not skipped by a scan, is no number before a label, and not `train` or `test`.
    """
    name = " ".join(_UNSAFE.sub("_", _one_line(label)).split())
    name = _shortened(name.strip(" .~_-=+@'"))
    if not any(letter.isalnum() for letter in name):
        return ""
    if name.lower() in PARTS or is_skipped(name) or names.parse(name).label != name:
        # `501 jeans` would be the label `jeans` with the number 501.
        name = f"_{name}_"
    return name


def _one_line(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _shortened(name: str) -> str:
    short = name[: LABEL_LENGTH - 2].encode()[:_MOST_BYTES].decode(errors="ignore")
    return short.rstrip(" .~_-")


class Folders:
    """The folders of a collection: one for all spellings of a category that a training takes for the same."""

    def __init__(self, existing: Iterable[str]) -> None:
        """Keep the names of the folders that exist."""
        self._by_key = {names.key(name): name for name in existing}

    def of(self, category: str) -> str:
        """Return the folder of a category, or an empty text if it cannot be the name of one."""
        return self._known(folder_name(category))

    def of_label(self, label: str) -> str:
        """Return the folder of a label, or an empty text if it cannot be the name of one."""
        return self._known(label_folder(label))

    def _known(self, name: str) -> str:
        return self._by_key.setdefault(names.key(name), name) if name else ""
