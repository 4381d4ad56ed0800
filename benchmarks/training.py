"""`python -m benchmarks.training DATA`: how long `transfer` and `outfit` take, and how good they become.

Each is trained in two ways in one process, in turns, with each seed: `whole` computes every layer in each
epoch, `divided` computes the frozen layers once. Some photos of each label are taken, so that it ends in
minutes. At the end there is a table. `--few 0` trains nothing, and prints what one photo costs.
"""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The least of so many turns counts.
_TURNS = 3
#: The divided way may take this share of the CPU time of the whole way.
_GOAL = 0.5
_NORMAL = 1.96


class _Trained(NamedTuple):
    """One training: its CPU seconds, and for which validation photos it is right, bool [n]."""

    cpu: float
    right: "NDArray[np.bool_]"


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
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each way.")] = 1,
) -> None:
    """Print seconds, seconds of CPU, and the accuracy on the validation photos for both ways."""
    print(machine.as_line(machine.describe()))
    networks: dict[str, tuple[Any, Any]] = {
        "transfer": (_WholeTransfer, Transfer),
        "outfit": (_WholeOutfit, Outfit),
    }
    options = {"epochs": epochs} if epochs else {}
    rows = []
    for name in recipe:
        ways = [kind(**options) for kind in networks[name]]
        if few:
            rows.append(f"| `{name}` on {data.name} {_compared(data, ways, few, seeds)}")
        else:
            _print_costs(name, ways[1])
    if rows:
        print(
            "\n| recipe | photos, epochs, seeds | right: whole | right: divided | difference in points | "
            "CPU s: whole | CPU s: divided | goal |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
        )
        print("\n".join(rows))


def _compared(data: Path, ways: list[Any], few: int, seeds: int) -> str:
    """Train both ways with each seed; return the rest of a line of the table."""
    found: list[list[_Trained]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        size = ways[0].size
        parts = load_folders(PhotoFolders(data, force=True), size, 0, _Silent(), Path(folder) / "px", few=few)
        for seed in range(seeds):
            os.environ["RETURNS_HOME"] = f"{folder}/{seed}"  # an empty cache of features
            for trained, way, title in zip(found, ways, ("whole", "divided"), strict=True):
                trained.append(_trained(way, parts, Path(folder) / f"{title}-{seed}", title, seed))
    cpu = [sum(each.cpu for each in trained) / seeds for trained in found]
    right = [np.mean([each.right for each in trained], axis=0) for trained in found]
    of_photos = 100 * (right[1] - right[0])
    # The interval is over photos: seeds change little of it, and are no further photos.
    half = _NORMAL * of_photos.std(ddof=1) / len(of_photos) ** 0.5
    middle, ratio = of_photos.mean(), cpu[1] / cpu[0]
    cells = (
        f"{len(parts.parts['train'].truth)}, {ways[0].epochs}, {seeds}",
        *(f"{each.mean():.1%}" for each in right),
        f"{middle:+.1f} ({middle - half:+.1f} to {middle + half:+.1f})",
        f"{cpu[0]:,.0f}",
        f"{cpu[1]:,.0f} ({ratio:.2f})",
        f"half: {'reached' if ratio <= _GOAL else 'missed'}",
    )
    return f"| {' | '.join(cells)} |"


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


def _trained(network: PhotoNetwork, parts: TrainingData, models: Path, title: str, seed: int) -> _Trained:
    wall, cpu = time.perf_counter(), time.process_time()
    request = Request("benchmark", models, "", seed)
    fitted = PhotoRecipe(network, PhotoFolders(Path())).fit(request, parts, _Silent())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    judged = parts.parts["validation"]
    right = fitted.model.predict(judged.pixels, verbose=0).argmax(axis=1) == judged.truth
    losses = fitted.history["val_loss"]
    print(
        f"{network.name} {title}, seed {seed}: {len(losses)} epochs with {len(parts.parts['train'].truth)} "
        f"photos, {wall:,.0f} s, CPU {cpu:,.0f} s, accuracy {right.mean():.1%} of {len(right)}, "
        f"least loss {min(losses):.3f}",
        flush=True,
    )
    return _Trained(cpu, right)


if __name__ == "__main__":
    typer.run(main)
