"""What would spoil a training, found before a minute of it is spent."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import FaultCode, RefusedError
from returns_pipeline.records.images import Decoded
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.text import printable
from returns_pipeline.training.labelled import duplicates
from returns_pipeline.training.labelled.folders import Labels, Tree
from returns_pipeline.training.labelled.photos import decode_all

LEAST_PHOTOS = 10
MOST_UNREADABLE = 0.05
MOST_IMBALANCE = 10
_EXAMPLES = 5


class Unreadable(NamedTuple):
    """A file that no model will see, with the reason that the pipeline gives."""

    path: Path
    code: FaultCode
    detail: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What `check` found.

    `counts` int64 [labels] for each part: its readable photos of each label. `groups` int64 [n] for each
    part, aligned with its Photos: the same number for the same and for nearly the same picture, in all
    parts. `spoiling` and `warnings` are sentences.
    """

    labels: Labels
    counts: dict[str, NDArray[np.int64]]
    unreadable: tuple[Unreadable, ...]
    groups: dict[str, NDArray[np.int64]]
    spoiling: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def imbalance(self) -> float:
        """Photos of the largest label for each one of the smallest, where a model learns; inf for none."""
        counts = self.counts[_learning(self.counts)]
        return float(counts.max() / counts.min()) if counts.min() else float("inf")


class _Flat(NamedTuple):
    """All photos of all parts, one after the other."""

    root: Path
    paths: list[Path]
    truth: NDArray[np.int64]
    parts: NDArray[np.int64]

    def example(self, first: int, second: int) -> str:
        return " = ".join(
            printable(self.paths[position].relative_to(self.root)) for position in (first, second)
        )


class _Read(NamedTuple):
    """What was read: `positions` int64 [m] of the readable, their digests, `small` uint8 [m, 32, 32]."""

    positions: NDArray[np.int64]
    digests: list[str]
    small: NDArray[np.uint8]
    unreadable: list[Unreadable]


def check(tree: Tree, on_progress: Callable[[int, int], None]) -> Findings:
    """Read and decode every photo once and say what is wrong; `on_progress` is called with (done, total)."""
    photos = list(tree.parts.values())
    flat = _Flat(
        tree.root,
        [path for part in photos for path in part.paths],
        np.concatenate([part.truth for part in photos]),
        np.repeat(np.arange(len(photos)), [len(part.paths) for part in photos]),
    )
    read = _read(flat.paths, on_progress)
    same, near = _same(read), _nearly_same(read)
    counts = {
        part: np.bincount(
            flat.truth[read.positions][flat.parts[read.positions] == number],
            minlength=len(tree.labels.names),
        )
        for number, part in enumerate(tree.parts)
    }
    groups = duplicates.groups_of(len(flat.paths), [*same, *near])
    names = list(tree.parts)
    spoiling = [
        *_unreadable(read.unreadable, len(flat.paths), spoils=True),
        *_few(counts, tree.labels, spoils=True),
        *_across("the same picture, byte for byte,", same, flat, names),
    ]
    warnings = [
        *_unreadable(read.unreadable, len(flat.paths), spoils=False),
        *_few(counts, tree.labels, spoils=False),
        *_across("nearly the same picture", near, flat, names),
        *_within(same, near, flat),
    ]
    return Findings(
        labels=tree.labels,
        counts=counts,
        unreadable=tuple(read.unreadable),
        groups={part: groups[flat.parts == number] for number, part in enumerate(tree.parts)},
        spoiling=tuple(spoiling),
        warnings=tuple(warnings),
    )


def require_sound(findings: Findings, force: bool) -> None:
    """Raise RefusedError with all that would spoil the result, unless `force`."""
    if findings.spoiling and not force:
        raise RefusedError(
            "The photos would spoil the result:\n- " + "\n- ".join(findings.spoiling),
            advice="`returns-pipeline data check` shows all. Mend it, or train all the same with --force.",
        )


def _read(paths: Sequence[Path], on_progress: Callable[[int, int], None]) -> _Read:
    side = duplicates.SIDE
    small = np.empty((len(paths), side, side), np.uint8)
    positions: list[int] = []
    digests: list[str] = []
    unreadable: list[Unreadable] = []
    for position, answer in enumerate(decode_all(paths, ImageInput(side, side, 1))):
        if isinstance(answer, Decoded):
            small[len(positions)] = answer.pixels[..., 0]
            positions.append(position)
            digests.append(answer.facts.sha256)
        else:
            unreadable.append(Unreadable(paths[position], answer.code, answer.detail))
        on_progress(position + 1, len(paths))
    return _Read(np.array(positions, np.int64), digests, small[: len(positions)], unreadable)


def _same(read: _Read) -> list[tuple[int, int]]:
    """Return (first, other) positions of files with the same bytes, each other one once."""
    first: dict[str, int] = {}
    pairs = []
    for position, digest in zip(read.positions.tolist(), read.digests, strict=True):
        if first.setdefault(digest, position) != position:
            pairs.append((first[digest], position))
    return pairs


def _nearly_same(read: _Read) -> list[tuple[int, int]]:
    """Return pairs of positions whose files differ and whose pictures nearly do not."""
    rows: dict[str, int] = {}
    for row, digest in enumerate(read.digests):
        rows.setdefault(digest, row)
    first: dict[bytes, int] = {}
    pairs = []
    # One for all that are the same when small: a thousand blank pictures must be no million pairs.
    for row in rows.values():
        twin = first.setdefault(read.small[row].tobytes(), row)
        if twin != row:
            pairs.append((twin, row))
    unique = np.array(list(first.values()), np.int64)
    found = unique[duplicates.near_pairs(read.small[unique])]
    return [(int(read.positions[one]), int(read.positions[other])) for one, other in [*pairs, *found]]


def _learning(parts: Iterable[str]) -> str:
    return "train" if "train" in parts else "all"


def _unreadable(unreadable: list[Unreadable], total: int, *, spoils: bool) -> list[str]:
    if not unreadable or (len(unreadable) > MOST_UNREADABLE * total) != spoils:
        return []
    return [f"{len(unreadable):,} of {total:,} files cannot be read, {len(unreadable) / total:.1%}."]


def _few(counts: dict[str, NDArray[np.int64]], labels: Labels, *, spoils: bool) -> list[str]:
    """Name the labels with too few photos: where a model learns they spoil it, elsewhere they are a note."""
    learning = _learning(counts)
    places = {part: "" if part == "all" else f" in {part}" for part in counts}
    found = [
        f"{label} has too few photos{places[part]}: {count}, less than {LEAST_PHOTOS}."
        for part, values in counts.items()
        for label, count in zip(labels.names, values.tolist(), strict=True)
        if count < LEAST_PHOTOS and (part == learning) == spoils
    ]
    values = counts[learning]
    if not spoils and values.min() and values.max() >= MOST_IMBALANCE * values.min():
        most, least = labels.names[int(values.argmax())], labels.names[int(values.argmin())]
        found.append(f"{most} has {values.max() / values.min():.0f} times as many photos as {least}.")
    return found


def _across(what: str, pairs: list[tuple[int, int]], flat: _Flat, parts: list[str]) -> list[str]:
    """Say how often a pair lies in two classes, and how often on two sides of the division."""
    classes = [(one, other) for one, other in pairs if flat.truth[one] != flat.truth[other]]
    sides: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for one, other in pairs:
        low, high = sorted((int(flat.parts[one]), int(flat.parts[other])))
        if low != high:
            sides[low, high].append((one, other))
    said = [_counted(what, "in two classes", classes, flat)] if classes else []
    return said + [
        _counted(what, f"in {parts[low]} and in {parts[high]}", found, flat)
        for (low, high), found in sorted(sides.items())
    ]


def _within(same: list[tuple[int, int]], near: list[tuple[int, int]], flat: _Flat) -> list[str]:
    said = []
    for what, pairs in (("the same picture, byte for byte,", same), ("nearly the same picture", near)):
        inside = [
            (one, other)
            for one, other in pairs
            if flat.truth[one] == flat.truth[other] and flat.parts[one] == flat.parts[other]
        ]
        if inside:
            said.append(_counted(what, "twice in one class", inside, flat))
    return said


def _counted(what: str, where: str, pairs: list[tuple[int, int]], flat: _Flat) -> str:
    examples = "; ".join(flat.example(one, other) for one, other in pairs[:_EXAMPLES])
    more = "; …" if len(pairs) > _EXAMPLES else ""
    return f"{len(pairs):,} {'pair' if len(pairs) == 1 else 'pairs'} of {what} {where}: {examples}{more}."
