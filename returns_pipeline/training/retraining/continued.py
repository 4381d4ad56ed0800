"""The recipe of a retraining: that of the old version, from its weights, in fewer and smaller steps."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.photo_folders import PhotoFolders
from returns_pipeline.training.networks.heads import SUB, Network
from returns_pipeline.training.pipeline.fitting import Plan
from returns_pipeline.training.recipes.cnn import Cnn
from returns_pipeline.training.recipes.continued import Continued, load_network, weights_of
from returns_pipeline.training.recipes.outfit import Outfit
from returns_pipeline.training.recipes.photo_recipe import PhotoNetwork, PhotoRecipe
from returns_pipeline.training.recipes.quick import Quick, QuickRecipe
from returns_pipeline.training.recipes.transfer import Transfer

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.pipeline.recipe import Recipe

_NETWORKS: dict[str, type[Cnn] | type[Transfer] | type[Outfit]] = {
    "cnn": Cnn,
    "transfer": Transfer,
    "outfit": Outfit,
}
#: Parts of the recipe's epochs and of its learning rate: the weights are good already.
_EPOCHS, _RATE = 1 / 3, 1 / 3
#: Key of `data` in bundle.json: the command of the first training, whose options each retraining takes.
TRAINED_BY = "trained_by"
#: Key of `data` in bundle.json: the fingerprint of the validation photos of the first training.
OLD_VALIDATION = "old_validation_sha256"


def original_command(bundle: "Bundle", models_dir: Path) -> str:
    """Return the command line of the training of which a bundle comes, however often it was retrained."""
    kept = bundle.data.get(TRAINED_BY)
    if isinstance(kept, str):
        return kept
    source = bundle.data.get("quantized_from")
    if isinstance(source, str):
        try:
            return original_command(find_bundle(models_dir, source), models_dir)
        except ConfigFault:  # deleted meanwhile
            return bundle.command
    return bundle.command


def options_of(command: str) -> dict[str, str]:
    """Return the options of a command line, without their hyphens; a flag has an empty text."""
    try:
        words = shlex.split(command)
    except ValueError:  # written by hand
        return {}
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            name, is_given, value = word[2:].partition("=")
            found[name] = value if is_given else "" if following.startswith("--") else following
    return found


def recipe_of(bundle: "Bundle", models_dir: Path, folders: PhotoFolders) -> "Recipe":
    """Return the recipe that trains a bundle further on these photos. Raises as `continued`.

    The recipe `quick` fits its classifier anew: the features of the old photos are kept.
    """
    if bundle.recipe == QuickRecipe.name:
        options = options_of(original_command(bundle, models_dir))
        given = {"backbone": options["backbone"]} if options.get("backbone") else {}
        weights = options.get("weights")
        return QuickRecipe(Quick(**given, weights=weights, side=bundle.input.height), folders)
    return PhotoRecipe(continued(bundle, models_dir), folders)


def continued(bundle: "Bundle", models_dir: Path) -> PhotoNetwork:
    """Return the network of a bundle's recipe that starts from the bundle's weights.

    A recipe that is not for photo folders, or whose options are not known any more, gives the network as it
    was saved. Raises RefusedError for a bundle without `model.keras`.
    """
    weights = weights_of(bundle)
    options = options_of(original_command(bundle, models_dir))
    kind = _NETWORKS.get(bundle.recipe)
    if kind is None or "data" not in options:
        return Saved(bundle.recipe, bundle.input, weights)
    given: dict[str, Any] = {}
    for field in fields(kind):
        text = options.get(field.name.replace("_", "-"))
        if text and field.default is None:
            given[field.name] = text
        elif text and isinstance(field.default, int | float | str):
            try:
                given[field.name] = type(field.default)(text)
            except ValueError:  # the command line in a bundle from outside may say anything
                return Saved(bundle.recipe, bundle.input, weights)
    names = {field.name for field in fields(kind)}
    given |= {"size": bundle.input} if "size" in names else {"side": bundle.input.height}
    given |= {"models_dir": models_dir} if "models_dir" in names else {}
    network = kind(**given)
    less: Any = {
        "epochs": max(1, math.ceil(network.epochs * _EPOCHS)),
        "learning_rate": network.learning_rate * _RATE,
    }
    return Continued(replace(network, **less), weights)


@dataclass(frozen=True, slots=True)
class Saved:
    """A network as it was saved, for a recipe that is not for photo folders."""

    name: str
    size: ImageInput
    weights: Path
    epochs: int = 10
    batch: int = 32
    learning_rate: float = 1e-4
    patience: int = 4

    variation = Variation(crop=0.1, shift=0.03)

    @property
    def plan(self) -> Plan:
        """Fit until the validation loss no longer improves; keep the best epoch."""
        return Plan(self.epochs, self.patience)

    def build(self, labels: Labels) -> Network:  # noqa: ARG002 - the network has its labels
        """Return the network with its weights."""
        old = load_network(self.weights)
        return Network(keras.Model(old.inputs, {SUB: old.outputs[0]}), old)

    def optimizer(self, steps: int) -> Any:
        """Return Adam, whose rate falls to 0."""
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(self.learning_rate, steps))


def notes(bundle: "Bundle", models_dir: Path) -> Mapping[str, Any]:
    """Return what the new bundle keeps of the old one's `data`."""
    recorded = bundle.data.get(OLD_VALIDATION, bundle.data.get("validation_sha256"))
    kept: dict[str, Any] = {
        name: bundle.data[name] for name in ("name", "folder", "knows") if name in bundle.data
    }
    about = {TRAINED_BY: original_command(bundle, models_dir), "retrained_from": str(bundle.ref)}
    return {**kept, **about, OLD_VALIDATION: recorded}
