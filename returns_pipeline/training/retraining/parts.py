"""One photo of a retraining, and the parts that it may be in."""

from pathlib import Path
from typing import NamedTuple

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class Photo(NamedTuple):
    """A photo: its file, its label's index, its part, whether a person reviewed it, and whether it judges."""

    path: Path
    label: int
    part: str
    reviewed: bool
    judges: bool
