"""Finds the class folders of labelled photos and the photos in each. No photo is opened.

ROOT/LABEL/*.jpg          class folders
ROOT/MAIN/LABEL/*.jpg     class folders inside main categories
ROOT/train/…, ROOT/validation/…, ROOT/test/…    the same, already divided
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.listing import Listing, list_folder

#: The names of folders that divide photos.
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
EXPECTED = "The layout must be FOLDER/LABEL/photo.jpg, or FOLDER/MAIN/LABEL/photo.jpg with main categories"


class ClassFolder(NamedTuple):
    """A class folder: its path, its parsed name, the main category above it, if any, and its photos."""

    path: Path
    name: names.FolderName
    main: str | None
    photos: list[Path]

    @property
    def key(self) -> tuple[str, str]:
        """Identifies the label: the same in train, validation and test."""
        return names.key(self.main or ""), names.key(self.name.label)


def require_folder(root: Path) -> None:
    """Raise RefusedError unless `root` is a folder."""
    if not root.exists():
        raise RefusedError(
            "The folder {root} does not exist.",
            advice="Choose the folder that contains the class folders.",
            root=root,
        )
    if not root.is_dir():
        raise RefusedError(
            "{root} is a file, not a folder.", advice="{expected}.", root=root, expected=EXPECTED
        )


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folders train, validation and test in `root`, or {"all": root} without these."""
    folders = list_folder(root).folders
    parts: dict[str, Path] = {}
    for folder in folders:
        part = PARTS.get(folder.name.lower())
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


def class_folders(root: Path, least_classes: int) -> list[ClassFolder]:
    """Return the class folders of one part.

    Raises RefusedError when the layout is unclear, or when there is only one main category, unless
    `least_classes` is 1.
    """
    listing = list_folder(root)
    if not listing.folders:
        raise RefusedError("{root} has no class folders.", advice="{expected}.", root=root, expected=EXPECTED)
    _refuse_strays(listing)
    inside = {folder: list_folder(folder, root) for folder in listing.folders}
    nested = [folder for folder, found in inside.items() if found.folders]
    if not nested:
        classes = [_class_folder(folder, None, found.photos) for folder, found in inside.items()]
    else:
        classes = []
        for folder, found in inside.items():
            if not found.folders:
                raise RefusedError(
                    "{folder} contains no folders, but {nested} does: it is unclear what the labels are.",
                    advice="{expected}.",
                    folder=folder,
                    nested=nested[0],
                    expected=EXPECTED,
                )
            _refuse_strays(found)
            classes += [_inside_main(sub, folder, root) for sub in found.folders]
        if len(inside) == 1 and least_classes > 1:
            raise RefusedError(
                "{root} contains only one folder, {nested_name}.",
                advice="If its folders are the labels, choose {nested}. {expected}.",
                root=root,
                nested_name=nested[0].name,
                nested=nested[0],
                expected=EXPECTED,
            )
    _refuse_duplicates(classes)
    return classes


def _inside_main(folder: Path, main: Path, root: Path) -> ClassFolder:
    found = list_folder(folder, main, root)
    if found.folders:
        raise RefusedError(
            "{folders} is nested too deep: its label is unclear.",
            advice="{expected}. Move its photos to {folder}.",
            folders=found.folders[0],
            expected=EXPECTED,
            folder=folder,
        )
    label = names.parse(main.name).label
    names.require_label(label, main)
    return _class_folder(folder, label, found.photos)


def _class_folder(folder: Path, main: str | None, photos: list[Path]) -> ClassFolder:
    name = names.parse(folder.name)
    names.require_label(name.label, folder)
    return ClassFolder(folder, name, main, photos)


def _refuse_strays(listing: Listing) -> None:
    if listing.photos:
        raise RefusedError(
            "{photos} is next to class folders, not inside one.",
            advice="{expected}. Move it into the folder of its label, or remove it.",
            photos=listing.photos[0],
            expected=EXPECTED,
        )


def _refuse_duplicates(classes: Iterable[ClassFolder]) -> None:
    seen: dict[tuple[str, str], ClassFolder] = {}
    for folder in classes:
        other = seen.setdefault(folder.key, folder)
        if other is not folder:
            raise RefusedError(
                "{path} and {path2} are the same label, {label!r}: leading numbers, capitals, spaces, `-` "
                "and `_` make no difference.",
                advice="Put their photos into one folder, or rename one of them.",
                path=other.path,
                path2=folder.path,
                label=folder.name.label,
            )
