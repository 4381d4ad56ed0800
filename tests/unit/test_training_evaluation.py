"""The numbers a model is judged by, against examples worked out by hand."""

import numpy as np
import pytest

from returns_pipeline.training import evaluation
from returns_pipeline.training.split import split_indices

TRUTH = np.array([0, 0, 0, 1, 1, 2], np.uint8)
PREDICTED = np.array([0, 0, 1, 1, 1, 0])


def test_the_parts_divide_everything_and_share_nothing() -> None:
    """36,000, 12,000 and 12,000 images, each index exactly once."""
    split = split_indices(60_000)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [36_000, 12_000, 12_000]
    everything = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(everything), np.arange(60_000))


def test_the_division_is_always_the_same() -> None:
    """The held-out images of a later training are the held-out images of the first: these five lead them."""
    assert np.array_equal(split_indices(60_000).test, split_indices(60_000).test)
    assert not np.array_equal(split_indices(60_000).test, split_indices(60_000, seed=1).test)
    assert split_indices(60_000).test[:5].tolist() == [0, 10, 13, 19, 23]


def test_confusion_matrix_counts_true_rows_and_predicted_columns() -> None:
    """Every image is in exactly one cell."""
    matrix = evaluation.confusion_matrix(TRUTH, PREDICTED, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_precision_recall_and_f1_of_a_hand_made_example() -> None:
    """A label that is never predicted scores 0 instead of dividing by 0."""
    scores = evaluation.class_scores(evaluation.confusion_matrix(TRUTH, PREDICTED, 3))
    assert scores.precision == pytest.approx([2 / 3, 2 / 3, 0])
    assert scores.recall == pytest.approx([2 / 3, 1, 0])
    assert scores.f1 == pytest.approx([2 / 3, 4 / 5, 0])
    assert scores.support.tolist() == [3, 2, 1]


def test_accuracy_and_cross_entropy_of_a_hand_made_example() -> None:
    """Loss is the mean of -ln p of the true label, and stays finite when p is 0."""
    truth = np.array([0, 1], np.uint8)
    probabilities = np.array([[0.5, 0.5 - 1e-6], [0.75, 0.25]], np.float32)
    assert evaluation.accuracy(truth, probabilities) == 0.5
    assert evaluation.cross_entropy(truth, probabilities) == pytest.approx(np.log(8) / 2)
    certain_and_wrong = np.array([[0.0, 1.0]], np.float32)
    assert evaluation.cross_entropy(truth[:1], certain_and_wrong) == pytest.approx(-np.log(1e-7))
