"""Reads, checks, divides and decodes folders of labelled photos."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.text import printable
from returns_pipeline.training.labelled import checks
from returns_pipeline.training.labelled.folders import Labels, Photos, Tree, match_labels, read_tree
from returns_pipeline.training.labelled.parts import Part, TrainingData, describe, fingerprint
from returns_pipeline.training.labelled.photos import load_pixels
from returns_pipeline.training.labelled.split import stratified

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.recipe import Listener


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """Folders of labelled photos, and how to divide them.

    `mapping` is a file with the main category of each label. `validation` and `test` are shares of 1, used
    only where `data` has no folders of these names. `force` trains even if the checks find a serious fault.
    `known`: the labels of a model, which the folders must have, whatever their order and spelling. `notes`
    are added to `data` in bundle.json.
    """

    data: Path
    mapping: Path | None = None
    validation: float = 0.2
    test: float = 0.1
    force: bool = False
    known: Labels | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def load_folders(
    folders: PhotoFolders,
    size: ImageInput,
    seed: int,
    listener: "Listener",
    scratch: Path,
    *,
    few: int | None = None,
) -> TrainingData:
    """Return the photos, decoded to `size`; pixels that do not fit into memory go to `scratch`.

    `seed` decides the division. `few`: at most so many photos of each label. Raises RefusedError for other
    labels than the known ones, and for photos that are not fit for training unless `folders.force` is set.
    """
    tree, divided = divide(folders, seed, listener)
    if few is not None:
        divided = {name: few_of_each(photos, few) for name, photos in divided.items()}
    return decoded(folders, tree, divided, size, seed, listener, scratch)


def decoded(
    folders: PhotoFolders,
    tree: Tree,
    divided: Mapping[str, Photos],
    size: ImageInput,
    seed: int,
    listener: "Listener",
    scratch: Path,
) -> TrainingData:
    """Return photos that `divide` returned, or some of them, decoded to `size`; see `load_folders`."""
    parts = {}
    for name, photos in divided.items():
        listener.stage(f"Decoding {name}")
        pixels, readable = load_pixels(photos, size, listener.progress, scratch)
        kept = _take(photos, readable)
        parts[name] = Part(pixels, kept.truth, fingerprint(kept.paths, kept.truth, tree.labels.names))
    source = {"name": tree.root.name, "folder": printable(tree.root.absolute()), **folders.notes}
    return TrainingData(tree.labels, parts, describe(parts, seed, source))


def divide(folders: PhotoFolders, seed: int, listener: "Listener") -> tuple[Tree, dict[str, Photos]]:
    """Return the folders and their readable photos in their parts; check them.

    Raises as `load_folders`.
    """
    listener.stage("Checking the photos")
    tree = read_tree(folders.data, folders.mapping)
    if folders.known is not None:
        tree = _in_order_of(folders.known, tree)
    findings = checks.check(tree, listener.progress)
    checks.require_sound(findings, folders.force)
    for warning in findings.warnings:
        listener.warn(warning)
    unreadable = {each.path for each in findings.unreadable}
    divided = _divide(tree, findings, folders, seed)
    return tree, {name: _without(photos, unreadable) for name, photos in divided.items()}


def _in_order_of(known: Labels, tree: Tree) -> Tree:
    places = match_labels(tree.labels, known.names)
    missing = [name for place, name in enumerate(known.names) if place not in places]
    if missing:
        raise RefusedError(
            "{root} has no photos of {missing}, which the model knows.",
            "Name the photos of the whole training: each label is calibrated.",
            root=tree.root,
            missing=", ".join(missing),
        )
    parts = {name: Photos(photos.paths, places[photos.truth]) for name, photos in tree.parts.items()}
    return replace(tree, labels=known, parts=parts)


def _divide(tree: Tree, findings: checks.Findings, folders: PhotoFolders, seed: int) -> dict[str, Photos]:
    """Return train, validation and, unless empty, test: the given folders, or a division of all photos."""
    if "all" not in tree.parts:
        return {name: photos for name, photos in tree.parts.items() if len(photos.paths)}
    photos = tree.parts["all"]
    split = stratified(photos.truth, folders.validation, folders.test, findings.groups["all"], seed)
    named = {"train": split.train, "validation": split.validation, "test": split.test}
    return {name: _take(photos, indices) for name, indices in named.items() if len(indices)}


def _take(photos: Photos, indices: "NDArray[np.int64]") -> Photos:
    return Photos(tuple(photos.paths[index] for index in indices), photos.truth[indices])


def _without(photos: Photos, paths: Set[Path]) -> Photos:
    kept = [index for index, path in enumerate(photos.paths) if path not in paths]
    return photos if len(kept) == len(photos.paths) else _take(photos, np.array(kept, np.int64))


def few_of_each(photos: Photos, few: int) -> Photos:
    """Return at most `few` photos of each label."""
    labels = np.unique(photos.truth)
    first = [np.flatnonzero(photos.truth == label)[:few] for label in labels]
    return _take(photos, np.sort(np.concatenate(first)))
