"""Whether retraining helps: `python -m benchmarks.learning DATA [--plot FILE] [--json]`.

DATA has class folders, perhaps divided into `train` and `validation`. A model is trained on a third of the
photos; the rest comes in week by week. A person, who says what the folder says, sees the photos below the
review threshold and a random sample of the others. Every week ends without a retraining, or with one on what
the person said: reviewed photos are divided, judged and promoted as `models retrain` does it.

Two more simulations give the person a fixed number of photos a week: the least sure ones, or random ones.

The network is a frozen backbone with a linear classifier, so that a hundred retrainings take minutes. The
figures are means over random orders of the photos.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.data.features import Photos, features_of_folders
from benchmarks.learning_plot import write_plot
from returns_pipeline.classify.confidence import tempered
from returns_pipeline.training.evaluation.comparison import compare
from returns_pipeline.training.pipeline.calibration import fit_temperature

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One of so many reviewed photos judges, another one calibrates: as in `training.retraining.photos`.
_ONE_OF = 5
_VALIDATION = 0.2
_FIRST = 1 / 3
#: Strength of the penalty on the classifier's weights, for features divided by their deviations.
_PENALTY = 0.1
_LEAST_DEVIATION = 1e-6


class Plan(NamedTuple):
    """One way to work: whether models are retrained, and which photos a person sees.

    `by_threshold`: those below the threshold and a sample; otherwise a fixed share, the `least_sure` or
    random ones.
    """

    name: str
    retrains: bool
    by_threshold: bool = True
    least_sure: bool = True


PLANS = (
    Plan("no retraining", retrains=False),
    Plan("retraining", retrains=True),
    Plan("least sure first", retrains=True, by_threshold=False),
    Plan("random photos", retrains=True, by_threshold=False, least_sure=False),
)


class Options(NamedTuple):
    """The simulated desk: weeks, review threshold, shares of the sample and of the fixed number."""

    weeks: int = 10
    threshold: float = 0.8
    sample: float = 0.05
    share: float = 0.1


class Week(NamedTuple):
    """Shares of a week's photos: with a right final label, seen by a person, right without a person."""

    right: float
    seen: float
    model: float


class _Model(NamedTuple):
    """A classifier with its temperature."""

    matrix: "NDArray[np.float64]"
    temperature: float

    def probabilities(self, features: "NDArray[np.float32]") -> "NDArray[np.float32]":
        return tempered(_raw(self.matrix, features), self.temperature)


def simulate(photos: Photos, plan: Plan, options: Options, seed: int) -> list[Week]:
    """Return the weeks of one simulation; `seed` decides the order of the photos and the samples."""
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(photos.truth))
    first, *weeks = np.split(order, _cuts(len(order), options.weeks))
    place = chance.integers(0, _ONE_OF, len(order))
    calibrating = chance.random(len(order)) < _VALIDATION
    train, validation = first[~calibrating[first]], first[calibrating[first]]
    judging = np.empty(0, np.int64)
    model = _trained(photos, train, validation)
    found = []
    for week in weeks:
        probabilities = model.probabilities(photos.features[week])
        right = probabilities.argmax(axis=1) == photos.truth[week]
        seen, sampled = _seen(probabilities.max(axis=1), plan, options, chance)
        found.append(Week(float((right | seen).mean()), float(seen.mean()), float(right.mean())))
        if not plan.retrains:
            continue
        judges = seen & (sampled | (place[week] == 0))
        calibrates = seen & ~judges & (place[week] == 1)
        train = np.concatenate([train, week[seen & ~judges & ~calibrates]])
        validation = np.concatenate([validation, week[calibrates]])
        judging = np.concatenate([judging, week[judges]])
        new = _trained(photos, train, validation)
        # The old validation photos judge too, as they do without a test part.
        if _is_better(photos, new, model, np.concatenate([judging, first[calibrating[first]]])):
            model = new
    return found


def _cuts(count: int, weeks: int) -> "NDArray[np.int64]":
    return np.linspace(count * _FIRST, count, weeks + 1).astype(int)[:-1]


def _seen(
    highest: "NDArray[np.float32]", plan: Plan, options: Options, chance: np.random.Generator
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Return which photos of a week a person sees, and which of them are a random sample: both bool [n]."""
    drawn = chance.random(len(highest))
    if plan.by_threshold:
        unsure = highest < options.threshold
        sampled = ~unsure & (drawn < options.sample)
        return unsure | sampled, sampled
    count = round(options.share * len(highest))
    seen = np.zeros(len(highest), np.bool_)
    seen[np.argsort(highest if plan.least_sure else drawn)[:count]] = True
    return seen, np.zeros(len(highest), np.bool_)


def _is_better(photos: Photos, new: _Model, old: _Model, judging: "NDArray[np.int64]") -> bool:
    truth = photos.truth[judging]
    right = [each.probabilities(photos.features[judging]).argmax(axis=1) == truth for each in (old, new)]
    return compare(truth, right[0], right[1], photos.labels).difference > 0


def _trained(photos: Photos, train: "NDArray[np.int64]", validation: "NDArray[np.int64]") -> _Model:
    matrix = _fit(photos.features[train], photos.truth[train], len(photos.labels))
    raw = _raw(matrix, photos.features[validation])
    return _Model(matrix, fit_temperature(photos.truth[validation], raw))


def _fit(features: "NDArray[np.float32]", truth: "NDArray[np.int64]", labels: int) -> "NDArray[np.float64]":
    """Return the weights [features + 1, labels] of a logistic regression with a penalty."""
    from scipy.optimize import minimize

    rows = np.arange(len(truth))
    mean, deviation = features.mean(axis=0), features.std(axis=0) + _LEAST_DEVIATION
    padded = _padded((features - mean) / deviation)

    def loss(flat: "NDArray[np.float64]") -> "tuple[float, NDArray[np.float64]]":
        matrix = flat.reshape(-1, labels)
        wrong = _softmax(padded @ matrix.astype(np.float32))
        value = -np.log(np.maximum(wrong[rows, truth], 1e-30)).mean(dtype=np.float64)
        wrong[rows, truth] -= 1
        gradient = padded.T @ (wrong / len(truth)) + _PENALTY * matrix
        return value + _PENALTY / 2 * float((matrix**2).sum()), gradient.ravel().astype(np.float64)

    found = minimize(
        loss, np.zeros(padded.shape[1] * labels), jac=True, method="L-BFGS-B", options={"maxiter": 60}
    )
    matrix: NDArray[np.float64] = found.x.reshape(-1, labels)
    matrix[:-1] /= deviation[:, np.newaxis]
    matrix[-1] -= mean @ matrix[:-1]
    return matrix


def _raw(matrix: "NDArray[np.float64]", features: "NDArray[np.float32]") -> "NDArray[np.float32]":
    return _softmax(_padded(features) @ matrix.astype(np.float32))


def _padded(features: "NDArray[np.float32]") -> "NDArray[np.float32]":
    return np.hstack([features, np.ones((len(features), 1), np.float32)])


def _softmax(scores: "NDArray[np.float32]") -> "NDArray[np.float32]":
    powers: NDArray[np.float32] = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def simulate_all(photos: Photos, options: Options, seeds: int) -> dict[str, list[Week]]:
    """Return the mean weeks of each plan over so many orders of the photos."""
    found: dict[str, list[Week]] = {}
    for plan in PLANS:
        runs = np.array([simulate(photos, plan, options, seed) for seed in range(seeds)])
        found[plan.name] = [Week(*week) for week in runs.mean(axis=0).tolist()]
    return found


def print_table(found: Mapping[str, list[Week]]) -> None:
    """Print the shares week by week, and their means over the second half of the weeks."""
    print(f"{'':>6}" + "".join(f"{name:>30}" for name in found))
    print(f"{'week':>6}" + f"{'right  person  model alone':>30}" * len(found))
    for number, weeks in enumerate(zip(*found.values(), strict=True), start=1):
        cells = "".join(f"{f'{week.right:.1%}  {week.seen:.1%}  {week.model:.1%}':>30}" for week in weeks)
        print(f"{number:>6}{cells}")
    halves = {name: np.mean(weeks[len(weeks) // 2 :], axis=0) for name, weeks in found.items()}
    cells = "".join(f"{'  '.join(f'{share:.1%}' for share in half):>30}" for half in halves.values())
    print(f"{'half':>6}{cells}")


def main() -> int:
    """Run the simulations; print the table and write the plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weeks", type=int, default=Options().weeks)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threshold", type=float, default=Options().threshold)
    parser.add_argument("--cache", type=Path, help="folder that keeps the features for the next time")
    parser.add_argument("--plot", type=Path, help="file for the plot, SVG or PNG")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = features_of_folders(given.data, given.cache or Path(folder))
    options = Options(given.weeks, given.threshold)
    found = simulate_all(photos, options, given.seeds)
    if given.plot:
        write_plot(given.plot, found)
    if given.json:
        shown = {name: [week._asdict() for week in weeks] for name, weeks in found.items()}
        json.dump(
            {"photos": len(photos.truth), "seeds": given.seeds, **options._asdict(), "plans": shown},
            sys.stdout,
        )
        print()
    else:
        print(f"{len(photos.truth):,} photos, {len(photos.labels)} labels, {given.seeds} orders")
        print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
