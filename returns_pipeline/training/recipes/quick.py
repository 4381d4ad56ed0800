"""The recipe "quick": a linear classifier on the features of a frozen backbone.

Each photo goes through the backbone once, and its features are kept for the next training.
Multinomial logistic regression finds the classifier, and cross-validation its regularisation: there is no
learning rate, no number of epochs and no chance.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.features.classifier import fit_classifier
from returns_pipeline.training.features.compute import features_of, open_cache
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, load_folders
from returns_pipeline.training.networks.backbones import pretrained
from returns_pipeline.training.networks.levels import pooled_levels
from returns_pipeline.training.pipeline.bundle_metrics import standard_metrics
from returns_pipeline.training.pipeline.recipe import SMOKE_PHOTOS, Fitted, Listener, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

BACKBONES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "resnet50")


@dataclass(frozen=True, slots=True)
class Quick:
    """The options. `backbone` and `weights` are those of `pretrained`. `side`: pixels."""

    backbone: str = "efficientnet-lite1"
    weights: str | None = None
    side: int = 240

    @property
    def size(self) -> ImageInput:
        """The size of the images, in colour."""
        return ImageInput(self.side, self.side, 3)

    def features(self) -> Any:
        """Return the frozen network, uint8 [n, side, side, 3] to float32 [n, f].

        Raises ConfigFault when the backbone is not available.
        """
        pixels = keras.Input(self.size.shape, dtype="uint8", name="pixels")
        backbone = pretrained(self.backbone, self.size, self.weights)
        as_float = layers.Rescaling(1.0, dtype="float32", name="as_float")
        return keras.Model(pixels, pooled_levels(backbone, as_float(pixels)))


@dataclass(frozen=True, slots=True)
class QuickRecipe:
    """A recipe for `train`: the options and the photos."""

    options: Quick
    folders: PhotoFolders

    name = "quick"

    def load(self, request: Request, listener: Listener, scratch: Path) -> TrainingData:
        """Read, check, divide and decode the photos; pixels that do not fit into memory go to `scratch`.

        Raises RefusedError when the photos are not fit for training, unless `force` is set.
        """
        few = SMOKE_PHOTOS if request.smoke else None
        return load_folders(self.folders, self.options.size, request.seed, listener, scratch, few=few)

    def fit(self, request: Request, data: TrainingData, listener: Listener) -> Fitted:
        """Compute the features that are not kept yet, and fit the classifier."""
        network = self.options.features()
        frozen = FrozenNetwork(network)
        cache = open_cache(frozen)
        features = {}
        for name, part in data.parts.items():
            listener.stage(f"Computing the features of {name}")
            features[name] = features_of(frozen, part.pixels, cache, listener)
        train, truth, labels = features.pop("train"), data.parts["train"].truth, len(data.labels.names)
        classifier = fit_classifier(network, train, truth, labels, request.seed, listener)
        regression, best = classifier.regression, classifier.choice
        metrics = {"cross_validated_accuracy": best.accuracy, "penalty": best.penalty}
        predictions = {name: regression.probabilities(each) for name, each in features.items()}
        return Fitted(classifier.model, {}, metrics, predictions=predictions)

    def metrics(
        self,
        data: TrainingData,
        fitted: Fitted,
        predictions: "Mapping[str, NDArray[np.float32]]",
        temperature: float,
    ) -> dict[str, float]:
        """Return the standard metrics."""
        return standard_metrics(data, fitted, predictions, temperature)
