"""Reads, checks, divides and decodes folders of labelled photos."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
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
    """

    data: Path
    mapping: Path | None = None
    validation: float = 0.2
    test: float = 0.1
    force: bool = False


def load_folders(
    folders: PhotoFolders,
    size: ImageInput,
    seed: int,
    listener: "Listener",
    scratch: Path,
    *,
    few: int | None = None,
    known: Labels | None = None,
) -> TrainingData:
    """Return the photos, decoded to `size`; pixels that do not fit into memory go to `scratch`.

    `seed` decides the division. `few`: at most so many photos of each label. `known`: the labels of a model,
    which the folders must have, whatever their order and spelling. Raises RefusedError for other labels, and
    for photos that are not fit for training unless `folders.force` is set.
    """
    listener.stage("Checking the photos")
    tree = read_tree(folders.data, folders.mapping)
    if known is not None:
        tree = _in_order_of(known, tree)
    findings = checks.check(tree, listener.progress)
    checks.require_sound(findings, folders.force)
    for warning in findings.warnings:
        listener.warn(warning)
    divided = _divide(tree, findings, folders, seed)
    if few is not None:
        divided = {name: _few(photos, few) for name, photos in divided.items()}
    parts = {}
    for name, photos in divided.items():
        listener.stage(f"Decoding {name}")
        pixels, readable = load_pixels(photos, size, listener.progress, scratch)
        kept = _take(photos, readable)
        parts[name] = Part(pixels, kept.truth, fingerprint(kept.paths, kept.truth, tree.labels.names))
    return TrainingData(tree.labels, parts, describe(parts, seed, {"name": tree.root.name}))


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


def _few(photos: Photos, few: int) -> Photos:
    labels = np.unique(photos.truth)
    first = [np.flatnonzero(photos.truth == label)[:few] for label in labels]
    return _take(photos, np.sort(np.concatenate(first)))
