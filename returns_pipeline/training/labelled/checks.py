"""Finds what would spoil a training before it starts."""

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
    """A file that cannot be decoded, with the code and the reason of the pipeline."""

    path: Path
    code: FaultCode
    detail: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of `check`.

    `counts` has int64 [labels] for each part: the number of readable photos of each label. `groups` has int64
    [n] for each part, aligned with its Photos: identical and nearly identical photos have the same number, in
    all parts. `spoiling` and `warnings` are sentences.
    """

    labels: Labels
    counts: dict[str, NDArray[np.int64]]
    unreadable: tuple[Unreadable, ...]
    groups: dict[str, NDArray[np.int64]]
    spoiling: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def imbalance(self) -> float:
        """Photos of the largest label divided by those of the smallest, in training; inf for 0."""
        counts = self.counts[_training_part(self.counts)]
        return float(counts.max() / counts.min()) if counts.min() else float("inf")


class _AllPhotos(NamedTuple):
    """The photos of all parts, one after the other; `parts` int64 [n] has the number of the part."""

    root: Path
    paths: list[Path]
    truth: NDArray[np.int64]
    parts: NDArray[np.int64]

    def example(self, first: int, second: int) -> str:
        return " = ".join(
            printable(self.paths[position].relative_to(self.root)) for position in (first, second)
        )


class _Decoded(NamedTuple):
    """The readable photos: `positions` int64 [m], their digests, and `small` uint8 [m, 32, 32]."""

    positions: NDArray[np.int64]
    digests: list[str]
    small: NDArray[np.uint8]
    unreadable: list[Unreadable]


def check(tree: Tree, on_progress: Callable[[int, int], None]) -> Findings:
    """Read and decode every photo once; `on_progress` is called with (done, total)."""
    photos = list(tree.parts.values())
    flat = _AllPhotos(
        tree.root,
        [path for part in photos for path in part.paths],
        np.concatenate([part.truth for part in photos]),
        np.repeat(np.arange(len(photos)), [len(part.paths) for part in photos]),
    )
    read = _decode(flat.paths, on_progress)
    same, near = _identical(read), _nearly_identical(read)
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
        *_across("identical photos", same, flat, names),
    ]
    warnings = [
        *_unreadable(read.unreadable, len(flat.paths), spoils=False),
        *_few(counts, tree.labels, spoils=False),
        *_across("nearly identical photos", near, flat, names),
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
    """Raise RefusedError with everything that would spoil the result, unless `force` is set."""
    if findings.spoiling and not force:
        raise RefusedError(
            "These photos would spoil the result:\n- {findings}",
            advice="`returns-pipeline data check` lists all findings. Correct them, or train anyway with "
            "--force.",
            findings="\n- ".join(findings.spoiling),
        )


def _decode(paths: Sequence[Path], on_progress: Callable[[int, int], None]) -> _Decoded:
    side = duplicates.SIDE
    small = np.empty((len(paths), side, side), np.uint8)
    positions: list[int] = []
    digests: list[str] = []
    unreadable: list[Unreadable] = []
    for position, result in enumerate(decode_all(paths, ImageInput(side, side, 1))):
        if isinstance(result, Decoded):
            small[len(positions)] = result.pixels[..., 0]
            positions.append(position)
            digests.append(result.facts.sha256)
        else:
            unreadable.append(Unreadable(paths[position], result.code, result.detail))
        on_progress(position + 1, len(paths))
    return _Decoded(np.array(positions, np.int64), digests, small[: len(positions)], unreadable)


def _identical(read: _Decoded) -> list[tuple[int, int]]:
    """Return the positions of files with the same bytes, as (first, other)."""
    first: dict[str, int] = {}
    pairs = []
    for position, digest in zip(read.positions.tolist(), read.digests, strict=True):
        if first.setdefault(digest, position) != position:
            pairs.append((first[digest], position))
    return pairs


def _nearly_identical(read: _Decoded) -> list[tuple[int, int]]:
    """Return the positions of nearly identical photos whose files differ, as pairs."""
    rows: dict[str, int] = {}
    for row, digest in enumerate(read.digests):
        rows.setdefault(digest, row)
    first: dict[bytes, int] = {}
    pairs = []
    # Photos that are equal at 32 x 32 give one pair each: a thousand blank photos must not become a million
    # pairs.
    for row in rows.values():
        twin = first.setdefault(read.small[row].tobytes(), row)
        if twin != row:
            pairs.append((twin, row))
    unique = np.array(list(first.values()), np.int64)
    near = unique[duplicates.near_pairs(read.small[unique])]
    return [(int(read.positions[one]), int(read.positions[other])) for one, other in [*pairs, *near]]


def _training_part(parts: Iterable[str]) -> str:
    return "train" if "train" in parts else "all"


def _unreadable(unreadable: list[Unreadable], total: int, *, spoils: bool) -> list[str]:
    if not unreadable or (len(unreadable) > MOST_UNREADABLE * total) != spoils:
        return []
    return [f"{len(unreadable):,} of {total:,} files cannot be read, {len(unreadable) / total:.1%}."]


def _few(counts: dict[str, NDArray[np.int64]], labels: Labels, *, spoils: bool) -> list[str]:
    """Name the labels with too few photos: they spoil the training part; elsewhere they are a note."""
    training = _training_part(counts)
    places = {part: "" if part == "all" else f" in {part}" for part in counts}
    found = [
        f"{label} has too few photos{places[part]}: {count}, fewer than {LEAST_PHOTOS}."
        for part, values in counts.items()
        for label, count in zip(labels.names, values.tolist(), strict=True)
        if count < LEAST_PHOTOS and (part == training) == spoils
    ]
    values = counts[training]
    if not spoils and values.min() and values.max() >= MOST_IMBALANCE * values.min():
        most, least = labels.names[int(values.argmax())], labels.names[int(values.argmin())]
        found.append(f"{most} has {values.max() / values.min():.0f} times as many photos as {least}.")
    return found


def _across(what: str, pairs: list[tuple[int, int]], flat: _AllPhotos, parts: list[str]) -> list[str]:
    """Return sentences about pairs with two labels, and about pairs in two parts."""
    classes = [(one, other) for one, other in pairs if flat.truth[one] != flat.truth[other]]
    sides: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for one, other in pairs:
        low, high = sorted((int(flat.parts[one]), int(flat.parts[other])))
        if low != high:
            sides[low, high].append((one, other))
    sentences = [_counted(what, "with two labels", classes, flat)] if classes else []
    return sentences + [
        _counted(what, f"in {parts[low]} and in {parts[high]}", found, flat)
        for (low, high), found in sorted(sides.items())
    ]


def _within(same: list[tuple[int, int]], near: list[tuple[int, int]], flat: _AllPhotos) -> list[str]:
    sentences = []
    for what, pairs in (("identical photos", same), ("nearly identical photos", near)):
        inside = [
            (one, other)
            for one, other in pairs
            if flat.truth[one] == flat.truth[other] and flat.parts[one] == flat.parts[other]
        ]
        if inside:
            sentences.append(_counted(what, "twice with the same label", inside, flat))
    return sentences


def _counted(what: str, where: str, pairs: list[tuple[int, int]], flat: _AllPhotos) -> str:
    examples = "; ".join(flat.example(one, other) for one, other in pairs[:_EXAMPLES])
    more = "; …" if len(pairs) > _EXAMPLES else ""
    return f"{len(pairs):,} {'pair' if len(pairs) == 1 else 'pairs'} of {what} {where}: {examples}{more}."
