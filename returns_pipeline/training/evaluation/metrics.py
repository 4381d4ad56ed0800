"""The metrics of a classifier, computed with NumPy alone."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.training.evaluation.calibration_curve import (
    CalibrationCurve,
    CoverageCurve,
    calibration_curve,
    coverage_curve,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassScores:
    """For each label: `precision`, `recall`, `f1` float64 [labels] in 0..1, `support` int64 [labels]."""

    precision: "NDArray[np.float64]"
    recall: "NDArray[np.float64]"
    f1: "NDArray[np.float64]"
    support: "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class MainCategoryScores:
    """The scores of a model with main and sub-categories, each 0..1.

    `main_accuracy` judges the main category of the best sub-category, which is the one that is served.
    `contradictions` is the share of images for which another main category has the highest sum of
    probabilities of its sub-categories.
    """

    main_accuracy: float
    sub_accuracy: float
    contradictions: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All metrics of a model on `n` images: shares in 0..1, the loss in nats.

    `confusion` int64 [labels, labels], rows true. `heads` is None when the labels are the main categories.
    """

    n: int
    accuracy: float
    loss: float
    top3_accuracy: float
    confusion: "NDArray[np.int64]"
    scores: ClassScores
    calibration: CalibrationCurve
    coverage: CoverageCurve
    heads: MainCategoryScores | None

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return self.calibration.error


def accuracy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the share of rows whose most probable label is the true one.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    return float((probabilities.argmax(axis=1) == truth).mean())


def cross_entropy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the categorical cross-entropy, -mean(log p[true label]) in nats: the training loss.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. As in Keras, p is clipped to
    1e-7..1-1e-7.
    """
    true_label = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(true_label, 1e-7, 1 - 1e-7)).mean())


def confusion_matrix(
    truth: "NDArray[np.integer]", predicted: "NDArray[np.integer]", labels: int
) -> "NDArray[np.int64]":
    """Return int64 [labels, labels]: row = true label, column = predicted label, value = number of images.

    `truth` and `predicted` integer [n], each value in 0..labels-1.
    """
    pairs = truth.astype(np.int64) * labels + predicted
    return np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)


def class_scores(confusion: "NDArray[np.int64]") -> ClassScores:
    """Return precision, recall and F1 of each label. `confusion` int64 [labels, labels], rows true.

    A label that is never predicted has precision 0; a label without images has recall 0, as in scikit-learn.
    """
    right = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(predicted + support, 1)
    return ClassScores(precision, recall, f1, support)


def top_accuracy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", count: int = 3) -> float:
    """Return the share of rows whose true label is among the `count` most probable ones.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. Of equally probable labels, the
    first one comes first, as in `argmax`.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((best == truth[:, None]).any(axis=1).mean())


def main_category_scores(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", mains: "Sequence[str]"
) -> MainCategoryScores:
    """Return the scores of a model whose labels are sub-categories; `mains` has their main categories.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    names = sorted(set(mains))
    main_of = np.array([names.index(main) for main in mains])
    predicted = probabilities.argmax(axis=1)
    belongs = (main_of[:, None] == np.arange(len(names))).astype(np.float64)
    by_sum = (probabilities @ belongs).argmax(axis=1)
    return MainCategoryScores(
        main_accuracy=float((main_of[predicted] == main_of[truth]).mean()),
        sub_accuracy=float((predicted == truth).mean()),
        contradictions=float((by_sum != main_of[predicted]).mean()),
    )


def evaluate(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", mains: "Sequence[str] | None" = None
) -> Evaluation:
    """Return all metrics of a model's predictions.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0; `mains` has the main category of each
    label; None when the labels are the main categories.
    """
    labels = probabilities.shape[1]
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), labels)
    return Evaluation(
        n=len(truth),
        accuracy=accuracy(truth, probabilities),
        loss=cross_entropy(truth, probabilities),
        top3_accuracy=top_accuracy(truth, probabilities),
        confusion=confusion,
        scores=class_scores(confusion),
        calibration=calibration_curve(truth, probabilities),
        coverage=coverage_curve(truth, probabilities),
        heads=main_category_scores(truth, probabilities, mains) if mains else None,
    )


def as_dict(evaluation: Evaluation, labels: "Sequence[str]") -> dict[str, Any]:
    """Return an evaluation as plain values for JSON."""
    scores, curve, coverage = evaluation.scores, evaluation.calibration, evaluation.coverage
    bins = len(curve.images)
    return {
        "n": evaluation.n,
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "top3_accuracy": evaluation.top3_accuracy,
        "ece": evaluation.ece,
        **(asdict(evaluation.heads) if evaluation.heads else {}),
        "per_class": [
            {"label": label, "precision": p, "recall": r, "f1": f1, "support": support}
            for label, p, r, f1, support in zip(
                labels,
                *(_rounded(values) for values in (scores.precision, scores.recall, scores.f1)),
                scores.support.tolist(),
                strict=True,
            )
        ],
        "confusion_matrix": evaluation.confusion.tolist(),
        "reliability": [
            {"above": i / bins, "to": (i + 1) / bins, "images": images, "probability": p, "accuracy": a}
            for i, (images, p, a) in enumerate(
                zip(curve.images.tolist(), _rounded(curve.probability), _rounded(curve.accuracy), strict=True)
            )
        ],
        "coverage": [
            {"coverage": share, "threshold": threshold, "accuracy": a}
            for share, threshold, a in zip(
                _rounded(coverage.coverage),
                _rounded(coverage.threshold),
                _rounded(coverage.accuracy),
                strict=True,
            )
        ],
    }


def _rounded(values: "NDArray[np.float64]") -> list[float]:
    result: list[float] = values.round(6).tolist()
    return result
