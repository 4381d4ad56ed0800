"""What changes when another version of a model answers for the same images: pure counting."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from returns_pipeline.records.models import PredictionPair


@dataclass(frozen=True, slots=True)
class Changes:
    """Two versions side by side, in images.

    `transitions` counts each (label before, label after) that differ, the most frequent first. `files` holds
    the images that changed, those without an answer included, at most as many as were asked for.
    """

    same: int
    changed: int
    unanswered: int
    transitions: list[tuple[str, str, int]]
    files: list[PredictionPair]

    @property
    def both(self) -> int:
        """Images that both versions have answered."""
        return self.same + self.changed


def count_changes(pairs: Iterable[PredictionPair], most_files: int | None = None) -> Changes:
    """Count what differs; keep `most_files` of the changed files, or all."""
    counted: Counter[tuple[str, str | None]] = Counter()
    files: list[PredictionPair] = []
    for pair in pairs:
        counted[pair.before, pair.after] += 1
        if pair.before != pair.after and (most_files is None or len(files) < most_files):
            files.append(pair)
    answered = [(before, after, images) for (before, after), images in counted.items() if after is not None]
    changed = [each for each in answered if each[0] != each[1]]
    return Changes(
        same=sum(images for before, after, images in answered if before == after),
        changed=sum(images for _, _, images in changed),
        unanswered=counted.total() - sum(images for _, _, images in answered),
        transitions=sorted(changed, key=lambda each: (-each[2], each[0], each[1])),
        files=files,
    )
