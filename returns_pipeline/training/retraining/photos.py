"""Gathers the photos of a retraining as folders: what it trains on, what calibrates it, what judges it.

A reviewed photo's part follows from its content, so no later version trains on what judges: the random sample
of sure predictions, and a fifth of the other reviewed photos. The old data keeps its parts.
"""

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from returns_pipeline.classify.bundle import file_sha256
from returns_pipeline.errors import RefusedError
from returns_pipeline.private_files import make_folder
from returns_pipeline.records.text import printable
from returns_pipeline.training.labelled import from_reviews, names
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.photo_folders import PhotoFolders
from returns_pipeline.training.labelled.written_folders import label_folder
from returns_pipeline.training.retraining import old_data, rehearsal
from returns_pipeline.training.retraining.continued import notes
from returns_pipeline.training.retraining.parts import TEST, TRAIN, VALIDATION, Photo

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.pipeline.recipe import Listener
    from returns_pipeline.usecases.context import Context

#: One of so many reviewed photos judges, and another one decides the epoch and calibrates.
_ONE_OF = 5
#: Fewer photos than these cannot tell two versions apart.
LEAST_JUDGED = 20
_SUMMARY = "gathered.json"


class Judged(NamedTuple):
    """A photo that judges: its path, its label's index, and whether it comes from the desk."""

    path: str
    label: int
    reviewed: bool


class Gathered(NamedTuple):
    """The photos of a retraining.

    It trains on `learned` reviewed photos; `judged` judge both versions. `rehearsed`: the old data is not at
    hand.
    """

    learned: int
    judged: tuple[Judged, ...]
    rehearsed: bool


def gather(
    context: "Context", bundle: "Bundle", data: str | None, folder: Path, listener: "Listener"
) -> Gathered:
    """Write the photos below `folder`, or read what an interrupted retraining has written there.

    `data` is the folder of the old training data, if it was given. Raises RefusedError if it does not exist,
    if no reviewed photo has a label of the model, or if too few photos could judge.
    """
    summary = folder / _SUMMARY
    if summary.is_file():
        learned, judged, rehearsed = json.loads(summary.read_text(encoding="utf-8"))
        return Gathered(learned, tuple(Judged(*each) for each in judged), rehearsed)
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    listener.stage("Collecting the reviewed photos")
    from_reviews.write(context, folder / "desk", lambda done: listener.progress(done, done), bundle.name)
    old = old_data.find(context.settings.models_dir, bundle, data, listener)
    photos = list(_reviewed(folder / "desk", bundle))
    if not any(photo.part == TRAIN for photo in photos):
        raise RefusedError(
            "No reviewed photo has a label of {bundle_ref}: there is nothing new to learn.",
            "Review photos first.",
            bundle_ref=bundle.ref,
        )
    photos += rehearsal.collect(context, bundle, folder / "nights", listener) if old is None else old
    listener.stage("Preparing the photos")
    written = list(_written(photos, bundle, folder / "photos"))
    judged = tuple(Judged(str(path), each.label, each.reviewed) for each, path in written if each.judges)
    if len(judged) < LEAST_JUDGED:
        raise RefusedError(
            "Only {count} photos could judge the new version; {least} are needed.",
            "Review more photos: one of five judges, and so does each of the random sample.",
            count=len(judged),
            least=LEAST_JUDGED,
        )
    learned = sum(each.reviewed and each.part == TRAIN for each, _ in written)
    found = Gathered(learned, judged, old is None)
    draft = summary.with_suffix(".draft")
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.replace(summary)
    return found


def training_folders(
    bundle: "Bundle", folder: Path, models_dir: Path, uid: str, data: str | None
) -> PhotoFolders:
    """Return the gathered photos as the training takes them.

    The new bundle names the retraining `uid`, and the folder of the old `data`, if it was given.
    """
    about = {**notes(bundle, models_dir), "retraining": uid}
    about |= {"folder": printable(data)} if data is not None else {}
    known = Labels(bundle.labels, bundle.main_categories)
    return PhotoFolders(folder / "photos", test=0, known=known, notes=about)


def _reviewed(desk: Path, bundle: "Bundle") -> Iterator[Photo]:
    """Yield the reviewed photos whose label the model has."""
    index = {label: number for number, label in enumerate(bundle.labels)}
    with (desk / "reviews.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        path = desk / row["file"]
        label = _label_of(path, index, bundle)
        if label is None:
            continue
        place = int(row["sha256"][:8] or "2", 16) % _ONE_OF
        if path.relative_to(desk).parts[0] == from_reviews.AUDIT or place == 0:
            part = TEST
        else:
            part = VALIDATION if place == 1 else TRAIN
        yield Photo(path, label, part, reviewed=True, judges=part == TEST)


def _label_of(path: Path, index: dict[str, int], bundle: "Bundle") -> int | None:
    """Return the index of a reviewed photo's label; None for a thing that no label fits."""
    key = names.key(path.parent.name)
    return next((index[label] for label in bundle.labels if names.key(label_folder(label)) == key), None)


def _written(photos: Sequence[Photo], bundle: "Bundle", folder: Path) -> Iterator[tuple[Photo, Path]]:
    """Yield each photo and its place below `folder`. Photos with one content are written once: the first."""
    labels = [label_folder(label) or str(number) for number, label in enumerate(bundle.labels)]
    for part in {photo.part for photo in photos}:
        for label in labels:
            make_folder(folder / part / label)
    seen: set[str] = set()
    # What judges comes first, so that nothing of it is trained on; then what people said.
    for number, photo in enumerate(sorted(photos, key=lambda each: (not each.judges, not each.reviewed))):
        digest = file_sha256(photo.path)
        if digest not in seen:
            seen.add(digest)
            target = folder / photo.part / labels[photo.label] / f"{number}{photo.path.suffix.lower()}"
            target.symlink_to(photo.path.absolute())
            yield photo, target
