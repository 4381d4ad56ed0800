"""A person's folders of labelled photos to labels and lists of files. No photo is opened here.

ROOT/LABEL/*.jpg          class folders
ROOT/MAIN/LABEL/*.jpg     class folders below main categories
ROOT/train/…, ROOT/validation/…, ROOT/test/…    the same, divided already
"""

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.intake import PARTIAL_SUFFIXES
from returns_pipeline.training.labelled import names

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_NO_PICTURES = (
    *PARTIAL_SUFFIXES,
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".html", ".htm", ".xml", ".xmp", ".aae"),
    *(".yaml", ".yml", ".toml", ".ini", ".log", ".db", ".lnk", ".pdf", ".doc", ".docx", ".xls", ".xlsx"),
    *(
        ".zip",
        ".tar",
        ".gz",
        ".7z",
        ".rar",
        ".py",
        ".ipynb",
        ".npy",
        ".npz",
        ".pkl",
        ".parquet",
        ".mp4",
        ".mov",
    ),
)
_NO_PICTURE_NAMES = {"license", "licence", "readme", "notice", "copying", "checksums", "sha256sums", "icon\r"}
_EXPECTED = "Expected is FOLDER/LABEL/photo.jpg, or FOLDER/MAIN/LABEL/photo.jpg with main categories"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a model: `names` in the order of its output, and the main category of each in `mains`.

    Without main categories, `mains` equals `names`.
    """

    names: tuple[str, ...]
    mains: tuple[str, ...]

    @property
    def distinct_mains(self) -> tuple[str, ...] | None:
        """The main category of each label; None when the labels are the main categories."""
        return None if self.mains == self.names else self.mains


@dataclass(frozen=True, slots=True)
class Photos:
    """Labelled files: `paths`, and `truth` int64 [n], an index into Labels.names for each."""

    paths: tuple[Path, ...]
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Labelled folders: `parts` is {"all": …}, or train, validation and perhaps test where they are given."""

    root: Path
    labels: Labels
    parts: dict[str, Photos]


class _Listing(NamedTuple):
    """One folder: its subfolders and its photos, in the order of their names."""

    folders: list[Path]
    photos: list[Path]


class _Leaf(NamedTuple):
    """A folder of photos: where it is, what its name says, its main category's folder if there is one."""

    path: Path
    name: names.FolderName
    main: str | None
    photos: list[Path]

    @property
    def key(self) -> tuple[str, str]:
        """What the folders of one label share in all parts."""
        return names.key(self.main or ""), names.key(self.name.label)


def read_tree(root: Path, mapping: Path | None = None, *, least_classes: int = 2) -> Tree:
    """Return the labels and the photos of `root`, whose layouts are this module's first lines.

    `mapping` is a CSV or JSON file that gives each label its main category. Hidden files and such as are
    evidently no pictures are passed over; whether the others can be read is not looked at. Raises
    RefusedError that names the folder and says what to do, also when there are fewer than `least_classes`
    labels.
    """
    _require_folder(root)
    parts = {part: _leaves(folder, least_classes) for part, folder in _part_folders(root).items()}
    first, *others = parts
    leading = _in_order(parts[first])
    labels = _labels(leading)
    for part in others:
        parts[part] = _as_in(leading, parts[part], part)
    if len(labels.names) < least_classes:
        raise RefusedError(
            "{root} has one class folder only, {path_name}.",
            advice="{expected}, and at least {least_classes} labels.",
            root=root,
            path_name=leading[0].path.name,
            expected=_EXPECTED,
            least_classes=least_classes,
        )
    if mapping is not None:
        labels = _with_mains(labels, leading, mapping)
    parts[first] = leading
    photos = {part: _photos(leaves) for part, leaves in parts.items()}
    for part, found in photos.items():
        if not found.paths:
            raise RefusedError(
                "There is no photo in the class folders of {root} ({part}).",
                advice="{expected}.",
                root=root,
                part=part,
                expected=_EXPECTED,
            )
    return Tree(root, labels, photos)


def match_labels(found: Labels, known: Sequence[str]) -> NDArray[np.int64]:
    """Return, for each label of class folders, the index of that label in `known`: int64 [labels].

    Matched are spellings (`T-shirt_top` is `T-shirt/top`), else a number alone is the index itself. Raises
    RefusedError that lists `known` for a folder that matches none, or when two match one.
    """
    by_key = {names.key(names.parse(label).label): index for index, label in enumerate(known)}
    by_key |= {names.key(label): index for index, label in enumerate(known)}
    listed = f"The model's labels are: {', '.join(known)}."
    taken: dict[int, str] = {}
    for name in found.names:
        index = by_key.get(names.key(name))
        if index is None and name.isascii() and name.isdigit() and int(name) < len(known):
            index = int(name)
        if index is None:
            raise RefusedError(
                "No label of the model is called {name!r}.",
                advice="Rename the class folder as the label or as its number, from 0. {listed}",
                name=name,
                listed=listed,
            )
        if index in taken:
            raise RefusedError(
                "The folders {taken!r} and {name!r} are both {known!r}, a label of the model.",
                advice="Put their photos together. {listed}",
                taken=taken[index],
                name=name,
                known=known[index],
                listed=listed,
            )
        taken[index] = name
    return np.array(list(taken), np.int64)


def _require_folder(root: Path) -> None:
    if not root.exists():
        raise RefusedError(
            "The folder {root} does not exist.", advice="Name the folder with the class folders.", root=root
        )
    if not root.is_dir():
        raise RefusedError(
            "{root} is a file, not a folder.", advice="{expected}.", root=root, expected=_EXPECTED
        )


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folders train, validation and test in `root`, or {"all": root} where it is not divided."""
    folders = _list(root).folders
    parts: dict[str, Path] = {}
    for folder in folders:
        part = _PARTS.get(folder.name.lower())
        if part in parts:
            raise RefusedError(
                "{parts} and {folder} are both {part} folders.",
                advice="Keep one of them.",
                parts=parts[part],
                folder=folder,
                part=part,
            )
        if part:
            parts[part] = folder
    if not {"train", "validation"} <= parts.keys():
        if len(parts) < len(folders) or not parts:
            return {"all": root}
        raise RefusedError(
            "{root} is divided but has no folder {state}.",
            advice="Name a folder that holds train and validation (and test, if there is one), or one whose "
            "folders are the classes; that is divided by the training itself.",
            root=root,
            state="train" if "train" not in parts else "validation",
        )
    for folder in folders:
        if folder not in parts.values():
            raise RefusedError(
                "{folder} lies beside the folder {parts_name} and is no part of the division.",
                advice="Beside train, validation and test there may be no other folder: move it away.",
                folder=folder,
                parts_name=parts["train"].name,
            )
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _leaves(root: Path, least_classes: int) -> list[_Leaf]:
    """Return the folders of photos of one part, each label once."""
    listing = _list(root)
    if not listing.folders:
        raise RefusedError(
            "{root} has no class folders.", advice="{expected}.", root=root, expected=_EXPECTED
        )
    _refuse_strays(listing)
    inside = {folder: _list(folder, root) for folder in listing.folders}
    nested = [folder for folder, found in inside.items() if found.folders]
    if not nested:
        leaves = [_leaf(folder, None, found.photos) for folder, found in inside.items()]
    else:
        leaves = []
        for folder, found in inside.items():
            if not found.folders:
                raise RefusedError(
                    "{folder} has no folders in it, but {nested} has: it is unclear what the labels are.",
                    advice="{expected} everywhere.",
                    folder=folder,
                    nested=nested[0],
                    expected=_EXPECTED,
                )
            _refuse_strays(found)
            leaves += [_sub_leaf(sub, folder, root) for sub in found.folders]
        if len(inside) == 1 and least_classes > 1:
            raise RefusedError(
                "{root} holds one folder only, {nested_name}.",
                advice="If its folders are the classes, name {nested}. {expected}.",
                root=root,
                nested_name=nested[0].name,
                nested=nested[0],
                expected=_EXPECTED,
            )
    _refuse_twice(leaves)
    return leaves


def _sub_leaf(folder: Path, main: Path, root: Path) -> _Leaf:
    found = _list(folder, main, root)
    if found.folders:
        raise RefusedError(
            "{folders} lies too deep: it is unclear what it stands for.",
            advice="{expected}. Move its photos up into {folder}.",
            folders=found.folders[0],
            expected=_EXPECTED,
            folder=folder,
        )
    label = names.parse(main.name).label
    names.require_label(label, main)
    return _leaf(folder, label, found.photos)


def _leaf(folder: Path, main: str | None, photos: list[Path]) -> _Leaf:
    name = names.parse(folder.name)
    names.require_label(name.label, folder)
    return _Leaf(folder, name, main, photos)


def _refuse_strays(listing: _Listing) -> None:
    if listing.photos:
        raise RefusedError(
            "{photos} lies beside folders, in none of them.",
            advice="{expected}. Move it into the folder of its label, or away.",
            photos=listing.photos[0],
            expected=_EXPECTED,
        )


def _refuse_twice(leaves: Iterable[_Leaf]) -> None:
    seen: dict[tuple[str, str], _Leaf] = {}
    for leaf in leaves:
        other = seen.setdefault(leaf.key, leaf)
        if other is not leaf:
            raise RefusedError(
                "{path} and {path2} are one label, {label!r}: numbers before a label, "
                "capitals, spaces, `-` and `_` make no difference.",
                advice="Put their photos together, or give one another name.",
                path=other.path,
                path2=leaf.path,
                label=leaf.name.label,
            )


def _in_order(leaves: list[_Leaf]) -> list[_Leaf]:
    """Return the folders in the order of the labels: by their numbers where all have one, else by names."""
    numbers = [leaf.name.number for leaf in leaves]
    numbered = None not in numbers
    # Numbers that begin again in each main category order the labels there.
    over_all = numbered and len(set(numbers)) == len(numbers)

    def place(leaf: _Leaf) -> tuple[str, int, str]:
        main = "" if over_all else names.key(leaf.main or "")
        return main, (leaf.name.number or 0) if numbered else 0, leaf.key[1]

    return sorted(leaves, key=place)


def _labels(leaves: list[_Leaf]) -> Labels:
    """Return the labels of folders; a name below two main categories gets the main's before it."""
    subs = [leaf.key[1] for leaf in leaves]
    labels = [
        f"{leaf.main} {leaf.name.label}" if subs.count(leaf.key[1]) > 1 else leaf.name.label
        for leaf in leaves
    ]
    seen: dict[str, _Leaf] = {}
    for label, leaf in zip(labels, leaves, strict=True):
        names.require_label(label, leaf.path)
        other = seen.setdefault(names.key(label), leaf)
        if other is not leaf:
            raise RefusedError(
                "{path} and {path2} are both called {label!r}.",
                advice="Give one another name.",
                path=other.path,
                path2=leaf.path,
                label=label,
            )
    mains = tuple(leaf.main or label for label, leaf in zip(labels, leaves, strict=True))
    return Labels(tuple(labels), mains)


def _as_in(leading: list[_Leaf], leaves: list[_Leaf], part: str) -> list[_Leaf]:
    """Return the folders of another part in the order of the labels. Raises RefusedError for other labels."""
    by_key = {leaf.key: leaf for leaf in leaves}
    for leaf in leading:
        if leaf.key not in by_key:
            raise RefusedError(
                "The {part} folder has no folder for {path}.",
                advice="Give train, validation and test a folder for each label, if need be an empty one.",
                part=part,
                path=leaf.path,
            )
    ordered = [by_key.pop(leaf.key) for leaf in leading]
    for leaf in by_key.values():
        raise RefusedError(
            "{path} is a label that the train folder does not have.",
            advice="Give train, validation and test the same labels.",
            path=leaf.path,
        )
    return ordered


def _with_mains(labels: Labels, leaves: list[_Leaf], mapping: Path) -> Labels:
    if leaves[0].main is not None:
        raise RefusedError(
            "The folders have main categories already, so {mapping} is one too many.",
            advice="Leave out the mapping, or put all class folders into one folder.",
            mapping=mapping,
        )
    mains = names.read_mapping(mapping)
    missing = [label for label in labels.names if names.key(label) not in mains]
    if missing:
        raise RefusedError(
            "{mapping} has no main category for {missing}.",
            advice="Add a line for each of them.",
            mapping=mapping,
            missing=", ".join(missing),
        )
    return replace(labels, mains=tuple(mains[names.key(label)] for label in labels.names))


def _photos(leaves: list[_Leaf]) -> Photos:
    counts = [len(leaf.photos) for leaf in leaves]
    paths = tuple(path for leaf in leaves for path in leaf.photos)
    return Photos(paths, np.repeat(np.arange(len(leaves)), counts).astype(np.int64))


def _list(folder: Path, *above: Path) -> _Listing:
    """Return what lies in a folder. Raises RefusedError where a link leads back to a folder `above` it."""
    folders, photos = [], []
    try:
        own = folder.resolve(strict=True)
        if own in {parent.resolve() for parent in above}:
            raise _circle(folder)
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if entry.is_dir():
                    folders.append(folder / entry.name)
                elif _may_be_picture(entry.name):
                    photos.append(folder / entry.name)
    except (
        OSError,
        RuntimeError,
    ) as error:  # RuntimeError: how Python 3.11 and 3.12 report a circle of links
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            raise _circle(folder) from error
        raise RefusedError(
            "The folder {folder} cannot be read: {reason}.",
            advice="Let this user list it.",
            folder=folder,
            reason=error.strerror,
        ) from error
    return _Listing(folders, photos)


def _circle(folder: Path) -> RefusedError:
    return RefusedError(
        "A symbolic link of {folder} leads in a circle.",
        advice="Remove the link, or put the photos in its place.",
        folder=folder,
    )


def _may_be_picture(name: str) -> bool:
    lower = name.lower()
    return not lower.endswith(_NO_PICTURES) and lower not in _NO_PICTURE_NAMES
