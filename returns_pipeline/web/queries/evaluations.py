"""The evaluation of a model, from the numbers that its training has written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.languages import gettext, number, percent
from returns_pipeline.training.report.figures import EXPLANATIONS, PHOTOS

#: A larger file is no evaluation.
_MOST_BYTES = 32 * 2**20
_MOST_PAIRS = 10


class Figure(NamedTuple):
    """A figure of an evaluation: the name of its PNG file, its words, and its CSS class."""

    name: str
    heading: str
    explanation: str
    kind: str


def figures() -> list[Figure]:
    """Return the figures of an evaluation in the order of the page, in the reader's language."""
    return [
        Figure(name, gettext(each.heading), gettext(each.text), "photos" if name in PHOTOS else "drawn")
        for name, each in EXPLANATIONS.items()
    ]


class Score(NamedTuple):
    """Precision, recall and F1 of a label with so many images."""

    label: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows: (name, value), the pairs (true, predicted, images, share) most often confused."""

    command: str
    facts: Sequence[tuple[str, str]]
    pairs: Sequence[tuple[str, str, int, float]]
    scores: Sequence[Score]

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.facts)


NOTHING = Shown("", (), (), ())


def read(path: Path) -> Shown:
    """Return the numbers of a file `metrics.json`; NOTHING if it is not such a file."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return NOTHING
        found = json.loads(path.read_bytes())
        return Shown(str(found["command"]), _facts(found), _pairs(found), _scores(found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, RecursionError):
        return NOTHING


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    review = found["review"]
    facts = [
        (gettext("Evaluated photos"), number(int(found["n"]))),
        (gettext("Correct predictions"), _percent(found["accuracy"], 2)),
        (gettext("Decided without review"), _percent(review["automatic"])),
    ]
    if review["accuracy"] is not None:
        facts.append((gettext("Of these correct"), _percent(review["accuracy"])))
    return [*facts, (gettext("Error of the probabilities"), _percent(found["ece"]))]


def _percent(value: Any, digits: int = 1) -> str:
    return percent(float(value), digits)


def _pairs(found: dict[str, Any]) -> list[tuple[str, str, int, float]]:
    labels = [str(label) for label in found["labels"]]
    pairs = [
        (label, labels[column], int(count), int(count) / sum(counts))
        for row, (label, counts) in enumerate(zip(labels, found["confusion_matrix"], strict=True))
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_MOST_PAIRS]


def _scores(found: dict[str, Any]) -> list[Score]:
    return [
        Score(
            str(each["label"]),
            float(each["precision"]),
            float(each["recall"]),
            float(each["f1"]),
            int(each["support"]),
        )
        for each in found["per_class"]
        if each["support"]
    ]
