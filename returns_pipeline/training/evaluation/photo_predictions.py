"""A bundle's predictions for labelled photos, made with the decoder and the runtime of the workers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.batches import Decoder
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import PendingImage
from returns_pipeline.records.models import ImageInput
from returns_pipeline.report.summary import label_in_name
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.folders import match_labels, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.settings import Settings

_PHOTOS = FolderSource()
#: Decides which photos are drawn when there is a limit.
_SEED = 0
#: The longer side of a photo in a report, in pixels.
_THUMBNAIL = 160


class LabelledPhotos(NamedTuple):
    """Files with their true labels: `truth` int64 [n], indices into a bundle's labels.

    `numbered`: the indices come from the file names, so they fit only models with the same labels in that
    order.
    """

    paths: "Sequence[str]"
    truth: "NDArray[np.int64]"
    numbered: bool = False


class Unreadable(NamedTuple):
    """A file without a prediction: the code of its fault, and a sentence."""

    path: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class PhotoPredictions:
    """A model's predictions: `probabilities` float32 [m, labels], not calibrated.

    `indices` int64 [m], ascending, are the readable photos, and `sizes` their (width, height) in pixels.
    `unreadable` has the other photos. `familiarity` float64 [m] is that of Scores; None if it is unknown.
    """

    probabilities: "NDArray[np.float32]"
    indices: "NDArray[np.int64]"
    sizes: "Sequence[tuple[int, int]]"
    unreadable: "Sequence[Unreadable]"
    familiarity: "NDArray[np.float64] | None" = None


class Thumbnails:
    """The photos of a report, each decoded when it is drawn: uint8 [h, w, 3]."""

    def __init__(
        self, paths: "Sequence[str]", sizes: "Sequence[tuple[int, int]]", settings: "Settings"
    ) -> None:
        """Use these files; `sizes` are their (width, height) in pixels."""
        self._paths, self._sizes, self._limits = paths, sizes, Limits.of(settings)

    def __getitem__(self, index: int, /) -> "NDArray[np.uint8]":
        """Return one photo in its own proportions. Raises ImageFault when its file has changed."""
        width, height = self._sizes[index]
        scale = min(1.0, _THUMBNAIL / max(width, height))
        want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
        data = _PHOTOS.read(_pending(self._paths[index], index), self._limits.max_bytes)
        return decode(data, want, self._limits).pixels


def find_labelled_photos(
    root: Path, bundle: "Bundle", mapping: Path | None, limit: int | None
) -> LabelledPhotos:
    """Return the photos in `root` with their indices into the bundle's labels; at most `limit`, at random.

    `root` has a folder for each label, with the label's name or index, or folders of main categories with
    such folders, or files with the index in their names, `…label_N…`. `mapping` is a CSV or JSON file with
    the main category of each label. Raises RefusedError when no photo has a label, when a label is unknown to
    the bundle, or when its main category is another one.
    """
    _PHOTOS.require_folder(str(root))
    photos = _from_names(root, bundle.labels) if mapping is None else None
    if photos is None:
        photos = _from_folders(root, bundle, mapping)
    if limit is None or limit >= len(photos.paths):
        return photos
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(photos.paths), limit, replace=False))
    return LabelledPhotos([photos.paths[index] for index in chosen], photos.truth[chosen], photos.numbered)


def predict_photos(
    bundle: "Bundle",
    photos: LabelledPhotos,
    settings: "Settings",
    on_progress: "Callable[[int, int], None]",
) -> PhotoPredictions:
    """Return a bundle's predictions for photos; `on_progress` is called with the finished and all files.

    Raises RefusedError when no file can be read, ConfigFault when the model cannot be loaded, TransientFault
    when the disk fails.
    """
    threads = settings.worker_threads or len(os.sched_getaffinity(0))
    classifier = load_classifier(bundle, settings.runtime, threads=threads, mixed=settings.mixed_precision)
    decoder = Decoder(_PHOTOS, bundle.input, Limits.of(settings), settings.image_seconds)
    images = [_pending(path, index) for index, path in enumerate(photos.paths)]
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        on_progress(done, len(images))

    probabilities: list[NDArray[np.float32]] = []
    familiarity: list[NDArray[np.float64]] = []
    indices: list[int] = []
    sizes: list[tuple[int, int]] = []
    unreadable: list[Unreadable] = []
    for batch in decoder.batches(images, classifier.batch, settings.decode_threads, count):
        unreadable += [Unreadable(image.path, code, detail) for image, (code, detail, _) in batch.failed]
        scores = classifier.predict(batch.pixels)
        probabilities.append(scores.probabilities)
        familiarity += [] if scores.familiarity is None else [scores.familiarity]
        indices += [image.id for image in batch.images]
        sizes += [(facts.width, facts.height) for facts in batch.facts]
    if not indices:
        raise RefusedError(
            "None of the {images_count:,} files can be read. The first one: {detail_text}",
            advice="Name a folder of photos.",
            images_count=len(images),
            detail_text=unreadable[0].detail,
        )
    return PhotoPredictions(
        np.concatenate(probabilities),
        np.array(indices, np.int64),
        sizes,
        unreadable,
        np.concatenate(familiarity) if familiarity else None,
    )


def _from_names(root: Path, labels: "Sequence[str]") -> LabelledPhotos | None:
    """Return the files directly in `root` with a label in their names; None without any."""
    found = sorted(file.path for file in _PHOTOS.find(str(root)) if Path(file.path).parent == root)
    known = [(path, label) for path in found if (label := label_in_name(Path(path).name)) is not None]
    if not known:
        return None
    highest = max(label for _, label in known)
    if highest >= len(labels):
        raise RefusedError(
            "A file name in {root} contains label_{highest}, but the model has only the labels 0 to {last}.",
            advice="Choose photos with labels of this model.",
            root=root,
            highest=highest,
            last=len(labels) - 1,
        )
    return LabelledPhotos(
        [path for path, _ in known], np.array([label for _, label in known], np.int64), numbered=True
    )


def _from_folders(root: Path, bundle: "Bundle", mapping: Path | None) -> LabelledPhotos:
    tree = read_tree(root, mapping, least_classes=1)
    if len(tree.parts) > 1:
        raise RefusedError(
            "{root} has the folders {parts}.",
            advice="Choose one of these folders.",
            root=root,
            parts=", ".join(tree.parts),
        )
    (part,) = tree.parts.values()
    places = match_labels(tree.labels, bundle.labels)
    if tree.labels.mains != tree.labels.names and bundle.main_categories != bundle.labels:
        for label, main, place in zip(tree.labels.names, tree.labels.mains, places, strict=True):
            known = bundle.main_categories[place]
            if names.key(main) != names.key(known):
                raise RefusedError(
                    "{label} belongs to {main} in {mapping}, but to {known} in {bundle_ref}.",
                    advice="Correct the main category, or leave out the main categories: the model has them.",
                    label=label,
                    main=main,
                    mapping=mapping or root,
                    known=known,
                    bundle_ref=bundle.ref,
                )
    return LabelledPhotos([str(path) for path in part.paths], places[part.truth])


def _pending(path: str, index: int) -> PendingImage:
    found = _PHOTOS.describe(path)
    return PendingImage(index, found.path, found.size, found.identity)
