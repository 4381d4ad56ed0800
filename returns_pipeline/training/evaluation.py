"""The numbers by which a model is judged. NumPy only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One value a label: `precision`, `recall`, `f1` float64 [labels] in 0..1, `support` int64 [labels]."""

    precision: "NDArray[np.float64]"
    recall: "NDArray[np.float64]"
    f1: "NDArray[np.float64]"
    support: "NDArray[np.int64]"


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
