"""Finds the photos that the old version was trained on."""

from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.errors import PipelineError, RefusedError
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import fingerprint
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, divide
from returns_pipeline.training.retraining.continued import OLD_VALIDATION, options_of, original_command
from returns_pipeline.training.retraining.parts import TEST, VALIDATION, Photo

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.pipeline.recipe import Listener


def find(models_dir: Path, bundle: "Bundle", given: str | None, listener: "Listener") -> list[Photo] | None:
    """Return the photos of a bundle's training, in their parts; None if they are not at hand.

    They judge only if they are divided as the training divided them: then the old version was not trained on
    the photos that judge. Raises RefusedError if the `given` folder does not exist or does not fit the model.
    """
    if given is not None and not Path(given).is_dir():
        raise RefusedError(
            "The folder {folder} does not exist on the machine that trains.",
            "Name the folder of the old training photos there, or leave out --data.",
            folder=given,
        )
    options = options_of(original_command(bundle, models_dir))
    places = [given] if given is not None else [bundle.data.get("folder"), options.get("data")]
    for place in places:
        if isinstance(place, str) and place and Path(place).is_dir():
            try:
                photos, is_same = _divided(Path(place), bundle, options, listener)
            except PipelineError:
                if given is not None:
                    raise
                continue
            if is_same or given is not None:
                return photos
    return None


def _divided(
    folder: Path, bundle: "Bundle", options: dict[str, str], listener: "Listener"
) -> tuple[list[Photo], bool]:
    """Return the photos of a folder, and whether their validation photos are those of the training."""
    known = Labels(bundle.labels, bundle.main_categories)
    validation_share, test_share = (
        float(options.get(name) or default) for name, default in (("validation", 0.2), ("test", 0.1))
    )
    seed = bundle.data.get("seed")
    force = "force" in options
    folders = PhotoFolders(folder, None, validation_share, test_share, force, known)
    tree, parts = divide(folders, seed if isinstance(seed, int) else 0, listener)
    validation = parts[VALIDATION]
    found = fingerprint(validation.paths, validation.truth, tree.labels.names)
    is_same = found == bundle.data.get(OLD_VALIDATION, bundle.data.get("validation_sha256"))
    judging = (TEST if TEST in parts else VALIDATION) if is_same else ""
    photos = [
        Photo(path, int(label), part, reviewed=False, judges=part == judging)
        for part, of_part in parts.items()
        for path, label in zip(of_part.paths, of_part.truth, strict=True)
    ]
    return photos, is_same
