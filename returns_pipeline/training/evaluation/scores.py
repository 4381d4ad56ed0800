"""The numbers by which a model is judged. NumPy only."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.training.evaluation.reliability import (
    CoverageCurve,
    ReliabilityCurve,
    coverage_curve,
    reliability_curve,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One value a label: `precision`, `recall`, `f1` float64 [labels] in 0..1, `support` int64 [labels]."""

    precision: "NDArray[np.float64]"
    recall: "NDArray[np.float64]"
    f1: "NDArray[np.float64]"
    support: "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class TwoHeads:
    """How a model with main and sub-categories does, each 0..1.

    `main_accuracy` counts the main category of the best sub-category, which is what is served.
    `contradictions` is the share of images whose main category would be another by the sum over its
    sub-categories.
    """

    main_accuracy: float
    sub_accuracy: float
    contradictions: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All numbers of a model on `n` images: shares in 0..1, the loss in nats.

    `confusion` int64 [labels, labels], rows true. `heads` is None of a model whose labels are its main
    categories.
    """

    n: int
    accuracy: float
    loss: float
    top3_accuracy: float
    confusion: "NDArray[np.int64]"
    scores: ClassScores
    reliability: ReliabilityCurve
    coverage: CoverageCurve
    heads: TwoHeads | None

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return self.reliability.error


def accuracy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the share of rows whose most probable label is the true one.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    return float((probabilities.argmax(axis=1) == truth).mean())


def cross_entropy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]") -> float:
    """Return the categorical cross-entropy, -mean(log p[true label]) in nats: the loss that was trained.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. As in Keras, p is kept 1e-7 from 0 and 1.
    """
    true_ones = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.clip(true_ones, 1e-7, 1 - 1e-7)).mean())


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

    A label that was never predicted has precision 0, one without images has recall 0, as in scikit-learn.
    """
    right = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(predicted + support, 1)
    return ClassScores(precision, recall, f1, support)


def top_accuracy(truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", count: int = 3) -> float:
    """Return the share of rows whose true label is among the `count` most probable ones.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0. Of labels that are equally probable the
    first counts as the more probable, as in `argmax`.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((best == truth[:, None]).any(axis=1).mean())


def two_heads(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", mains: "Sequence[str]"
) -> TwoHeads:
    """Judge a model whose label is a sub-category; `mains` names the main category of each label.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0.
    """
    names = sorted(set(mains))
    main_of = np.array([names.index(main) for main in mains])
    predicted = probabilities.argmax(axis=1)
    belongs = (main_of[:, None] == np.arange(len(names))).astype(np.float64)
    by_sum = (probabilities @ belongs).argmax(axis=1)
    return TwoHeads(
        main_accuracy=float((main_of[predicted] == main_of[truth]).mean()),
        sub_accuracy=float((predicted == truth).mean()),
        contradictions=float((by_sum != main_of[predicted]).mean()),
    )


def judge(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.float32]", mains: "Sequence[str] | None" = None
) -> Evaluation:
    """Return every number of a model's answers.

    `truth` integer [n], `probabilities` float32 [n, labels], n > 0; `mains` names the main category of each
    label, None when the labels are the main categories.
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
        reliability=reliability_curve(truth, probabilities),
        coverage=coverage_curve(truth, probabilities),
        heads=two_heads(truth, probabilities, mains) if mains else None,
    )


def numbers(judged: Evaluation, labels: "Sequence[str]") -> dict[str, Any]:
    """Return an evaluation as plain values for JSON."""
    scores, curve, coverage = judged.scores, judged.reliability, judged.coverage
    bins = len(curve.images)
    return {
        "n": judged.n,
        "accuracy": judged.accuracy,
        "loss": judged.loss,
        "top3_accuracy": judged.top3_accuracy,
        "ece": judged.ece,
        **(asdict(judged.heads) if judged.heads else {}),
        "per_class": [
            {"label": label, "precision": p, "recall": r, "f1": f1, "support": support}
            for label, p, r, f1, support in zip(
                labels,
                *(_plain(values) for values in (scores.precision, scores.recall, scores.f1)),
                scores.support.tolist(),
                strict=True,
            )
        ],
        "confusion_matrix": judged.confusion.tolist(),
        "reliability": [
            {"above": i / bins, "to": (i + 1) / bins, "images": images, "probability": p, "accuracy": a}
            for i, (images, p, a) in enumerate(
                zip(curve.images.tolist(), _plain(curve.probability), _plain(curve.accuracy), strict=True)
            )
        ],
        "coverage": [
            {"coverage": share, "threshold": threshold, "accuracy": a}
            for share, threshold, a in zip(
                _plain(coverage.coverage), _plain(coverage.threshold), _plain(coverage.accuracy), strict=True
            )
        ],
    }


def _plain(values: "NDArray[np.float64]") -> list[float]:
    rounded: list[float] = values.round(6).tolist()
    return rounded
