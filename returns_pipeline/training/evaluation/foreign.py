"""How well a model tells photos of foreign things from photos of the kind that it was trained on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.confidence import review_thresholds
from returns_pipeline.classify.predictions import to_predictions
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.predictions import Decision, Scores
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.store import reviewed_photos
from returns_pipeline.training.evaluation.photo_predictions import (
    LabelledPhotos,
    PhotoPredictions,
    Unreadable,
    predict_photos,
)
from returns_pipeline.usecases.originals import open_original

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.settings import Settings
    from returns_pipeline.usecases.context import Context

_PHOTOS = FolderSource()


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a model does with `n` readable photos of foreign things.

    `auroc` is the probability that one of them is stranger than a photo of the known kind; equal ones count
    half. `unfamiliar` of them are unlike anything the model was trained on. `taken` are predicted without a
    review, `taken_by_probability` of them would be if familiarity did not count. `known_unfamiliar` is the
    share of the photos of the known kind that are unfamiliar.
    """

    n: int
    auroc: float
    unfamiliar: int
    taken: tuple[str, ...]
    taken_by_probability: int
    known_unfamiliar: float | None
    unreadable: "Sequence[Unreadable]"


def require_familiarity(bundle: "Bundle") -> None:
    """Raise RefusedError for a bundle that cannot tell what is familiar."""
    if bundle.familiarity is None:
        raise RefusedError(
            "{bundle_ref} does not know what its training photos look like.",
            "Let it learn that: `returns-pipeline models familiarity {bundle_ref} --data FOLDER`.",
            bundle_ref=bundle.ref,
        )


def files_in(root: Path) -> list[str]:
    """Return the files below a folder, sorted. Raises ConfigFault without a folder."""
    _PHOTOS.require_folder(str(root))
    return sorted(file.path for file in _PHOTOS.find(str(root)))


def none_of_these(context: "Context") -> Iterator[str]:
    """Yield the files of the photos of which people said that no label fits."""
    for photo in reviewed_photos.reviewed(context.db):
        if photo.outcome != ReviewOutcome.NONE_OF_THESE:
            continue
        try:
            file, content = open_original(context, photo.image_id)
        except (NotFoundError, ConflictError):
            continue
        content.close()
        yield file.path


def evaluate(
    bundle: "Bundle",
    paths: "Sequence[str]",
    known: PhotoPredictions | None,
    settings: "Settings",
    on_progress: Callable[[int, int], None],
) -> Foreign:
    """Compare files of foreign things with photos of the known kind: `known`, else the validation photos.

    Raises RefusedError if no file can be read, or if the runtime does not tell what is familiar.
    """
    require_familiarity(bundle)
    photos = LabelledPhotos(paths, np.zeros(len(paths), np.int64))
    found = predict_photos(bundle, photos, settings, on_progress)
    shares = _told(bundle, found)
    known_shares = None if known is None else _told(bundle, known)
    thresholds = review_thresholds(bundle, settings.review_threshold)
    scores = Scores(found.probabilities, familiarity=shares)
    by_probability = to_predictions(bundle, scores, thresholds)
    judged = to_predictions(bundle, scores, thresholds, least_familiarity=settings.familiarity)
    is_taken = [each.decision is Decision.AUTO for each in judged]
    return Foreign(
        n=len(judged),
        # A share is the part of the validation photos that are stranger.
        auroc=float(1 - shares.mean()) if known_shares is None else auroc(known_shares, shares),
        unfamiliar=sum(each.unfamiliar for each in judged),
        taken=tuple(paths[index] for index in found.indices[is_taken].tolist()),
        taken_by_probability=sum(each.decision is Decision.AUTO for each in by_probability),
        known_unfamiliar=(
            None if known_shares is None else float((known_shares < settings.familiarity).mean())
        ),
        unreadable=found.unreadable,
    )


def auroc(known: "NDArray[np.float64]", foreign: "NDArray[np.float64]") -> float:
    """Return the probability that one of `foreign` is below one of `known`; equal ones count half.

    The area under the curve of Receiver Operating Characteristic, by the statistic of Mann and Whitney:
    Hanley, McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
    Radiology 143, 1982.
    """
    ordered = np.sort(known)
    above = len(ordered) - np.searchsorted(ordered, foreign, side="right")
    equal = len(ordered) - np.searchsorted(ordered, foreign, side="left") - above
    return float((above + equal / 2).mean() / len(ordered))


def _told(bundle: "Bundle", found: PhotoPredictions) -> "NDArray[np.float64]":
    if found.familiarity is None:
        raise RefusedError(
            "This runtime does not tell how familiar a photo is to {bundle_ref}.",
            "Use the runtime of CPUs: RETURNS_RUNTIME=openvino.",
            bundle_ref=bundle.ref,
        )
    return found.familiarity
