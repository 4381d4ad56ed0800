"""The difference between the predictions of two versions of a model for the same images. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from returns_pipeline.records.models import PredictionPair


@dataclass(frozen=True, slots=True)
class Changes:
    """Two versions compared, in numbers of images.

    `unanswered` images have no second prediction. `transitions` counts each pair (label before, label after)
    that differs, the most frequent first. `files` holds changed and unanswered images, up to a limit.
    """

    same: int
    changed: int
    unanswered: int
    transitions: list[tuple[str, str, int]]
    files: list[PredictionPair]

    @property
    def both(self) -> int:
        """Images with a prediction of both versions."""
        return self.same + self.changed


def count_changes(pairs: Iterable[PredictionPair], most_files: int | None = None) -> Changes:
    """Count the differences; keep at most `most_files` of the changed images, or all."""
    counted: Counter[tuple[str, str | None]] = Counter()
    files: list[PredictionPair] = []
    for pair in pairs:
        counted[pair.before, pair.after] += 1
        if pair.before != pair.after and (most_files is None or len(files) < most_files):
            files.append(pair)
    compared = [(before, after, images) for (before, after), images in counted.items() if after is not None]
    changed = [each for each in compared if each[0] != each[1]]
    return Changes(
        same=sum(images for before, after, images in compared if before == after),
        changed=sum(images for _, _, images in changed),
        unanswered=counted.total() - sum(images for _, _, images in compared),
        transitions=sorted(changed, key=lambda each: (-each[2], each[0], each[1])),
        files=files,
    )
