"""The metrics of a model, against examples worked out by hand."""

import numpy as np
import pytest

from returns_pipeline.training.evaluation import metrics
from returns_pipeline.training.evaluation.calibration_curve import (
    ReviewOutcome,
    calibration_curve,
    coverage_curve,
    review_outcome,
)
from returns_pipeline.training.labelled.split import split_indices

TRUTH = np.array([0, 0, 0, 1, 1, 2], np.uint8)
PREDICTED = np.array([0, 0, 1, 1, 1, 0])


def test_the_parts_divide_everything_and_share_nothing() -> None:
    """36,000, 12,000 and 12,000 images, each index exactly once."""
    split = split_indices(60_000)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [36_000, 12_000, 12_000]
    everything = np.concatenate([split.train, split.validation, split.test])
    assert np.array_equal(np.sort(everything), np.arange(60_000))


def test_the_division_is_always_the_same() -> None:
    """Every training has the same held-out images; these are the first five."""
    assert np.array_equal(split_indices(60_000).test, split_indices(60_000).test)
    assert not np.array_equal(split_indices(60_000).test, split_indices(60_000, seed=1).test)
    assert split_indices(60_000).test[:5].tolist() == [0, 10, 13, 19, 23]


def test_confusion_matrix_counts_true_rows_and_predicted_columns() -> None:
    """Every image is in exactly one cell."""
    matrix = metrics.confusion_matrix(TRUTH, PREDICTED, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_precision_recall_and_f1_of_a_hand_made_example() -> None:
    """A label that is never predicted has precision 0, without a division by 0."""
    found = metrics.class_scores(metrics.confusion_matrix(TRUTH, PREDICTED, 3))
    assert found.precision == pytest.approx([2 / 3, 2 / 3, 0])
    assert found.recall == pytest.approx([2 / 3, 1, 0])
    assert found.f1 == pytest.approx([2 / 3, 4 / 5, 0])
    assert found.support.tolist() == [3, 2, 1]


def test_accuracy_and_cross_entropy_of_a_hand_made_example() -> None:
    """Loss is the mean of -ln p of the true label, and stays finite when p is 0."""
    truth = np.array([0, 1], np.uint8)
    probabilities = np.array([[0.5, 0.5 - 1e-6], [0.75, 0.25]], np.float32)
    assert metrics.accuracy(truth, probabilities) == 0.5
    assert metrics.cross_entropy(truth, probabilities) == pytest.approx(np.log(8) / 2)
    certain_and_wrong = np.array([[0.0, 1.0]], np.float32)
    assert metrics.cross_entropy(truth[:1], certain_and_wrong) == pytest.approx(-np.log(1e-7))


def test_top_accuracy_counts_the_most_probable_labels() -> None:
    """The true label is first, third and fourth."""
    rows = np.array([[0.4, 0.3, 0.2, 0.1]] * 3, np.float32)
    truth = np.array([0, 2, 3])
    assert [metrics.top_accuracy(truth, rows, count) for count in (1, 2, 3, 4)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 1]
    )
    assert metrics.top_accuracy(truth[:1], rows[:1, :2]) == 1


def test_the_calibration_error_of_a_hand_made_example() -> None:
    """Two of four predictions at 0.75 are correct, and the one at 1.0: (4 * |0.5 - 0.75| + 1 * 0) / 5."""
    rows = np.array([[0.75, 0.25]] * 4 + [[1.0, 0.0]], np.float32)
    truth = np.array([0, 0, 1, 1, 0])
    curve = calibration_curve(truth, rows)
    assert curve.error == pytest.approx(0.2)
    assert curve.images.sum() == 5
    # 0.75 lies above 11/15 and at most 12/15; the upper end belongs to the bin.
    assert np.flatnonzero(curve.images).tolist() == [11, 14]
    assert curve.accuracy[11] == pytest.approx(0.5)
    on_the_edge = np.array([[0.5, 0.5]], np.float32)
    assert np.flatnonzero(calibration_curve(np.array([0]), on_the_edge, bins=2).images).tolist() == [0]


def test_calibrated_probabilities_have_no_calibration_error() -> None:
    """The error is 0 for predictions at 0.8 that are correct in 80 of 100 cases."""
    rows = np.tile(np.array([[0.8, 0.2]], np.float32), (100, 1))
    assert calibration_curve((np.arange(100) >= 80).astype(int), rows).error == pytest.approx(0, abs=1e-6)


def test_accuracy_against_coverage_of_a_hand_made_example() -> None:
    """Images with the same probability count together; at full coverage the accuracy is the model's."""
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]], np.float32)
    curve = coverage_curve(np.array([0, 0, 1, 1]), rows)
    assert curve.coverage == pytest.approx([0.25, 0.75, 1])
    assert curve.threshold == pytest.approx([0.9, 0.8, 0.6])
    assert curve.accuracy == pytest.approx([1, 2 / 3, 0.5])


def test_a_review_rule_of_a_hand_made_example() -> None:
    """Each label has its own threshold; infinity sends all of its images to review."""
    rows = np.array([[0.9, 0.1], [0.6, 0.4], [0.05, 0.95]], np.float32)
    truth = np.array([0, 1, 1])
    found = review_outcome(truth, rows, np.array([0.5, np.inf]))
    assert found.automatic == pytest.approx(2 / 3)
    assert found.accuracy == 0.5
    assert review_outcome(truth, rows, np.array([np.inf, np.inf])) == ReviewOutcome(0, None)


def test_two_heads_of_a_hand_made_example() -> None:
    """The main category is that of the best sub-category; for one image the sum decides otherwise."""
    mains = ("bags", "shoes", "shoes")
    rows = np.array([[0.4, 0.35, 0.25], [0.1, 0.5, 0.4], [0.2, 0.1, 0.7]], np.float32)
    heads = metrics.main_category_scores(np.array([0, 2, 2]), rows, mains)
    assert heads.main_accuracy == 1
    assert heads.sub_accuracy == pytest.approx(2 / 3)
    assert heads.contradictions == pytest.approx(1 / 3)
    assert metrics.evaluate(np.array([0, 2, 2]), rows, mains).heads == heads
    assert metrics.evaluate(np.array([0, 2, 2]), rows).heads is None
