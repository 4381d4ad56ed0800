"""Folders of labelled photos as labels and lists of files. `class_folders` describes the layouts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.class_folders import (
    EXPECTED,
    ClassFolder,
    class_folders,
    part_folders,
    require_folder,
)


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


def read_tree(root: Path, mapping: Path | None = None, *, least_classes: int = 2) -> Tree:
    """Return the labels and the photos in `root`, in one of the layouts of `class_folders`.

    `mapping` is a CSV or JSON file with the main category of each label. Hidden files and files that are
    evidently no photos are ignored; the others may be unreadable. Raises RefusedError with the name of the
    folder when the layout is unclear, or when there are fewer than `least_classes` labels.
    """
    require_folder(root)
    parts = {part: class_folders(folder, least_classes) for part, folder in part_folders(root).items()}
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
            expected=EXPECTED,
            least_classes=least_classes,
        )
    if mapping is not None:
        labels = _with_mains(labels, leading, mapping)
    parts[first] = leading
    photos = {part: _photos(folders) for part, folders in parts.items()}
    for part, found in photos.items():
        if not found.paths:
            raise RefusedError(
                "There is no photo in the class folders of {root} ({part}).",
                advice="{expected}.",
                root=root,
                part=part,
                expected=EXPECTED,
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


def _in_order(folders: list[ClassFolder]) -> list[ClassFolder]:
    """Return the class folders in the order of the labels: by number if all have one, otherwise by name."""
    numbers = [folder.name.number for folder in folders]
    numbered = None not in numbers
    # Numbers that restart in each main category order the labels only inside it.
    unique = numbered and len(set(numbers)) == len(numbers)

    def place(folder: ClassFolder) -> tuple[str, int, str]:
        main = "" if unique else names.key(folder.main or "")
        return main, (folder.name.number or 0) if numbered else 0, folder.key[1]

    return sorted(folders, key=place)


def _labels(folders: list[ClassFolder]) -> Labels:
    """Return the labels; a name that occurs in two main categories gets the main category as a prefix."""
    subs = [folder.key[1] for folder in folders]
    labels = [
        f"{folder.main} {folder.name.label}" if subs.count(folder.key[1]) > 1 else folder.name.label
        for folder in folders
    ]
    seen: dict[str, ClassFolder] = {}
    for label, folder in zip(labels, folders, strict=True):
        names.require_label(label, folder.path)
        other = seen.setdefault(names.key(label), folder)
        if other is not folder:
            raise RefusedError(
                "{path} and {path2} have the same label {label!r}.",
                advice="Rename one of them.",
                path=other.path,
                path2=folder.path,
                label=label,
            )
    mains = tuple(folder.main or label for label, folder in zip(labels, folders, strict=True))
    return Labels(tuple(labels), mains)


def _as_in(leading: list[ClassFolder], folders: list[ClassFolder], part: str) -> list[ClassFolder]:
    """Return another part's class folders in the order of `leading`. Raises RefusedError if they differ."""
    by_key = {folder.key: folder for folder in folders}
    for folder in leading:
        if folder.key not in by_key:
            raise RefusedError(
                "The {part} folder has no class folder for {path}.",
                advice="Create a class folder for each label in train, validation and test; it may be empty.",
                part=part,
                path=folder.path,
            )
    ordered = [by_key.pop(folder.key) for folder in leading]
    for folder in by_key.values():
        raise RefusedError(
            "The label of {path} does not exist in the train folder.",
            advice="Use the same labels in train, validation and test.",
            path=folder.path,
        )
    return ordered


def _with_mains(labels: Labels, folders: list[ClassFolder], mapping: Path) -> Labels:
    if folders[0].main is not None:
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


def _photos(folders: list[ClassFolder]) -> Photos:
    counts = [len(folder.photos) for folder in folders]
    paths = tuple(path for folder in folders for path in folder.photos)
    return Photos(paths, np.repeat(np.arange(len(folders)), counts).astype(np.int64))
