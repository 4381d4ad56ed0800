"""The photos that a bundle was trained on, again."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, load_folders
from returns_pipeline.training.pipeline.recipe import Request

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.pipeline.recipe import Listener

#: Recipes whose data is no folder of photos.
_FASHION_MNIST, _FASHION_MNIST_PLUS = "fashion-mnist", "fashion-mnist-plus"


def load_data(
    bundle: "Bundle", folders: PhotoFolders | None, listener: "Listener", scratch: Path
) -> TrainingData:
    """Return the images of a bundle's training; pixels that do not fit into memory go to `scratch`.

    `folders` are the photos, divided as the training divided them; None for a recipe that has its own data.
    Warns of other validation photos than those of the training. Raises RefusedError for other labels, and
    without photos.
    """
    recorded = bundle.data.get("seed")
    seed = recorded if isinstance(recorded, int) else 0
    labels = Labels(bundle.labels, bundle.main_categories)
    if folders is not None:
        data = load_folders(replace(folders, known=labels), bundle.input, seed, listener, scratch)
    else:
        data = _own_data(bundle, seed, listener, scratch)
    if "validation" not in data.parts:
        raise RefusedError(
            "There are no photos for validation.",
            "Name a folder with `train` and `validation`, or one that is not divided yet.",
        )
    known = bundle.data.get("validation_sha256")
    if known not in {None, data.parts["validation"].fingerprint}:
        listener.warn(
            "The validation photos are not those of the training. Photos that the model was trained on are "
            "no proof: give the same folder and the same shares."
        )
    return data


def _own_data(bundle: "Bundle", seed: int, listener: "Listener", scratch: Path) -> TrainingData:
    # Keras is imported for these two recipes alone.
    request = Request(bundle.name, bundle.folder.parent.parent, bundle.command, seed)
    if bundle.recipe == _FASHION_MNIST:
        from returns_pipeline.training.recipes.fashion_mnist import FashionMnist

        return FashionMnist().load(request, listener, scratch)
    if bundle.recipe == _FASHION_MNIST_PLUS:
        from returns_pipeline.training.recipes.fashion_mnist_plus import FashionMnistPlus

        return FashionMnistPlus().load(request, listener, scratch)
    raise RefusedError(
        "{bundle_ref} was trained on photos, which are needed again.",
        "Name their folder with --data.",
        bundle_ref=bundle.ref,
    )
