"""A bundle's answers to photos whose labels are known, by the decoding and the runtime of the workers."""

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
#: Decides which photos are taken when there is a limit.
_SEED = 0
#: The longer side of a picture in a report, in pixels.
_THUMBNAIL = 160


class Photos(NamedTuple):
    """Files with their labels: `truth` int64 [n], indices into a bundle's labels.

    `numbered`: the files themselves carry indices, so that only labels in the same order mean the same.
    """

    paths: "Sequence[str]"
    truth: "NDArray[np.int64]"
    numbered: bool = False


class Unreadable(NamedTuple):
    """A file without an answer, the code of its fault and a sentence."""

    path: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model said: `probabilities` float32 [m, labels] as the model gives them, not calibrated.

    `indices` int64 [m], ascending, are the photos that could be read, `sizes` their (width, height) in
    pixels, `unreadable` the others.
    """

    probabilities: "NDArray[np.float32]"
    indices: "NDArray[np.int64]"
    sizes: "Sequence[tuple[int, int]]"
    unreadable: "Sequence[Unreadable]"


class Thumbnails:
    """The pictures of a report, read from their files when they are asked for: uint8 [h, w, 3]."""

    def __init__(
        self, paths: "Sequence[str]", sizes: "Sequence[tuple[int, int]]", settings: "Settings"
    ) -> None:
        """Show these files; `sizes` are their (width, height) in pixels."""
        self._paths, self._sizes, self._limits = paths, sizes, Limits.of(settings)

    def __getitem__(self, index: int, /) -> "NDArray[np.uint8]":
        """Return one picture in its own proportions. Raises ImageFault when its file changed meanwhile."""
        width, height = self._sizes[index]
        scale = min(1.0, _THUMBNAIL / max(width, height))
        want = ImageInput(max(1, round(height * scale)), max(1, round(width * scale)), 3)
        data = _PHOTOS.read(_pending(self._paths[index], index), self._limits.max_bytes)
        return decode(data, want, self._limits).pixels


def read_data(root: Path, bundle: "Bundle", mapping: Path | None, limit: int | None) -> Photos:
    """Return the photos under `root` with their indices into the bundle's labels; at most `limit`, at random.

    `root` has a folder for each label, named as it or by its index, or folders of main categories with such
    folders; or files whose names carry the index, `…label_N…`. `mapping` is a CSV or JSON file that gives
    each label its main category. Raises RefusedError when there is no photo with a label, a label is not one
    of the bundle's, or belongs to another main category there.
    """
    _PHOTOS.require_folder(str(root))
    photos = _from_names(root, bundle.labels) if mapping is None else None
    if photos is None:
        photos = _from_folders(root, bundle, mapping)
    if limit is None or limit >= len(photos.paths):
        return photos
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(photos.paths), limit, replace=False))
    return Photos([photos.paths[index] for index in chosen], photos.truth[chosen], photos.numbered)


def ask(
    bundle: "Bundle", photos: Photos, settings: "Settings", on_progress: "Callable[[int, int], None]"
) -> Answers:
    """Return a bundle's answers to photos, read batch by batch; `on_progress` takes files done and all files.

    Raises RefusedError when the model cannot be loaded or no file can be read, TransientFault when the disk
    is at fault.
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

    answers: list[NDArray[np.float32]] = []
    indices: list[int] = []
    sizes: list[tuple[int, int]] = []
    unreadable: list[Unreadable] = []
    for batch in decoder.batches(images, classifier.batch, settings.decode_threads, count):
        unreadable += [Unreadable(image.path, code, detail) for image, (code, detail) in batch.failed]
        answers.append(classifier.predict(batch.pixels).probabilities)
        indices += [image.id for image in batch.images]
        sizes += [(facts.width, facts.height) for facts in batch.facts]
    if not indices:
        raise RefusedError(
            "None of the {images_count:,} files can be read; the first: {detail_text}",
            advice="Name a folder of photos.",
            images_count=len(images),
            detail_text=unreadable[0].detail,
        )
    return Answers(np.concatenate(answers), np.array(indices, np.int64), sizes, unreadable)


def _from_names(root: Path, labels: "Sequence[str]") -> Photos | None:
    """Return the files in `root` itself whose names carry a label; None when none does."""
    found = sorted(file.path for file in _PHOTOS.find(str(root)) if Path(file.path).parent == root)
    known = [(path, label) for path in found if (label := label_in_name(Path(path).name)) is not None]
    if not known:
        return None
    highest = max(label for _, label in known)
    if highest >= len(labels):
        raise RefusedError(
            "A file in {root} carries label_{highest}, but the model has {labels_count} labels, from 0 to "
            "{labels_count2}.",
            advice="Name photos that are labelled for this model.",
            root=root,
            highest=highest,
            labels_count=len(labels),
            labels_count2=len(labels) - 1,
        )
    return Photos(
        [path for path, _ in known], np.array([label for _, label in known], np.int64), numbered=True
    )


def _from_folders(root: Path, bundle: "Bundle", mapping: Path | None) -> Photos:
    tree = read_tree(root, mapping, least_classes=1)
    if len(tree.parts) > 1:
        raise RefusedError(
            "{root} has the parts {parts}.",
            advice="Name one of their folders instead.",
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
                    advice="Correct the main category, or leave main categories out: the model knows them.",
                    label=label,
                    main=main,
                    mapping=mapping or root,
                    known=known,
                    bundle_ref=bundle.ref,
                )
    return Photos([str(path) for path in part.paths], places[part.truth])


def _pending(path: str, index: int) -> PendingImage:
    found = _PHOTOS.describe(path)
    return PendingImage(index, found.path, found.size, found.identity)
