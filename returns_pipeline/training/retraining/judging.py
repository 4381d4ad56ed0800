"""Judges a new version against another one on photos that neither was trained on."""

from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.records.retraining import Judgement
from returns_pipeline.training.evaluation.comparison import compare
from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, predict_photos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.settings import Settings
    from returns_pipeline.training.pipeline.recipe import Listener
    from returns_pipeline.training.retraining.photos import Judged


def judge(
    new: "Bundle", old: "Bundle", judged: "Sequence[Judged]", settings: "Settings", listener: "Listener"
) -> Judgement:
    """Compare two versions with the same labels, as the workers run them.

    Photos that cannot be read are left out. Raises RefusedError if no photo can be read.
    """
    truth = np.array([each.label for each in judged], np.int64)
    photos = LabelledPhotos([each.path for each in judged], truth)
    right: list[NDArray[np.bool_]] = []
    for bundle in (old, new):
        listener.stage(f"Predicting with {bundle.ref}")
        found = predict_photos(bundle, photos, settings, listener.progress)
        right.append(found.probabilities.argmax(axis=1) == truth[found.indices])
    result = compare(truth[found.indices], right[0], right[1], new.labels)
    reviewed = np.array([each.reviewed for each in judged])[found.indices]
    return Judgement(
        photos=result.n,
        reviewed=int(reviewed.sum()),
        difference=result.difference,
        low=result.low,
        high=result.high,
        p=result.p,
    )
