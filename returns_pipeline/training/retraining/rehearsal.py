"""Photos of the nights in place of the old training data, so that a new version forgets nothing.

The label of each is drawn from the old version's calibrated probabilities: on average, the loss is that of
the probabilities themselves. Source: Li and Hoiem, "Learning without Forgetting", ECCV 2016, with the
distillation of Hinton, Vinyals and Dean, arXiv:1503.02531.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.confidence import tempered
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.private_files import make_folder
from returns_pipeline.store import reviewed_photos
from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, predict_photos
from returns_pipeline.training.labelled import from_reviews
from returns_pipeline.training.retraining.parts import TRAIN, VALIDATION, Photo
from returns_pipeline.usecases.originals import open_original

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.pipeline.recipe import Listener
    from returns_pipeline.usecases.context import Context

#: Most photos that are rehearsed, the newest ones.
MOST = 3000
#: One of so many calibrates.
_ONE_OF = 5
_SEED = 0


def collect(context: "Context", bundle: "Bundle", folder: Path, listener: "Listener") -> list[Photo]:
    """Write photos of the nights that no person reviewed to `folder`; return them with drawn labels.

    Raises RefusedError if there is none.
    """
    listener.stage("Collecting photos of the nights")
    ids = reviewed_photos.unreviewed(context.db, bundle.name, MOST)
    make_folder(folder)
    paths: list[str] = []
    for number, image_id in enumerate(ids, start=1):
        try:
            file, content = open_original(context, image_id)
        except (NotFoundError, ConflictError, RefusedError):
            continue  # deleted or changed meanwhile
        with content:
            target = folder / f"{image_id}{from_reviews.suffix(file)}"
            from_reviews.link(file, content, target)
        paths.append(str(target))
        listener.progress(number, len(ids))
    if not paths:
        raise RefusedError(
            "Neither the photos that {bundle_ref} was trained on nor photos of its nights are at hand.",
            "Name the folder of the old training photos with --data.",
            bundle_ref=bundle.ref,
        )
    listener.stage(f"Predicting with {bundle.ref}")
    photos = LabelledPhotos(paths, np.zeros(len(paths), np.int64))
    found = predict_photos(bundle, photos, context.settings, listener.progress)
    probabilities = tempered(found.probabilities, bundle.temperature).astype(np.float64)
    thresholds = np.random.default_rng(_SEED).random((len(probabilities), 1))
    drawn = (probabilities.cumsum(axis=1) < thresholds).sum(axis=1).clip(max=len(bundle.labels) - 1)
    return [
        Photo(Path(paths[index]), int(label), _part_of(number), reviewed=False, judges=False)
        for number, (index, label) in enumerate(zip(found.indices, drawn, strict=True))
    ]


def _part_of(number: int) -> str:
    return VALIDATION if number % _ONE_OF == 0 else TRAIN
