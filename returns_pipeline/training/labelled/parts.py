"""The pixels and labels that a network is trained and judged with."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.bundle import file_sha256
from returns_pipeline.training.labelled.folders import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the data: `pixels` uint8 [n, h, w, c], `truth` int64 [n], indices into the labels.

    `fingerprint` is a sha256 in hex over the images and their labels.
    """

    pixels: "NDArray[np.uint8]"
    truth: "NDArray[np.int64]"
    fingerprint: str

    def one_hot(self, labels: int) -> "NDArray[np.float32]":
        """Return `truth` as float32 [n, labels]: 1 in the column of the true label, else 0."""
        return np.eye(labels, dtype=np.float32)[self.truth]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All images of one training.

    `parts` has `train` and `validation`, and may have `test` (held out, to judge the model) and `official` (a
    public test set, for which a recipe reports separate numbers). Without `test`, `validation` judges the
    model. `description` becomes `data` in bundle.json. `inverted`: 0 is the background, which a report shows
    as white.
    """

    labels: Labels
    parts: Mapping[str, Part]
    description: Mapping[str, Any]
    inverted: bool = False

    @property
    def judged_on(self) -> str:
        """The name of the part that judges the model."""
        return judged_on(self.parts)

    @property
    def judged(self) -> Part:
        """The part that judges the model."""
        return self.parts[self.judged_on]


def judged_on(parts: Mapping[str, Part]) -> str:
    """Return the name of the part that judges the model: `test`, or `validation` without one."""
    return "test" if "test" in parts else "validation"


def describe(parts: Mapping[str, Part], seed: int, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the standard `data` of bundle.json: `source`, size and fingerprint of each part, the seed."""
    used = judged_on(parts)
    return {
        **source,
        **{name: len(part.truth) for name, part in parts.items()},
        **{f"{name}_sha256": part.fingerprint for name, part in parts.items()},
        # Two versions can be compared only if this fingerprint is the same.
        "test_sha256": parts[used].fingerprint,
        "judged_on": used,
        "seed": seed,
    }


def fingerprint(paths: "Sequence[Path | str]", truth: "NDArray[np.integer]", names: Sequence[str]) -> str:
    """Return a sha256 in hex over the contents of labelled files and their labels, wherever the files are.

    `truth` integer [n] has the indices of the files' labels in `names`.
    """
    lines = sorted(
        f"{file_sha256(Path(path))} {names[label]}\n" for path, label in zip(paths, truth, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
