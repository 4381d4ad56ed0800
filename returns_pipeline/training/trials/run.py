"""Tries backbones one after the other; one that is not available does not stop the others."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras

from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.training.trials.backbones import Candidate, Tried, try_backbone
from returns_pipeline.training.trials.photos import TrialPhotos

if TYPE_CHECKING:
    from returns_pipeline.training.labelled.photo_folders import PhotoFolders
    from returns_pipeline.training.pipeline.recipe import Listener


class Missing(NamedTuple):
    """A backbone that cannot be tried, why, and what to do about it."""

    backbone: str
    reason: str
    advice: str


class Trial(NamedTuple):
    """What was measured of each backbone, and which ones could not be tried.

    `trained` and `judged` are numbers of photos.
    """

    tried: list[Tried]
    missing: list[Missing]
    trained: int
    judged: int


def try_backbones(
    candidates: Sequence[Candidate],
    folders: "PhotoFolders",
    most: int,
    seed: int,
    models_dir: Path,
    listener: "Listener",
    *,
    in_int8: bool,
) -> Trial:
    """Try each candidate on about `most` photos of the training, and as many of the validation.

    Files are written to a hidden folder in `models_dir`, which is removed. `in_int8`: also time each model in
    int8. Raises RefusedError for photos that are not fit for training, and ConfigFault if no candidate can be
    tried.
    """
    tried, missing, counts = [], [], (0, 0)
    models_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".trial-", dir=models_dir))
    try:
        photos = TrialPhotos(folders, most, seed, listener, scratch / "pixels")
        for number, candidate in enumerate(candidates):
            data = photos.of(candidate.size)
            counts = len(data.parts["train"].truth), len(data.parts["validation"].truth)
            folder = scratch / str(number)
            try:
                tried.append(try_backbone(candidate, data, seed, folder, listener, in_int8=in_int8))
            except (ConfigFault, RefusedError) as fault:
                missing.append(Missing(candidate.backbone, fault.message, fault.advice))
            shutil.rmtree(folder, ignore_errors=True)
            keras.backend.clear_session()  # one network at a time in memory
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not tried:
        raise ConfigFault(
            "No backbone can be tried. {reason}",
            missing[0].advice,
            reason=" ".join(each.reason for each in missing),
        )
    return Trial(tried, missing, *counts)
