"""Reads labels and lists of files from folders of labelled photos. No photo is opened.

ROOT/LABEL/*.jpg          class folders
ROOT/MAIN/LABEL/*.jpg     class folders inside main categories
ROOT/train/…, ROOT/validation/…, ROOT/test/…    the same, already divided
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.listing import Listing, list_folder

_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_EXPECTED = "The layout must be FOLDER/LABEL/photo.jpg, or FOLDER/MAIN/LABEL/photo.jpg with main categories"


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
    """Labelled files: `paths`, and `truth` int64 [n], indices into Labels.names."""

    paths: tuple[Path, ...]
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Labelled folders: `parts` is {"all": …}, or train, validation and perhaps test if ROOT has them."""

    root: Path
    labels: Labels
    parts: dict[str, Photos]


class _Leaf(NamedTuple):
    """A class folder: its path, its parsed name, the main category above it, if any, and its photos."""

    path: Path
    name: names.FolderName
    main: str | None
    photos: list[Path]

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the label: the same in train, validation and test."""
        return names.key(self.main or ""), names.key(self.name.label)


def read_tree(root: Path, mapping: Path | None = None, *, least_classes: int = 2) -> Tree:
    """Return the labels and the photos in `root`, in one of the layouts of this module.

    `mapping` is a CSV or JSON file with the main category of each label. Hidden files and files that are
    evidently no photos are ignored; the others may be unreadable. Raises RefusedError with the name of the
    folder when the layout is unclear, or when there are fewer than `least_classes` labels.
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
            "{root} has only one class folder, {path_name}.",
            advice="{expected}, with at least {least_classes} labels.",
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

    Spelling does not matter: `T-shirt_top` matches `T-shirt/top`. A name that is only a number, and no label,
    is an index. Raises RefusedError, which lists `known`, when a folder matches no label or two match the
    same one.
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
                "The model has no label {name!r}.",
                advice="Rename the class folder to a label or to its index, from 0. {listed}",
                name=name,
                listed=listed,
            )
        if index in taken:
            raise RefusedError(
                "The folders {taken!r} and {name!r} both match the label {known!r} of the model.",
                advice="Put their photos into one folder. {listed}",
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
            "The folder {root} does not exist.",
            advice="Choose the folder that contains the class folders.",
            root=root,
        )
    if not root.is_dir():
        raise RefusedError(
            "{root} is a file, not a folder.", advice="{expected}.", root=root, expected=_EXPECTED
        )


def _part_folders(root: Path) -> dict[str, Path]:
    """Return the folders train, validation and test in `root`, or {"all": root} without these."""
    folders = list_folder(root).folders
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
            advice="Choose a folder that contains train and validation (and perhaps test), or one that "
            "contains the class folders; the training divides these.",
            root=root,
            state="train" if "train" not in parts else "validation",
        )
    for folder in folders:
        if folder not in parts.values():
            raise RefusedError(
                "{folder} is next to the folder {parts_name}, but is not train, validation or test.",
                advice="Move it away: next to train, validation and test there must be no other folder.",
                folder=folder,
                parts_name=parts["train"].name,
            )
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _leaves(root: Path, least_classes: int) -> list[_Leaf]:
    """Return the class folders of one part."""
    listing = list_folder(root)
    if not listing.folders:
        raise RefusedError(
            "{root} has no class folders.", advice="{expected}.", root=root, expected=_EXPECTED
        )
    _refuse_strays(listing)
    inside = {folder: list_folder(folder, root) for folder in listing.folders}
    nested = [folder for folder, found in inside.items() if found.folders]
    if not nested:
        leaves = [_leaf(folder, None, found.photos) for folder, found in inside.items()]
    else:
        leaves = []
        for folder, found in inside.items():
            if not found.folders:
                raise RefusedError(
                    "{folder} contains no folders, but {nested} does: it is unclear what the labels are.",
                    advice="{expected}.",
                    folder=folder,
                    nested=nested[0],
                    expected=_EXPECTED,
                )
            _refuse_strays(found)
            leaves += [_sub_leaf(sub, folder, root) for sub in found.folders]
        if len(inside) == 1 and least_classes > 1:
            raise RefusedError(
                "{root} contains only one folder, {nested_name}.",
                advice="If its folders are the labels, choose {nested}. {expected}.",
                root=root,
                nested_name=nested[0].name,
                nested=nested[0],
                expected=_EXPECTED,
            )
    _refuse_duplicates(leaves)
    return leaves


def _sub_leaf(folder: Path, main: Path, root: Path) -> _Leaf:
    found = list_folder(folder, main, root)
    if found.folders:
        raise RefusedError(
            "{folders} is nested too deep: its label is unclear.",
            advice="{expected}. Move its photos to {folder}.",
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


def _refuse_strays(listing: Listing) -> None:
    if listing.photos:
        raise RefusedError(
            "{photos} is next to class folders, not inside one.",
            advice="{expected}. Move it into the folder of its label, or remove it.",
            photos=listing.photos[0],
            expected=_EXPECTED,
        )


def _refuse_duplicates(leaves: Iterable[_Leaf]) -> None:
    seen: dict[tuple[str, str], _Leaf] = {}
    for leaf in leaves:
        other = seen.setdefault(leaf.key, leaf)
        if other is not leaf:
            raise RefusedError(
                "{path} and {path2} are the same label, {label!r}: leading numbers, capitals, spaces, `-` "
                "and `_` make no difference.",
                advice="Put their photos into one folder, or rename one of them.",
                path=other.path,
                path2=leaf.path,
                label=leaf.name.label,
            )


def _in_order(leaves: list[_Leaf]) -> list[_Leaf]:
    """Return the class folders in the order of the labels: by number if all have one, otherwise by name."""
    numbers = [leaf.name.number for leaf in leaves]
    numbered = None not in numbers
    # Numbers that restart in each main category order the labels only inside it.
    unique = numbered and len(set(numbers)) == len(numbers)

    def place(leaf: _Leaf) -> tuple[str, int, str]:
        main = "" if unique else names.key(leaf.main or "")
        return main, (leaf.name.number or 0) if numbered else 0, leaf.key[1]

    return sorted(leaves, key=place)


def _labels(leaves: list[_Leaf]) -> Labels:
    """Return the labels; a name that occurs in two main categories gets the main category as a prefix."""
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
                "{path} and {path2} have the same label {label!r}.",
                advice="Rename one of them.",
                path=other.path,
                path2=leaf.path,
                label=label,
            )
    mains = tuple(leaf.main or label for label, leaf in zip(labels, leaves, strict=True))
    return Labels(tuple(labels), mains)


def _as_in(leading: list[_Leaf], leaves: list[_Leaf], part: str) -> list[_Leaf]:
    """Return another part's class folders in the order of `leading`. Raises RefusedError if they differ."""
    by_key = {leaf.key: leaf for leaf in leaves}
    for leaf in leading:
        if leaf.key not in by_key:
            raise RefusedError(
                "The {part} folder has no class folder for {path}.",
                advice="Create a class folder for each label in train, validation and test; it may be empty.",
                part=part,
                path=leaf.path,
            )
    ordered = [by_key.pop(leaf.key) for leaf in leading]
    for leaf in by_key.values():
        raise RefusedError(
            "The label of {path} does not exist in the train folder.",
            advice="Use the same labels in train, validation and test.",
            path=leaf.path,
        )
    return ordered


def _with_mains(labels: Labels, leaves: list[_Leaf], mapping: Path) -> Labels:
    if leaves[0].main is not None:
        raise RefusedError(
            "The folders already have main categories, so the mapping {mapping} cannot be used.",
            advice="Leave out the mapping, or move all class folders into one folder.",
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
