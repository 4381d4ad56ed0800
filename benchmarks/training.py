"""`python -m benchmarks.training DATA`: how long `transfer` and `outfit` take, and how good they become.

Each is trained twice in one process, in turns: `whole` computes every layer in each epoch, `divided` computes
the frozen layers once. Some photos of each label are taken, so that it ends in minutes. Before, it prints
what one photo costs; `--few 0` prints that alone.
"""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import machine
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, load_folders
from returns_pipeline.training.networks.heads import Network
from returns_pipeline.training.pipeline.frozen_part import VARIATIONS
from returns_pipeline.training.pipeline.recipe import Request
from returns_pipeline.training.recipes.outfit import Outfit
from returns_pipeline.training.recipes.photo_recipe import PhotoNetwork, PhotoRecipe
from returns_pipeline.training.recipes.transfer import Transfer

#: The least of so many turns counts.
_TURNS = 3


class _Silent:
    def stage(self, name: str) -> None:
        """Show nothing."""

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show nothing."""

    def warn(self, sentence: str) -> None:
        print(sentence)


class _WholeTransfer(Transfer):
    def build(self, labels: Labels) -> Network:
        return replace(Transfer.build(self, labels), frozen=None, late=None)


class _WholeOutfit(Outfit):
    def build(self, labels: Labels) -> Network:
        return replace(Outfit.build(self, labels), frozen=None, late=None)


def main(
    data: Annotated[Path, typer.Argument(help="Class folders, or train/ and validation/ with them.")],
    recipe: Annotated[list[str], typer.Option(help="transfer, outfit.")] = ["transfer", "outfit"],  # noqa: B006 - typer copies it
    few: Annotated[int, typer.Option(help="Most photos of each label, of each part.")] = 30,
    epochs: Annotated[int, typer.Option(help="0: those of the recipe.")] = 0,
) -> None:
    """Print seconds, seconds of CPU, and the accuracy on the validation photos for both ways."""
    print(machine.as_line(machine.describe()))
    networks: dict[str, tuple[Any, Any]] = {
        "transfer": (_WholeTransfer, Transfer),
        "outfit": (_WholeOutfit, Outfit),
    }
    for name in recipe:
        options = {"epochs": epochs} if epochs else {}
        _print_costs(name, networks[name][1](**options))
        if not few:
            continue
        with tempfile.TemporaryDirectory() as folder:
            os.environ["RETURNS_HOME"] = folder  # an empty cache of features
            size = networks[name][0]().size
            parts = load_folders(
                PhotoFolders(data, force=True), size, 0, _Silent(), Path(folder) / "px", few=few
            )
            for way, kind in zip(("whole", "divided"), networks[name], strict=True):
                print(f"{name} {way}: {_measured(kind(**options), parts, Path(folder) / way)}", flush=True)


def _print_costs(name: str, network: Transfer | Outfit) -> None:
    """Print milliseconds of CPU of a photo: in an epoch of the whole network, and of its halves."""
    labels = Labels(tuple(map(str, range(10))), tuple(str(number // 3) for number in range(10)))
    built = network.build(labels)
    pixels = np.random.default_rng(0).integers(0, 256, (network.batch, *network.size.shape), np.uint8)
    targets = dict.fromkeys(built.trained.output_names, np.arange(len(pixels)) % 3)
    loss = dict.fromkeys(targets, "sparse_categorical_crossentropy")
    frozen = FrozenNetwork(built.frozen, np.float16)
    found = frozen.compute(pixels).astype(np.float32)
    for model in (built.trained, built.late):
        model.compile(network.optimizer(100), loss)
    vary = _milliseconds(lambda: network.variation(pixels, np.random.default_rng(0)), len(pixels))
    whole = _milliseconds(lambda: built.trained.train_on_batch(pixels, targets), len(pixels))
    early = _milliseconds(lambda: frozen.compute(pixels), len(pixels))
    late = _milliseconds(lambda: built.late.train_on_batch(found, targets), len(pixels))
    before = network.epochs * (vary + whole)
    after = min(VARIATIONS, network.epochs) * (vary + early) + network.epochs * late
    print(
        f"{name}, ms of CPU a photo: variation {vary:.1f}, training step of the whole network {whole:.1f}, "
        f"frozen part {early:.1f}, training step of the rest {late:.1f}; {network.epochs} epochs: "
        f"{before:,.0f} whole, {after:,.0f} divided, ratio {after / before:.2f}",
        flush=True,
    )


def _milliseconds(run: Callable[[], object], photos: int) -> float:
    run()
    times = []
    for _ in range(_TURNS):
        began = time.process_time()
        run()
        times.append((time.process_time() - began) * 1000 / photos)
    return min(times)


def _measured(network: PhotoNetwork, parts: TrainingData, models: Path) -> str:
    wall, cpu = time.perf_counter(), time.process_time()
    request = Request("benchmark", models, "")
    fitted = PhotoRecipe(network, PhotoFolders(Path())).fit(request, parts, _Silent())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    judged = parts.parts["validation"]
    predicted = fitted.model.predict(judged.pixels, verbose=0)
    best = min(fitted.history["val_loss"])
    accuracy = float((predicted.argmax(axis=1) == judged.truth).mean())
    return (
        f"{len(parts.parts['train'].truth)} photos, {len(fitted.history['val_loss'])} epochs, {wall:,.0f} s, "
        f"CPU {cpu:,.0f} s, accuracy {accuracy:.1%} of {len(judged.truth)}, least loss {best:.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
