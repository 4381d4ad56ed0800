"""`returns-pipeline train`: one command a recipe."""

# ruff: noqa: ARG001 - the options of a recipe are taken from the context, by the names of its fields

import dataclasses
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from returns_pipeline.training.recipes.train import Recipe

app = typer.Typer(help="Train a model and write it as a new bundle.", no_args_is_help=True)

DEFAULT_SEED = 3  # of 0 to 5 the one with the best validation accuracy: docs/models.md has all six

Data = Annotated[
    Path, typer.Option("--data", help="Folder of labelled photos: docs/data.md says how it must look.")
]
Name = Annotated[
    str, typer.Option("--name", help="Name of the model; the bundle gets its next free version.")
]
Mapping = Annotated[
    Path | None,
    typer.Option("--mapping", help="CSV (sub,main) or JSON that names the main category of each label."),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training images.")]
Batch = Annotated[int, typer.Option(min=1, help="Photos in one step.")]
Rate = Annotated[float, typer.Option(min=0.0, help="Learning rate.")]
Seed = Annotated[
    int, typer.Option(min=0, help="Decides the first weights, the order and the division of images.")
]
Part = Annotated[
    float, typer.Option(min=0.05, max=0.5, help="Part of the photos to watch the learning with.")
]
Test = Annotated[float, typer.Option(min=0.0, max=0.5, help="Part of the photos to judge with; 0 for none.")]
Dropout = Annotated[
    float, typer.Option(min=0.0, max=0.95, help="Part of the features left out while training.")
]
Patience = Annotated[int, typer.Option(min=1, help="Epochs to wait for a better validation loss.")]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="A few seconds on a few images: does it run? Writes NAME-smoke.")
]
Force = Annotated[bool, typer.Option("--force", help="Train even if the photos would spoil the result.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training that was interrupted.")]
Shown = Annotated[
    bool, typer.Option("--photos/--no-photos", help="Show photos in the report, which goes with the bundle.")
]
Mixed = Annotated[bool, typer.Option("--mixed-precision", help="Compute in float16: faster on a GPU.")]
ModelsDir = Annotated[Path | None, typer.Option(help="Folder of the bundles. Default: RETURNS_MODELS_DIR.")]


class Schedule(StrEnum):
    """How a learning rate changes."""

    CONSTANT = "constant"
    COSINE = "cosine"


@app.command("fashion-mnist")
def fashion_mnist(
    name: Name = "fashion-mnist",
    epochs: Epochs = 10,
    seed: Seed = DEFAULT_SEED,
    smoke: Smoke = False,
    models_dir: ModelsDir = None,
) -> None:
    """Train the small CNN on Fashion-MNIST: about 90 s on two cores."""
    _begin(name)
    from returns_pipeline.cli import training
    from returns_pipeline.training.recipes.fashion_mnist import Request, train

    command = f"returns-pipeline train fashion-mnist --name {name} --epochs {epochs} --seed {seed}"
    request = Request(
        name=_toy(name, smoke),
        epochs=epochs,
        seed=seed,
        smoke=smoke,
        models_dir=_models_dir(models_dir),
        command=command + (" --smoke" if smoke else ""),
    )
    with training.Terminal() as terminal:
        terminal.stage("Training")
        bundle = train(request, terminal.progress)
    training.print_bundle(bundle)


@app.command("fashion-mnist-plus")
def fashion_mnist_plus(
    name: Name = "fashion-mnist",
    epochs: Epochs = 120,
    seed: Seed = 0,
    smoke: Smoke = False,
    resume: Resume = False,
    models_dir: ModelsDir = None,
) -> None:
    """Train a better CNN on Fashion-MNIST, as fast to ask as the small one: about 30 minutes on two cores."""
    _begin(name)
    from returns_pipeline.cli import training
    from returns_pipeline.training.recipes.fashion_mnist_plus import Request, train

    request = Request(
        name=_toy(name, smoke),
        epochs=1 if smoke else epochs,
        seed=seed,
        smoke=smoke,
        resume=resume,
        models_dir=_models_dir(models_dir),
        command=_command(),
    )
    with training.Terminal() as terminal:
        terminal.stage("Training")
        bundle = train(request, terminal.progress)
    training.print_bundle(bundle)


@app.command("cnn")
def cnn(
    context: typer.Context,
    data: Data,
    name: Name,
    mapping: Mapping = None,
    epochs: Epochs = 30,
    batch: Batch = 32,
    learning_rate: Rate = 1e-3,
    schedule: Annotated[Schedule, typer.Option(help="How the learning rate changes.")] = Schedule.COSINE,
    dropout: Dropout = 0.5,
    patience: Patience = 10,
    seed: Seed = 0,
    validation: Part = 0.2,
    test: Test = 0.1,
    smoke: Smoke = False,
    force: Force = False,
    resume: Resume = False,
    photos: Shown = True,
    mixed_precision: Mixed = False,
    models_dir: ModelsDir = None,
) -> None:
    """Train a small network from scratch on class folders of photos."""
    _begin(name, data, mapping)
    from returns_pipeline.training.recipes.cnn import Cnn

    _train(context, Cnn(**_own(context, Cnn)))


@app.command("transfer")
def transfer(
    context: typer.Context,
    data: Data,
    name: Name,
    backbone: Annotated[
        str,
        typer.Option(
            help="What has seen other pictures before: resnet50, efficientnet-lite0, -lite1, -lite2, "
            "bundle:NAME (a model that is already here) or none."
        ),
    ] = "efficientnet-lite0",
    mapping: Mapping = None,
    epochs: Epochs = 25,
    batch: Batch = 40,
    learning_rate: Rate = 1e-4,
    trained_layers: Annotated[int, typer.Option(min=0, help="Last layers of the backbone that learn.")] = 10,
    patience: Patience = 20,
    seed: Seed = 0,
    validation: Part = 0.2,
    test: Test = 0.1,
    smoke: Smoke = False,
    force: Force = False,
    resume: Resume = False,
    photos: Shown = True,
    mixed_precision: Mixed = False,
    models_dir: ModelsDir = None,
) -> None:
    """Train a new head, and the end of a backbone that has seen other pictures, on class folders."""
    _begin(name, data, mapping)
    from returns_pipeline.classify.bundle import find_bundle
    from returns_pipeline.training.recipes.transfer import BACKBONES, BUNDLE, Transfer

    options = {**_own(context, Transfer), "models_dir": _models_dir(models_dir)}
    if backbone.startswith(BUNDLE):
        options["size"] = find_bundle(options["models_dir"], backbone.removeprefix(BUNDLE)).input
    elif backbone not in BACKBONES:
        raise ConfigFault(
            "There is no backbone {backbone!r}.",
            advice="Choose {backbones} or {bundle}NAME.",
            backbone=backbone,
            backbones=", ".join(BACKBONES),
            bundle=BUNDLE,
        )
    _train(context, Transfer(**options))


@app.command("outfit")
def outfit(
    context: typer.Context,
    data: Data,
    name: Name,
    backbone: Annotated[
        str, typer.Option(help="efficientnet-lite0, -lite1, -lite2, resnet50 or none.")
    ] = "efficientnet-lite1",
    mapping: Mapping = None,
    side: Annotated[
        int, typer.Option(min=32, max=1024, help="Pixels of the model's input, both ways.")
    ] = 240,
    epochs: Epochs = 15,
    batch: Batch = 32,
    learning_rate: Rate = 3e-4,
    weight_decay: Annotated[float, typer.Option(min=0.0, help="How strongly weights are kept small.")] = 0.02,
    dropout: Dropout = 0.3,
    trained_from: Annotated[
        str, typer.Option(help="First layer of the backbone that learns, by the beginning of its name.")
    ] = "block5",
    seed: Seed = 0,
    validation: Part = 0.2,
    test: Test = 0.1,
    smoke: Smoke = False,
    force: Force = False,
    resume: Resume = False,
    photos: Shown = True,
    mixed_precision: Mixed = False,
    models_dir: ModelsDir = None,
) -> None:
    """Train two heads, main and sub category, on MAIN/SUB folders, or on class folders with --mapping."""
    _begin(name, data, mapping)
    from returns_pipeline.training.recipes.outfit import BACKBONES, Outfit

    if backbone not in BACKBONES:
        raise ConfigFault(
            "There is no backbone {backbone!r}.",
            advice="Choose {backbones}.",
            backbone=backbone,
            backbones=", ".join(BACKBONES),
        )
    _train(context, Outfit(**_own(context, Outfit)))


def _begin(name: str, data: Path | None = None, mapping: Path | None = None) -> None:
    """Refuse in a second what needs no Keras to be refused: to import it takes ten."""
    from returns_pipeline.cli import training

    if not re.fullmatch(r"\w+(-\w+)*", name, re.ASCII):
        raise ConfigFault(
            "{name!r} cannot name a model.",
            advice="Use words of letters and digits joined by `-`.",
            name=name,
        )
    training.require_keras()
    if data is not None:
        from returns_pipeline.training.labelled.folders import read_tree

        read_tree(data, mapping)


def _own(context: typer.Context, recipe: type) -> dict[str, Any]:
    """Return the options of a command that are the recipe's own."""
    own = {field.name for field in dataclasses.fields(recipe)}
    return {name: value for name, value in context.params.items() if name in own}


def _train(context: typer.Context, recipe: "Recipe") -> None:
    """Train with the options that all recipes have."""
    from returns_pipeline.cli import training
    from returns_pipeline.training.recipes.train import Request, train

    given = context.params
    common = {field.name: given[field.name] for field in dataclasses.fields(Request) if field.name in given}
    name, models_dir = _toy(given["name"], given["smoke"]), _models_dir(given["models_dir"])
    request = Request(**{**common, "name": name, "models_dir": models_dir, "command": _command()})
    with training.Terminal() as terminal:
        bundle = train(request, recipe, terminal)
    training.print_bundle(bundle)


def _command() -> str:
    """Return what was asked for, written so that it can be pasted: the same bundle in one go."""
    return shlex.join(["returns-pipeline", *(word for word in sys.argv[1:] if word != "--resume")])


def _toy(name: str, smoke: bool) -> str:
    # A toy must never become the newest version of a model that works at night.
    return f"{name}-smoke" if smoke else name


def _models_dir(given: Path | None) -> Path:
    from returns_pipeline.settings import load_settings

    return given.absolute() if given else load_settings().models_dir
