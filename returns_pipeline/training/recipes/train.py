"""The way of every recipe for photos: read, check, divide, decode, fit, judge, calibrate, export, publish."""

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from returns_pipeline.classify.bundle import Bundle, file_sha256
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled import checks
from returns_pipeline.training.labelled.augmentation import Variation
from returns_pipeline.training.labelled.folders import Labels, Photos, Tree, read_tree
from returns_pipeline.training.labelled.photos import load_pixels
from returns_pipeline.training.labelled.split import stratified
from returns_pipeline.training.networks.heads import MAIN, SUB, Network
from returns_pipeline.training.recipes.bundling import Part, Trained, ask, bundle_up
from returns_pipeline.training.recipes.fitting import Batches, Plan, Record, Workshop, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A toy training: so many photos of each label, and one epoch.
SMOKE_PHOTOS = 12


class Recipe(Protocol):
    """What one recipe decides: a frozen dataclass of its options."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def size(self) -> ImageInput:
        """What the network takes."""
        ...

    @property
    def batch(self) -> int:
        """Photos in one step."""
        ...

    @property
    def plan(self) -> Plan:
        """How long to fit."""
        ...

    @property
    def variation(self) -> Variation:
        """How photos are varied while training."""
        ...

    @property
    def two_heads(self) -> bool:
        """Whether there is a head for main categories."""
        ...

    def build(self, labels: Labels) -> Network:
        """Return the network for these labels."""
        ...

    def optimizer(self, steps: int) -> Any:
        """Return a new optimizer for so many steps in all."""
        ...


class Listener(Protocol):
    """Whoever shows a person how far the training is."""

    def stage(self, name: str) -> None:
        """Say that something else begins: reading, decoding, training."""
        ...

    def progress(self, done: int, total: int, numbers: "Mapping[str, float] | None" = None) -> None:
        """Say how far it is."""
        ...

    def warn(self, sentence: str) -> None:
        """Show what a person should know."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What to train on what, and where the bundle goes.

    `validation` and `test` are parts of 1, used where DATA has no folders of these names. `seed` decides the
    first weights, the order of the photos and their division. Without `photos` the report shows none of them.
    """

    name: str
    data: Path
    mapping: Path | None
    models_dir: Path
    command: str
    seed: int = 0
    validation: float = 0.2
    test: float = 0.1
    smoke: bool = False
    force: bool = False
    resume: bool = False
    photos: bool = True
    mixed_precision: bool = False


def train(request: Request, recipe: Recipe, listener: Listener) -> Bundle:
    """Train, judge, export and publish one bundle; return it as it lies in its folder.

    Raises RefusedError when the photos are not fit to learn from, and `force` is not set; when a package is
    missing; when the export does not answer as Keras does.
    """
    listener.stage("Looking at the photos")
    tree = read_tree(request.data, request.mapping)
    findings = checks.check(tree, listener.progress)
    checks.require_sound(findings, request.force)
    for warning in findings.warnings:
        listener.warn(warning)
    divided = _divide(tree, findings, request)
    if request.smoke:
        divided = {name: _few(photos) for name, photos in divided.items()}
    request.models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.models_dir, prefix=".pixels-") as shelf:
        parts = {}
        for name, photos in divided.items():
            listener.stage(f"Decoding {name}")
            pixels, readable = load_pixels(photos, recipe.size, listener.progress, Path(shelf))
            kept = _take(photos, readable)
            parts[name] = Part(pixels, kept.truth, _fingerprint(kept, tree.labels))
        listener.stage("Training")
        return _train(request, recipe, listener, tree, parts)


def _divide(tree: Tree, findings: checks.Findings, request: Request) -> dict[str, Photos]:
    """Return train, validation and, if there are any, test: DATA's own folders, or a division of them."""
    if "all" not in tree.parts:
        return {name: photos for name, photos in tree.parts.items() if len(photos.paths)}
    photos = tree.parts["all"]
    split = stratified(photos.truth, request.validation, request.test, findings.groups["all"], request.seed)
    named = {"train": split.train, "validation": split.validation, "test": split.test}
    return {name: _take(photos, indices) for name, indices in named.items() if len(indices)}


def _take(photos: Photos, indices: "NDArray[np.int64]") -> Photos:
    return Photos(tuple(photos.paths[index] for index in indices), photos.truth[indices])


def _few(photos: Photos) -> Photos:
    labels = np.unique(photos.truth)
    first = [np.flatnonzero(photos.truth == label)[:SMOKE_PHOTOS] for label in labels]
    return _take(photos, np.sort(np.concatenate(first)))


def _train(
    request: Request, recipe: Recipe, listener: Listener, tree: Tree, parts: dict[str, Part]
) -> Bundle:
    began = time.perf_counter()
    options: Any = recipe
    purpose = json.dumps(
        [recipe.name, asdict(options), request.seed, [part.fingerprint for part in parts.values()]],
        default=str,
    )
    workshop = Workshop(request.models_dir / f".training-{request.name}", purpose, resume=request.resume)
    network, record = _fit(request, recipe, listener, tree.labels, parts, workshop)
    trained = Trained(
        name=request.name,
        recipe=recipe.name,
        command=request.command,
        labels=tree.labels,
        model=network.served,
        parts=parts,
        history=_curves(record.history),
        seconds=time.perf_counter() - began,
        seed=request.seed,
        data={"name": tree.root.name},
        with_photos=request.photos,
    )
    if recipe.two_heads:
        heads = _of_both_heads(network.trained, parts[trained.judged], tree.labels)
        trained = replace(trained, metrics=heads)
    listener.stage("Judging and exporting")
    bundle = bundle_up(trained, request.models_dir)
    workshop.discard()
    return bundle


def _fit(
    request: Request,
    recipe: Recipe,
    listener: Listener,
    labels: Labels,
    parts: dict[str, Part],
    workshop: Workshop,
) -> tuple[Network, Record]:
    """Return the network with the weights that count, in float32."""
    keras.utils.set_random_seed(request.seed)
    if request.mixed_precision:
        keras.config.set_dtype_policy("mixed_float16")
    try:
        network = recipe.build(labels)
        plan = replace(recipe.plan, epochs=1) if request.smoke else recipe.plan
        steps = plan.epochs * -(-len(parts["train"].truth) // recipe.batch)
        network.trained.compile(
            optimizer=recipe.optimizer(steps),
            loss=dict.fromkeys(network.trained.output_names, "sparse_categorical_crossentropy"),
            metrics={head: ["accuracy"] for head in network.trained.output_names},
        )
        targets = {name: _targets(part.truth, labels, recipe) for name, part in parts.items()}
        record = fit(
            network.trained,
            lambda epochs: Batches(
                parts["train"].pixels, targets["train"], recipe.batch, request.seed, recipe.variation, epochs
            ),
            Batches(parts["validation"].pixels, targets["validation"], recipe.batch),
            plan,
            workshop,
            listener.progress,
        )
    finally:
        keras.config.set_dtype_policy("float32")
    if request.mixed_precision:
        plain = recipe.build(labels)
        plain.trained.set_weights(network.trained.get_weights())
        network = plain
    return network, record


def _curves(history: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return what a report draws: of two heads the loss of both and the accuracy of the sub category."""
    shown = {}
    for number in ("loss", "accuracy"):
        for prefix in ("", "val_"):
            of_head = f"{prefix}{SUB}_{number}"
            shown[prefix + number] = history.get(prefix + number) or history[of_head]
    return shown


def _targets(truth: "NDArray[np.int64]", labels: Labels, recipe: Recipe) -> "dict[str, NDArray[np.int64]]":
    targets = {SUB: truth}
    if recipe.two_heads:
        targets[MAIN] = _main_of(labels)[truth]
    return targets


def _main_of(labels: Labels) -> "NDArray[np.int64]":
    """Return the index of each label's main category, in the order in which these first appear."""
    mains = list(dict.fromkeys(labels.mains))
    return np.array([mains.index(main) for main in labels.mains])


def _of_both_heads(trained: Any, part: Part, labels: Labels) -> dict[str, float]:
    """Return the accuracy of each head by itself, and how often the two contradict each other."""
    answers = ask(trained, part.pixels)
    sub, main = answers[SUB].argmax(axis=1), answers[MAIN].argmax(axis=1)
    main_of = _main_of(labels)
    return {
        "sub_head_accuracy": float((sub == part.truth).mean()),
        "main_head_accuracy": float((main == main_of[part.truth]).mean()),
        "heads_contradict": float((main_of[sub] != main).mean()),
    }


def _fingerprint(photos: Photos, labels: Labels) -> str:
    """Return a sha256 in hex over the files' contents and their labels, the same wherever they lie."""
    lines = sorted(
        f"{file_sha256(path)} {labels.names[label]}\n"
        for path, label in zip(photos.paths, photos.truth, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
