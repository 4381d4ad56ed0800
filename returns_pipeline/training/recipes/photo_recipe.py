"""The recipe for photo folders: fits a network on their photos.

What differs between `cnn`, `transfer` and `outfit` is the `PhotoNetwork` alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, load_folders
from returns_pipeline.training.networks.heads import MAIN, SUB, Network
from returns_pipeline.training.pipeline.bundle_metrics import standard_metrics
from returns_pipeline.training.pipeline.checkpoints import Checkpoints, TrainingState
from returns_pipeline.training.pipeline.fitting import Batches, Plan, fit
from returns_pipeline.training.pipeline.frozen_part import VARIATIONS, FeatureBatches, features, is_worth_it
from returns_pipeline.training.pipeline.make_bundle import predict
from returns_pipeline.training.pipeline.recipe import SMOKE_PHOTOS, Fitted, Listener, Request

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PhotoNetwork(Protocol):
    """A network for photos and how it is trained: a frozen dataclass of its options."""

    @property
    def name(self) -> str:
        """The recipe's name on the command line and in bundle.json."""
        ...

    @property
    def size(self) -> ImageInput:
        """The size of the images that the network takes."""
        ...

    @property
    def batch(self) -> int:
        """Photos in one training step."""
        ...

    @property
    def plan(self) -> Plan:
        """How long to fit, and which weights to keep."""
        ...

    @property
    def variation(self) -> Variation:
        """How photos are varied during training."""
        ...

    def build(self, labels: Labels) -> Network:
        """Return a new network for these labels."""
        ...

    def optimizer(self, steps: int) -> Any:
        """Return a new Keras optimizer for a training of `steps` steps."""
        ...


@dataclass(frozen=True, slots=True)
class PhotoRecipe:
    """A recipe for `train`: a network, the photos, and whether to compute in float16."""

    network: PhotoNetwork
    folders: PhotoFolders
    mixed_precision: bool = False

    @property
    def name(self) -> str:
        """The name of the network's recipe."""
        return self.network.name

    def load(self, request: Request, listener: Listener, scratch: Path) -> TrainingData:
        """Read, check, divide and decode the photos; pixels that do not fit into memory go to `scratch`.

        Raises RefusedError when the photos are not fit for training, unless `force` is set.
        """
        few = SMOKE_PHOTOS if request.smoke else None
        return load_folders(self.folders, self.network.size, request.seed, listener, scratch, few=few)

    def fit(self, request: Request, data: TrainingData, listener: Listener) -> Fitted:
        """Fit the network; the result computes in float32."""
        options: Any = self.network
        fingerprints = [part.fingerprint for part in data.parts.values()]
        purpose = json.dumps(
            [self.name, asdict(options), request.seed, VARIATIONS, fingerprints], default=str
        )
        checkpoints = Checkpoints(request.checkpoint_folder, purpose, resume=request.resume)
        keras.utils.set_random_seed(request.seed)
        if self.mixed_precision:
            keras.config.set_dtype_policy("mixed_float16")
        try:
            network = self.network.build(data.labels)
            state = _fit(network, self.network, request, data, checkpoints, listener)
        finally:
            keras.config.set_dtype_policy("float32")
        if self.mixed_precision:
            full = self.network.build(data.labels)
            full.trained.set_weights(network.trained.get_weights())
            network = full
        heads = _head_metrics(network.trained, data) if MAIN in network.trained.output_names else {}
        return Fitted(network.served, _report_history(state.history), heads, checkpoints)

    def metrics(
        self,
        data: TrainingData,
        fitted: Fitted,
        predictions: "Mapping[str, NDArray[np.float32]]",
        temperature: float,
    ) -> dict[str, float]:
        """Return the standard metrics."""
        return standard_metrics(data, fitted, predictions, temperature)


def _fit(
    network: Network,
    options: PhotoNetwork,
    request: Request,
    data: TrainingData,
    checkpoints: Checkpoints,
    listener: Listener,
) -> TrainingState:
    """Compile and fit a network; leave it with the weights to keep."""
    train, validation = data.parts["train"], data.parts["validation"]
    plan = replace(options.plan, epochs=1) if request.smoke else options.plan
    steps = plan.epochs * -(-len(train.truth) // options.batch)
    outputs = network.trained.output_names
    targets, judged = (
        _targets(part.truth, data.labels, outputs, is_soft=plan.has_soft_targets)
        for part in (train, validation)
    )
    variations = min(VARIATIONS, plan.epochs)
    count = len(train.truth) + len(validation.truth)
    is_divided = is_worth_it(network.frozen, count, variations)
    model = network.late if is_divided else network.trained
    model.compile(
        optimizer=options.optimizer(steps),
        loss={output: _loss(plan) for output in outputs},
        metrics={output: ["accuracy"] for output in outputs},
    )
    if not is_divided:
        return fit(
            model,
            lambda epochs: Batches(
                train.pixels, targets, options.batch, request.seed, options.variation, epochs, plan.mixing
            ),
            Batches(validation.pixels, judged, options.batch),
            plan,
            checkpoints,
            listener.progress,
        )
    listener.stage("Computing the frozen layers")
    frozen, folder = network.frozen, checkpoints.folder
    plain = features(frozen, validation.pixels, None, 0, 1, folder / "validation.npy", listener)
    path = folder / "train.npy"
    varied = features(frozen, train.pixels, options.variation, request.seed, variations, path, listener)
    listener.stage("Training the last layers")
    return fit(
        model,
        lambda epochs: FeatureBatches(varied, targets, options.batch, request.seed, epochs, plan.mixing),
        FeatureBatches(plain, judged, options.batch),
        plan,
        checkpoints,
        listener.progress,
    )


def _report_history(history: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return the numbers for the report; of two heads, the sum of the losses and the sub head's accuracy."""
    shown = {}
    for number in ("loss", "accuracy"):
        for prefix in ("", "val_"):
            shown[prefix + number] = history.get(prefix + number) or history[f"{prefix}{SUB}_{number}"]
    return shown


def _loss(plan: Plan) -> Any:
    if plan.has_soft_targets:
        return keras.losses.CategoricalCrossentropy(label_smoothing=plan.smoothing)
    return "sparse_categorical_crossentropy"


def _targets(
    truth: "NDArray[np.int64]", labels: Labels, outputs: Sequence[str], *, is_soft: bool
) -> "dict[str, NDArray[Any]]":
    """Return the index of the label [n] for each output, or, if it is soft, float32 [n, labels]."""
    mains = _main_indices(labels)
    targets: dict[str, NDArray[Any]] = {SUB: truth}
    if MAIN in outputs:
        targets[MAIN] = mains[truth]
    if not is_soft:
        return targets
    sizes = {SUB: len(labels.names), MAIN: int(mains.max()) + 1}
    return {output: np.eye(sizes[output], dtype=np.float32)[index] for output, index in targets.items()}


def _main_indices(labels: Labels) -> "NDArray[np.int64]":
    """Return the index of each label's main category, in the order of their first appearance."""
    mains = list(dict.fromkeys(labels.mains))
    return np.array([mains.index(main) for main in labels.mains])


def _head_metrics(trained: Any, data: TrainingData) -> dict[str, float]:
    """Return the accuracy of each head alone, and how often their predictions contradict each other."""
    predictions = predict(trained, data.judged.pixels)
    sub, main = predictions[SUB].argmax(axis=1), predictions[MAIN].argmax(axis=1)
    main_of, truth = _main_indices(data.labels), data.judged.truth
    return {
        "sub_head_accuracy": float((sub == truth).mean()),
        "main_head_accuracy": float((main == main_of[truth]).mean()),
        "heads_contradict": float((main_of[sub] != main).mean()),
    }
