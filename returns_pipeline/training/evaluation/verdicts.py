"""Measures the verdicts of a model on labelled photos: wrong returns that they find, and false alarms."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.training.evaluation.comparison import wilson
from returns_pipeline.verdicts.rates import expectation_rates, main_probabilities
from returns_pipeline.verdicts.thresholds import KINDS, choose, kind_codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.records.verdicts import Thresholds

#: In each part of a cross-fit the thresholds come from the other parts.
_PARTS = 10
#: How often the photos are divided into other parts, so that the division hardly matters.
_DIVISIONS = 20
_MISMATCH, _UNSURE, _MATCH = range(len(KINDS))


@dataclass(frozen=True, slots=True)
class Share:
    """The share `count` / `of`."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, 0 to 1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of its 95 % confidence interval, for photos that are drawn independently (Wilson)."""
        if not self.of:
            return None
        low, high = wilson(self.count / self.of, self.of)
        return max(0.0, low), min(1.0, high)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdicts on returns with a right and with a wrong expectation.

    `false_alarms`: right ones that are a mismatch. `found`: wrong ones that are a mismatch. `missed`: wrong
    ones that are a match. `unsure_right` and `unsure_wrong`: those that a person must look at.
    """

    false_alarms: Share
    unsure_right: Share
    found: Share
    unsure_wrong: Share
    missed: Share


class LabelOutcome(NamedTuple):
    """The outcome of the returns that expect one label, over all swaps."""

    label: str
    outcome: Outcome


def with_rates(
    bundle: "Bundle", truth: "NDArray[np.integer]", probabilities: "NDArray[np.floating]"
) -> "Bundle":
    """Return a bundle with the rates of these labelled images, from which thresholds are chosen.

    `truth` integer [n], `probabilities` [n, labels], calibrated; the images took no part in the training.
    """
    mains = None
    if bundle.main_categories != bundle.labels:
        of_mains, main_of, _ = main_probabilities(probabilities, bundle.main_categories)
        mains = expectation_rates(main_of[truth], of_mains)
    return replace(bundle, label_rates=expectation_rates(truth, probabilities), main_rates=mains)


def swapped(
    truth: "NDArray[np.integer]", categories: int, seed: int
) -> "tuple[NDArray[np.int64], NDArray[np.bool_]]":
    """Return an expected category for each item, int64 [n], and which are wrong, bool [n].

    Half of the items, drawn at random and rounded down, expect one of the other categories, each with the
    same probability. The same seed draws the same.
    """
    draw = np.random.default_rng(seed)
    wrong = np.zeros(len(truth), bool)
    wrong[draw.permutation(len(truth))[: len(truth) // 2]] = True
    shift = draw.integers(1, categories, len(truth)) if categories > 1 else np.zeros(len(truth), np.int64)
    return np.where(wrong, (truth + shift) % categories, truth).astype(np.int64), wrong


def judge(
    truth: "NDArray[np.integer]",
    probabilities: "NDArray[np.floating]",
    expected: "NDArray[np.integer]",
    thresholds: "Thresholds",
) -> Outcome:
    """Return the outcome of items that expect a category each.

    `truth`, `expected` integer [n], `probabilities` [n, categories], calibrated.
    """
    codes = kind_codes(probabilities, expected, thresholds)
    return outcome(codes, expected != truth)


def judge_every_swap(probabilities: "NDArray[np.floating]", thresholds: "Thresholds") -> "NDArray[np.int64]":
    """Return the verdicts if each item expects each category: indices into KINDS, int64 [n, categories].

    `probabilities` [n, categories], calibrated.
    """
    n, categories = probabilities.shape
    columns = [kind_codes(probabilities, np.full(n, category), thresholds) for category in range(categories)]
    return np.stack(columns, axis=1)


def outcome_of_every_swap(truth: "NDArray[np.integer]", codes: "NDArray[np.int64]") -> Outcome:
    """Return the mean outcome of all swaps, from the verdicts [n, categories] of `judge_every_swap`."""
    return outcome(codes.ravel(), _wrong(truth, codes.shape[1]).ravel())


def outcome_of_labels(
    truth: "NDArray[np.integer]", codes: "NDArray[np.int64]", labels: "tuple[str, ...]"
) -> list[LabelOutcome]:
    """Return the outcome for each expected label, over all swaps."""
    wrong = _wrong(truth, len(labels))
    return [
        LabelOutcome(label, outcome(codes[:, index], wrong[:, index])) for index, label in enumerate(labels)
    ]


def cross_fitted(
    truth: "NDArray[np.integer]", probabilities: "NDArray[np.floating]", wanted: float, seed: int
) -> tuple[float, float] | None:
    """Return (share of false alarms, share found) if the thresholds came from photos like these.

    The photos are divided into ten parts; each part is judged with thresholds from the other nine. Both are
    means of 20 divisions and of all swaps. None with too few photos for the wanted rate. Source: Stone,
    "Cross-Validatory Choice and Assessment of Statistical Predictions", JRSS B 36, 1974.
    """
    n, categories = probabilities.shape
    if n < 2 * _PARTS or wanted * (n - -(-n // _PARTS) + 1) < 1 or categories < 2:
        return None
    wrong, draw = _wrong(truth, categories), np.random.default_rng(seed)
    alarms = found = 0
    for _ in range(_DIVISIONS):
        part_of = draw.permutation(n) % _PARTS
        for part in range(_PARTS):
            inside = part_of == part
            rates = expectation_rates(truth[~inside], probabilities[~inside])
            codes = judge_every_swap(probabilities[inside], choose(rates, categories, wanted))
            alarms += int((codes[~wrong[inside]] == _MISMATCH).sum())
            found += int((codes[wrong[inside]] == _MISMATCH).sum())
    return alarms / (n * _DIVISIONS), found / (n * (categories - 1) * _DIVISIONS)


def _wrong(truth: "NDArray[np.integer]", categories: int) -> "NDArray[np.bool_]":
    wrong: NDArray[np.bool_] = truth[:, None] != np.arange(categories)[None, :]
    return wrong


def outcome(codes: "NDArray[np.int64]", wrong: "NDArray[np.bool_]") -> Outcome:
    """Return the outcome of returns from their verdicts, indices into KINDS [n], and which are wrong [n]."""

    def share(code: int, among: "NDArray[np.bool_]") -> Share:
        return Share(int((codes[among] == code).sum()), int(among.sum()))

    return Outcome(
        false_alarms=share(_MISMATCH, ~wrong),
        unsure_right=share(_UNSURE, ~wrong),
        found=share(_MISMATCH, wrong),
        unsure_wrong=share(_UNSURE, wrong),
        missed=share(_MATCH, wrong),
    )
