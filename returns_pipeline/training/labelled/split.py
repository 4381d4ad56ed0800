"""Divides a data set into images for training, for validation and for the final test."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLIT_SEED = 42


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into one data set, int64, each ascending and disjoint."""

    train: "NDArray[np.int64]"
    validation: "NDArray[np.int64]"
    test: "NDArray[np.int64]"


def split_indices(count: int, seed: int = SPLIT_SEED) -> Split:
    """Divide the indices 0..count-1 into 60, 20 and 20 %; `count` and `seed` decide the division."""
    order = np.random.default_rng(seed).permutation(count)
    first, second = count * 3 // 5, count * 4 // 5
    return Split(*(np.sort(part) for part in (order[:first], order[first:second], order[second:])))


def stratified(
    truth: "NDArray[np.int64]",
    validation: float,
    test: float,
    groups: "NDArray[np.int64] | None" = None,
    seed: int = SPLIT_SEED,
) -> Split:
    """Divide the indices of `truth` so that each label has the same shares in all parts.

    `truth` int64 [n], label indices; `validation` and `test` are shares, together below 1; `groups` int64
    [n]: images with the same number (exact or near duplicates) stay in one part. The shares are exact to one
    image of each label, or to the largest group. The same arguments give the same division.
    """
    if not (min(validation, test) >= 0 and validation + test < 1):
        raise ValueError(f"the shares {validation} and {test} leave nothing for training")
    rng = np.random.default_rng(seed)
    names = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(names, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(names[order])) + 1) if len(truth) else []
    # The largest groups are placed first, while all parts have room.
    shuffled = [members[index] for index in rng.permutation(len(members))]
    shuffled.sort(key=len, reverse=True)
    shares = np.array([1 - validation - test, validation, test])
    wanted = np.bincount(truth)[:, None] * shares if len(truth) else np.zeros((0, 3))
    parts: list[list[NDArray[np.int64]]] = [[], [], []]
    for group in shuffled:
        missing = np.where(shares > 0, wanted[truth[group]].sum(axis=0), -np.inf)
        part = int(missing.argmax())
        parts[part].append(group)
        np.subtract.at(wanted[:, part], truth[group], 1)
    return Split(*(np.sort(np.concatenate([np.empty(0, np.int64), *part])) for part in parts))


def folds(truth: "NDArray[np.int64]", count: int, seed: int) -> "NDArray[np.int64]":
    """Return the fold of each image, int64 [n] from 0 to count - 1, with each label's share in all of them.

    `truth` int64 [n], label indices. The same arguments give the same folds.
    """
    order = np.random.default_rng(seed).permutation(len(truth))
    order = order[np.argsort(truth[order], kind="stable")]
    found = np.empty(len(truth), np.int64)
    found[order] = np.arange(len(truth)) % count
    return found
