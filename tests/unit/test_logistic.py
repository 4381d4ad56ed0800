"""The regression is the minimum of its loss, and cross-validation takes the penalty that judges best."""

import numpy as np
import pytest

from returns_pipeline.training.features import logistic
from returns_pipeline.training.labelled.split import folds

pytest.importorskip("scipy")

LABELS = 3
_DRAW = np.random.default_rng(0)
TRUTH = _DRAW.integers(0, LABELS, 240)
#: Few of many features say something; one never changes.
FEATURES = _DRAW.normal(3, 2, (240, 60)).astype(np.float32)
FEATURES[:, :LABELS] += 2 * np.eye(LABELS, dtype=np.float32)[TRUTH]
FEATURES[:, -1] = 7


def loss(regression: logistic.Regression, penalty: float) -> float:
    """Return the penalised loss, in float64, of the features divided by their deviations."""
    probabilities = regression.probabilities(FEATURES)
    weights = regression.matrix * FEATURES.std(axis=0)[:, np.newaxis]
    fit = -np.log(probabilities[np.arange(len(TRUTH)), TRUTH].astype(float)).mean()
    return float(fit + penalty / 2 * (weights.astype(float) ** 2).sum())


@pytest.mark.parametrize("penalty", [0.2, 0.01])
def test_no_neighbour_of_the_regression_has_less_loss(penalty: float) -> None:
    """The loss is convex, so a point that random steps do not improve is its minimum."""
    found = logistic.fit(FEATURES, TRUTH, LABELS, penalty)
    least = loss(found, penalty)
    for _ in range(30):
        step = _DRAW.normal(0, 0.02, found.matrix.shape).astype(np.float32)
        assert loss(found._replace(matrix=found.matrix + step), penalty) > least
    assert not found.matrix[-1].any()


def test_fewer_images_than_features_give_the_same_minimum() -> None:
    """The slope of the loss is 0 in each feature, although only as many directions are searched as images."""
    features, truth = FEATURES[:40], TRUTH[:40]
    found = logistic.fit(features, truth, LABELS, 0.05)
    deviation = features.std(axis=0)
    wrong = found.probabilities(features) - np.eye(LABELS)[truth]
    scaled = (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    slope = scaled.T @ wrong / len(truth) + 0.05 * found.matrix * deviation[:, np.newaxis]
    assert np.abs(slope).max() < 2e-4
    assert np.abs(found.matrix).max() > 0.01
    assert not found.matrix[-1].any()


def test_cross_validation_orders_penalties_by_photos_that_were_not_trained_on() -> None:
    """The best penalty beats the extremes on new photos, and the same seed gives the same choice."""
    choices = logistic.choose(FEATURES, TRUTH, LABELS, 1, lambda *_: None)
    assert choices == logistic.choose(FEATURES, TRUTH, LABELS, 1, lambda *_: None)
    assert [each.loss for each in choices] == sorted(each.loss for each in choices)
    truth = _DRAW.integers(0, LABELS, 2000)
    features = _DRAW.normal(3, 2, (2000, 60)).astype(np.float32)
    features[:, :LABELS] += 2 * np.eye(LABELS, dtype=np.float32)[truth]
    features[:, -1] = 7

    def on_new(penalty: float) -> float:
        found = logistic.fit(FEATURES, TRUTH, LABELS, penalty).probabilities(features)
        return float(-np.log(found[np.arange(len(truth)), truth]).mean())

    assert on_new(choices[0].penalty) < on_new(logistic.PENALTIES[-1])
    assert abs(choices[0].loss - on_new(choices[0].penalty)) < 0.15


def test_folds_share_out_each_label() -> None:
    """Each fold has its share of each label, to one image, also of a label with fewer images than folds."""
    truth = np.repeat([0, 1, 2], [50, 23, 3])
    found = folds(truth, 5, 0)
    for label, count in ((0, 50), (1, 23), (2, 3)):
        shares = np.bincount(found[truth == label], minlength=5)
        assert set(shares) <= {count // 5, -(-count // 5)}
