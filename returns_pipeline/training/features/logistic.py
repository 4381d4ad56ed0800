"""Multinomial logistic regression on features, its regularisation chosen by cross-validation.

Source: Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 2nd edition, sections 4.4 and
7.10. Features are divided by their deviations first, so that one penalty suits all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.training.labelled.split import folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Penalties that are tried, from strong to weak: the factor of half the sum of the squared weights, beside
#: the mean cross-entropy. The fewer photos, the stronger the best one.
PENALTIES = tuple(float(f"{penalty:.3g}") for penalty in np.logspace(-0.5, -4.5, 9))
#: The choice ends when this many weaker penalties in a row were worse.
_WORSE = 2
_FOLDS = 5
#: Most photos that take part in the choice, so that it takes minutes for a hundred thousand.
_MOST_CHOOSING = 10_000
#: Limits of L-BFGS: steps, and the largest part of a gradient. Each search starts where the one before ended.
_MOST_STEPS, _GRADIENT = 100, 1e-4
_LEAST_DEVIATION = 1e-6
#: Columns for each row from which on finding the directions takes less time than it saves.
_WIDE = 2
#: The least squared length of a direction of rows, as a share of the largest: less is noise of float32.
_LEAST_SQUARE = 1e-6
_TINY = np.finfo(np.float32).tiny


class Regression(NamedTuple):
    """Scores of labels are features @ matrix + offset; float32 [f, labels] and [labels]."""

    matrix: "NDArray[np.float32]"
    offset: "NDArray[np.float32]"

    def probabilities(self, features: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return float32 [n, labels] for `features` float32 [n, f]."""
        return _softmax(features @ self.matrix + self.offset)


class Choice(NamedTuple):
    """A penalty with its cross-validated mean cross-entropy and share of right labels."""

    penalty: float
    loss: float
    accuracy: float


class _Scale(NamedTuple):
    mean: "NDArray[np.float32]"
    factor: "NDArray[np.float32]"

    @classmethod
    def of(cls, features: "NDArray[np.float32]") -> "_Scale":
        deviation = features.std(axis=0)
        # A feature that never changes says nothing.
        factor = np.where(deviation > _LEAST_DEVIATION, 1 / np.maximum(deviation, _LEAST_DEVIATION), 0)
        return cls(features.mean(axis=0), factor.astype(np.float32))

    def scaled(self, features: "NDArray[np.float32]") -> "NDArray[np.float32]":
        return (features - self.mean) * self.factor

    def unscaled(self, regression: Regression) -> Regression:
        matrix = regression.matrix * self.factor[:, np.newaxis]
        return Regression(matrix, regression.offset - self.mean @ matrix)


class _Narrow(NamedTuple):
    """Few rows with many columns, in the directions that they span: as many columns as rows say the same.

    The penalty is the same in each direction, so the regression on `rows` float32 [n, k], k <= n, is that on
    the features; `axes` float32 [f, k] leads back. `axes` is None for rows that stay as they are.
    """

    rows: "NDArray[np.float32]"
    axes: "NDArray[np.float32] | None"

    @classmethod
    def of(cls, features: "NDArray[np.float32]") -> "_Narrow":
        if features.shape[1] < _WIDE * len(features):
            return cls(features, None)
        from scipy.linalg import eigh

        squares, vectors = eigh(features @ features.T)
        is_spanned = squares > squares[-1] * _LEAST_SQUARE
        lengths, vectors = np.sqrt(squares[is_spanned]), vectors[:, is_spanned]
        return cls(vectors * lengths, features.T @ (vectors / lengths))

    def widened(self, regression: Regression) -> Regression:
        if self.axes is None:
            return regression
        return regression._replace(matrix=self.axes @ regression.matrix)


def choose(
    features: "NDArray[np.float32]",
    truth: "NDArray[np.int64]",
    labels: int,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> list[Choice]:
    """Return the penalties that were tried, the one with the least cross-entropy first.

    `features` float32 [n, f], `truth` int64 [n]; `seed` decides the folds. `on_progress` is called with
    (done, total).
    """
    if len(truth) > _MOST_CHOOSING:
        some = np.sort(np.random.default_rng(seed).permutation(len(truth))[:_MOST_CHOOSING])
        features, truth = features[some], truth[some]
    scaled, fold = _Narrow.of(_Scale.of(features).scaled(features)).rows, folds(truth, _FOLDS, seed)
    judged = [np.flatnonzero(fold == number) for number in range(_FOLDS)]
    trained = [np.flatnonzero(fold != number) for number in range(_FOLDS)]
    paths = [_path(scaled[rows], truth[rows], labels, PENALTIES) for rows in trained]
    choices: list[Choice] = []
    for penalty in PENALTIES:
        probabilities = np.empty((len(truth), labels), np.float32)
        for rows, path in zip(judged, paths, strict=True):
            probabilities[rows] = next(path).probabilities(scaled[rows])
        true = np.maximum(probabilities[np.arange(len(truth)), truth], _TINY)
        right = probabilities.argmax(axis=1) == truth
        choices.append(Choice(penalty, float(-np.log(true).mean()), float(right.mean())))
        on_progress(len(choices), len(PENALTIES))
        if len(choices) - 1 - int(np.argmin([each.loss for each in choices])) == _WORSE:
            break
    return sorted(choices, key=lambda choice: choice.loss)


def fit(
    features: "NDArray[np.float32]", truth: "NDArray[np.int64]", labels: int, penalty: float
) -> Regression:
    """Return the regression with this penalty for `features` float32 [n, f] and `truth` int64 [n]."""
    scale = _Scale.of(features)
    narrow = _Narrow.of(scale.scaled(features))
    stronger = [each for each in PENALTIES if each > penalty]
    *_, found = _path(narrow.rows, truth, labels, [*stronger, penalty])
    return scale.unscaled(narrow.widened(found))


def _path(
    features: "NDArray[np.float32]", truth: "NDArray[np.int64]", labels: int, penalties: Sequence[float]
) -> Iterator[Regression]:
    """Yield the regression for each penalty, for scaled features."""
    from scipy.optimize import minimize

    count, width = features.shape
    rows = np.arange(count)

    def loss(flat: "NDArray[np.float64]", penalty: float) -> "tuple[float, NDArray[np.float64]]":
        weights = flat.reshape(width + 1, labels)
        matrix = weights[:-1].astype(np.float32)
        wrong = _softmax(features @ matrix + weights[-1].astype(np.float32))
        value = -np.log(np.maximum(wrong[rows, truth], _TINY)).mean(dtype=np.float64)
        wrong[rows, truth] -= 1
        wrong /= count
        gradient = np.vstack([features.T @ wrong + np.float32(penalty) * matrix, wrong.sum(axis=0)])
        return value + penalty / 2 * float((weights[:-1] ** 2).sum()), gradient.astype(np.float64).ravel()

    flat = np.zeros((width + 1) * labels)
    options = {"maxiter": _MOST_STEPS, "gtol": _GRADIENT}
    for penalty in penalties:
        flat = minimize(loss, flat, args=(penalty,), jac=True, method="L-BFGS-B", options=options).x
        weights = flat.reshape(width + 1, labels).astype(np.float32)
        yield Regression(weights[:-1], weights[-1])


def _softmax(scores: "NDArray[np.float32]") -> "NDArray[np.float32]":
    powers: NDArray[np.float32] = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
