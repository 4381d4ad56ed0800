"""The simulation of weeks at the desk: more labels make the model better, and people see what they must."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.data.features import Photos
from benchmarks.learning import PLANS, Options, Plan, Week, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPTIONS = Options(weeks=4, share=0.1)


def noisy(count: int = 900, labels: int = 3, width: int = 150) -> Photos:
    """Return photos whose labels are hard to learn from few of them."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, labels, count)
    centres = draw.normal(0, 0.17, (labels, width))
    return Photos(
        (centres[truth] + draw.normal(0, 1, (count, width))).astype(np.float32), truth, ("a", "b", "c")
    )


def weeks(plan: Plan) -> "NDArray[np.float64]":
    """Return the weeks of a plan as an array [weeks, fields], the mean of three orders."""
    found = np.array([simulate(noisy(), plan, _OPTIONS, seed) for seed in range(3)])
    mean: NDArray[np.float64] = found.mean(axis=0)
    return mean


def test_retraining_makes_the_model_better() -> None:
    """The first week is the same; later the model is right more often, and people see fewer photos."""
    without, retrained = weeks(PLANS[0]), weeks(PLANS[1])
    model = Week._fields.index("model")
    assert (without[0] == retrained[0]).all()
    assert retrained[1:, model].mean() > without[1:, model].mean()
    assert retrained[1:, 1].mean() < without[1:, 1].mean() - 0.01
    assert (retrained[:, 0] >= retrained[:, model]).all()


@pytest.mark.parametrize("plan", PLANS[2:])
def test_a_fixed_number_of_photos_is_seen(plan: Plan) -> None:
    """A person sees a tenth of each week; the same seed gives the same weeks."""
    found = simulate(noisy(), plan, _OPTIONS, 1)
    assert [week.seen for week in found] == pytest.approx([0.1] * 4, abs=0.01)
    assert found == simulate(noisy(), plan, _OPTIONS, 1)


def test_the_least_sure_first_leaves_fewer_wrong_labels_than_chance() -> None:
    """With the same time, a person corrects more where the model is unsure."""
    assert weeks(PLANS[2])[:, 0].mean() > weeks(PLANS[3])[:, 0].mean()
