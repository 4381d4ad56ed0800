"""The counts of a run's page, taken in one pass over its images with flat memory. Pure."""

import csv
import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.images import ImageResult, LabelSource
from returns_pipeline.records.predictions import Decision
from returns_pipeline.report.csv_table import from_text, lines_of

#: The most images that a page lists: without a prediction, and with the least probable ones.
MOST_FAULTS = 200
MOST_DOUBTFUL = 24

#: A table of all classes by all classes must fit into the memory.
_MOST_CLASSES = 5_000
_LABEL_IN_NAME = re.compile(r"label_(\d+)")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of the `labelled` images (with `…label_N…`, the class index, in the name) `correct` are right."""

    labelled: int
    correct: int

    @property
    def share(self) -> float | None:
        """The share that is correct, or None without labelled images."""
        return self.correct / self.labelled if self.labelled else None


def label_in_name(name: str) -> int | None:
    """Return the class index that a file name carries as `…label_N…`, or None."""
    found = _LABEL_IN_NAME.search(name)
    return int(found[1]) if found else None


@dataclass(slots=True)
class Tally:
    """Counts images; keeps at most MOST_FAULTS and MOST_DOUBTFUL of them.

    `labels` counts final labels. `correct` counts predictions, because it judges the model.
    """

    labels: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    faults: list[ImageResult] = field(default_factory=list)
    labelled: int = 0
    correct: int = 0
    deleted: int = 0
    _doubtful: list[tuple[float, int, ImageResult]] = field(default_factory=list)

    def add(self, results: Sequence[ImageResult]) -> None:
        """Count some images. A deleted one has no result any more."""
        kept = [result for result in results if result.deleted_at is None]
        self.deleted += len(results) - len(kept)
        self.labels.update([result.final_label for result in kept if result.final_label is not None])
        faults = [result for result in kept if result.label is None or result.probability is None]
        self.codes.update([result.code or "pending" for result in faults])
        self.faults += faults[: MOST_FAULTS - len(self.faults)]
        if faults:
            kept = [result for result in kept if result.label is not None and result.probability is not None]
        self._judge([result for result in kept if result.final_source != LabelSource.SLIP])

    def _judge(self, predicted: Sequence[ImageResult]) -> None:
        """Count the predictions of some images that show an item."""
        # What a person has reviewed need not be reviewed again.
        self.decisions.update(
            [
                result.decision or Decision.REVIEW
                for result in predicted
                if result.final_source != LabelSource.PERSON
            ]
        )
        for result in predicted:
            expected = label_in_name(result.name)
            if expected is not None:
                self.labelled += 1
                self.correct += expected == result.label_index
        # By negated probability and id: the least certain images are the largest.
        entries = [(-(result.probability or 0), -result.id, result) for result in predicted]
        self._doubtful = heapq.nlargest(MOST_DOUBTFUL, [*self._doubtful, *entries])

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy against the labels in the file names."""
        return Accuracy(self.labelled, self.correct)

    @property
    def doubtful(self) -> list[ImageResult]:
        """The least certain images, least certain first."""
        return [entry[2] for entry in self._doubtful]


@dataclass(frozen=True, slots=True)
class CsvPredictions:
    """The predictions of a results CSV and the labels in its file names.

    `pairs` counts the images of each (true index, predicted index). `names` are the labels of predicted
    indices, if the file has them. `unanswered` counts the labelled images without a prediction.
    """

    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    names: dict[int, str] = field(default_factory=dict)
    unanswered: int = 0

    @property
    def accuracy(self) -> Accuracy:
        """Accuracy over the images that have a label and a prediction."""
        return Accuracy(self.pairs.total(), sum(count for (a, b), count in self.pairs.items() if a == b))


def predictions_of_csv(path: Path) -> CsvPredictions:
    """Read a CSV with at least the columns `filename` and `prediction` (class indices); `label` is its name.

    Raises RefusedError if the file is not such a CSV.
    """
    pairs: Counter[tuple[int, int]] = Counter()
    names: dict[int, str] = {}
    classes: set[int] = set()
    unanswered = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(lines_of(stream)):
                expected = label_in_name(from_text(row["filename"]))
                if row["prediction"] != "":
                    predicted = int(row["prediction"])
                    if row.get("label"):
                        names[predicted] = from_text(row["label"])
                    if expected is not None:
                        pairs[expected, predicted] += 1
                        classes |= {expected, predicted}
                elif expected is not None:
                    unanswered += 1
                if len(classes) > _MOST_CLASSES:
                    raise csv.Error("it has too many different classes")  # noqa: TRY301 - one sentence for all
    except KeyError as error:
        raise _no_results(path, f"it has no column {error.args[0]!r}") from error
    except TypeError as error:
        raise _no_results(path, "a row has no file name or no prediction") from error
    except (OSError, ValueError, csv.Error) as error:
        raise _no_results(path, getattr(error, "strerror", None) or error) from error
    return CsvPredictions(pairs, names, unanswered)


def _no_results(path: Path, reason: object) -> RefusedError:
    return RefusedError("{path} cannot be read as a results CSV: {reason}.", path=path, reason=reason)


def accuracy_of_csv(path: Path) -> Accuracy:
    """Return the accuracy of a results CSV against the labels in its file names.

    Raises RefusedError if the file is not such a CSV.
    """
    return predictions_of_csv(path).accuracy
