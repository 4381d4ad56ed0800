"""A model's scores to predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.confidence import tempered
from returns_pipeline.records.predictions import Decision, Prediction, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How many of the most probable labels are stored with a prediction.
TOP = 5


def to_predictions(
    bundle: Bundle,
    scores: Scores,
    review_threshold: "float | NDArray[np.float64]",
    kept: int = TOP,
    least_familiarity: float = 0.0,
) -> Sequence[Prediction]:
    """Return one prediction for each row of `scores`, with the probabilities calibrated.

    The main category is that of the most probable label; its probability is the sum over the category's
    labels. Below `review_threshold`, one value or float64 [labels], the decision is REVIEW. An
    image whose familiarity is known and below `least_familiarity` is unfamiliar, and its decision is REVIEW
    too. Each prediction has its `kept` most probable labels.
    """
    if not len(scores.probabilities):
        return []
    probabilities = tempered(scores.probabilities, bundle.temperature)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :kept]
    values = np.take_along_axis(probabilities, best, axis=1).astype(np.float64)
    mains = sorted(set(bundle.main_categories))
    main_of = np.array([mains.index(main) for main in bundle.main_categories])
    belongs = (main_of[:, None] == np.arange(len(mains))[None, :]).astype(np.float32)
    of_main = (probabilities @ belongs)[np.arange(len(best)), main_of[best[:, 0]]]
    sure = values[:, 0] >= np.broadcast_to(review_threshold, len(bundle.labels))[best[:, 0]]
    shares: Sequence[float | None] = [None] * len(best)
    strange = np.zeros(len(best), bool)
    if scores.familiarity is not None:
        strange = scores.familiarity < least_familiarity
        shares = scores.familiarity.round(4).tolist()
    return [
        Prediction(
            label_index=indices[0],
            label=bundle.labels[indices[0]],
            probability=probability,
            main_label=bundle.main_categories[indices[0]],
            main_probability=main_chance,
            top=tuple(zip(indices, chances, strict=True)),
            decision=Decision.AUTO if is_sure else Decision.REVIEW,
            familiarity=share,
            unfamiliar=is_strange,
        )
        for indices, probability, chances, main_chance, is_sure, share, is_strange in zip(
            best.tolist(),
            values[:, 0].tolist(),
            values.round(6).tolist(),
            np.minimum(of_main, 1.0).tolist(),
            (sure & ~strange).tolist(),
            shares,
            strange.tolist(),
            strict=True,
        )
    ]
