"""A recipe that begins with the weights of a published bundle."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from returns_pipeline.classify.bundle import KERAS_MODEL
from returns_pipeline.classify.runtimes import keras_archive, keras_weights
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.networks.heads import Network
from returns_pipeline.training.pipeline.fitting import Plan
from returns_pipeline.training.recipes.photo_recipe import PhotoNetwork

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Continued:
    """A network of a recipe that begins with the weights of a bundle's `model.keras`."""

    network: PhotoNetwork
    weights: Path

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.network.name

    @property
    def size(self) -> ImageInput:
        """The size of the images."""
        return self.network.size

    @property
    def batch(self) -> int:
        """Photos in one training step."""
        return self.network.batch

    @property
    def plan(self) -> Plan:
        """The recipe's plan."""
        return self.network.plan

    @property
    def variation(self) -> Variation:
        """The recipe's variation."""
        return self.network.variation

    def build(self, labels: Labels) -> Network:
        """Return the network with the old weights. Raises RefusedError if they are of another network."""
        network = self.network.build(labels)
        old = load_network(self.weights)
        try:
            network.served.set_weights(old.get_weights())
        except ValueError as error:
            raise RefusedError(
                "The weights of {file} do not fit the network of the recipe {recipe}.",
                "Train the model again with `returns-pipeline train {recipe}`, without --start-from.",
                file=self.weights,
                recipe=self.name,
            ) from error
        return network

    def optimizer(self, steps: int) -> Any:
        """Return the recipe's optimizer."""
        return self.network.optimizer(steps)


def load_network(path: Path) -> Any:
    """Return the network of a bundle's `model.keras`. Raises RefusedError if the file is not safe to load."""
    keras_archive.require_safe(path)
    keras_weights.require_plain(path)
    return keras.saving.load_model(path, safe_mode=True, compile=False)


def weights_of(bundle: "Bundle") -> Path:
    """Return the file of a bundle's trained network. Raises RefusedError for a bundle without one."""
    if KERAS_MODEL not in bundle.sha256:
        raise RefusedError(
            "{bundle_ref} has no {file}, so it cannot be trained further.",
            "Train the model again: `returns-pipeline train` writes one.",
            bundle_ref=bundle.ref,
            file=KERAS_MODEL,
        )
    return bundle.file(KERAS_MODEL)
