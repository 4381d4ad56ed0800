"""`returns-pipeline train`: a command for each recipe.

To add a recipe for photo folders: a module in `training/recipes/` (like `cnn.py`), and here a function with
`@photo_recipe` that returns its network. Its parameters are the recipe's own options.
"""

import inspect
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from returns_pipeline.cli import reviewed_data, spaces
from returns_pipeline.cli.options import MOST
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import Precision
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_pipeline.training.pipeline.recipe import Recipe, Request
    from returns_pipeline.training.recipes.photo_recipe import PhotoNetwork

app = typer.Typer(help="Train a model and write it as a new bundle.", no_args_is_help=True)

app.command("embedding")(spaces.train_embedding)

DEFAULT_SEED = 3  # the best validation accuracy of the seeds 0 to 5; docs/models.md lists all six

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        help="Folder of labelled photos; docs/data.md describes its layout. `reviews` stands for the photos "
        "that people reviewed.",
    ),
]
Name = Annotated[
    str, typer.Option("--name", help="Name of the model; the bundle gets the next free version.")
]
Mapping = Annotated[
    Path | None,
    typer.Option("--mapping", help="CSV (sub,main) or JSON file with the main category of each label."),
]
Names = Annotated[
    Path | None,
    typer.Option("--names", help='JSON file with names of the categories: {"de": {"Bag": "Tasche"}}.'),
]
Epochs = Annotated[int, typer.Option(min=1, max=MOST, help="Passes over the training images.")]
Batch = Annotated[int, typer.Option(min=1, max=MOST, help="Photos in one training step.")]
Rate = Annotated[float, typer.Option(min=0.0, help="Learning rate.")]
Seed = Annotated[
    int,
    typer.Option(
        min=0, max=MOST, help="Seed of the first weights, and of the order and the division of the images."
    ),
]
Validation = Annotated[float, typer.Option(min=0.05, max=0.5, help="Share of the photos for validation.")]
Test = Annotated[
    float, typer.Option(min=0.0, max=0.5, help="Share of the photos to judge the model; 0 for none.")
]
Dropout = Annotated[float, typer.Option(min=0.0, max=0.95, help="Share of the features dropped in training.")]
Patience = Annotated[int, typer.Option(min=1, max=MOST, help="Epochs to wait for a better validation loss.")]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Try it in seconds on a few images. Writes the bundle NAME-smoke.")
]
Force = Annotated[bool, typer.Option("--force", help="Train even if the photos would spoil the result.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the interrupted training.")]
Photos = Annotated[
    bool, typer.Option("--photos/--no-photos", help="Show photos in the report, which is part of the bundle.")
]
Mixed = Annotated[bool, typer.Option("--mixed-precision", help="Compute in float16: faster on a GPU.")]
InPrecision = Annotated[
    Precision,
    typer.Option("--precision", help="int8: write a version in float32, and the next one in int8."),
]
ModelsDir = Annotated[
    Path | None, typer.Option(help="Folder of the bundles; RETURNS_MODELS_DIR if not given.")
]

NetworkFunction = TypeVar("NetworkFunction", bound="Callable[..., PhotoNetwork]")


class Schedule(StrEnum):
    """How the learning rate changes during a training."""

    CONSTANT = "constant"
    COSINE = "cosine"


def photo_recipe(make_network: NetworkFunction) -> NetworkFunction:
    """Add a command that trains the network of `make_network` on photo folders.

    The command has the parameters of `make_network` and the options that all photo recipes share. A parameter
    `models_dir` is no option of its own: it receives the folder of the bundles.
    """
    own = inspect.signature(make_network).parameters

    def command(**options: Any) -> None:
        name, data, mapping = options["name"], options["data"], options["mapping"]
        if data == reviewed_data.REVIEWS and not data.exists():
            _require_valid(name, precision=options["precision"])
            data, mains = reviewed_data.for_training(name, options["resume"])
            mapping = mapping or mains
        _require_valid(name, data, mapping, precision=options["precision"])
        from returns_pipeline.training.labelled.photo_folders import PhotoFolders
        from returns_pipeline.training.pipeline.recipe import Request
        from returns_pipeline.training.recipes.photo_recipe import PhotoRecipe

        names = _names(options["names"])
        options["models_dir"] = models_dir = _models_dir(options["models_dir"])
        network = make_network(**{option: options[option] for option in own})
        folders = PhotoFolders(data, mapping, options["validation"], options["test"], options["force"])
        request = Request(
            name=_bundle_name(name, options["smoke"]),
            models_dir=models_dir,
            command=typed_command(),
            seed=options["seed"],
            smoke=options["smoke"],
            resume=options["resume"],
            photos=options["photos"],
            names=names,
            precision=options["precision"],
        )
        _train(request, PhotoRecipe(network, folders, options["mixed_precision"]))

    first, last = (inspect.signature(function).parameters for function in (_first_options, _last_options))
    all_options = {**first, **{name: own[name] for name in own if name != "models_dir"}, **last}
    command.__doc__ = make_network.__doc__
    # Typer reads the options from these two.
    command.__signature__ = inspect.Signature(list(all_options.values()))  # type: ignore[attr-defined]
    command.__annotations__ = {name: option.annotation for name, option in all_options.items()}
    app.command(make_network.__name__.replace("_", "-"))(command)
    return make_network


def _first_options(*, data: Data, name: Name, mapping: Mapping = None) -> None:
    """Options of all photo recipes, shown before their own."""


def _last_options(
    *,
    seed: Seed = 0,
    validation: Validation = 0.2,
    test: Test = 0.1,
    smoke: Smoke = False,
    force: Force = False,
    resume: Resume = False,
    photos: Photos = True,
    mixed_precision: Mixed = False,
    precision: InPrecision = Precision.FLOAT32,
    names: Names = None,
    models_dir: ModelsDir = None,
) -> None:
    """Options of all photo recipes, shown after their own."""


@app.command("fashion-mnist")
def fashion_mnist(
    name: Name = "fashion-mnist",
    epochs: Epochs = 10,
    seed: Seed = DEFAULT_SEED,
    smoke: Smoke = False,
    precision: InPrecision = Precision.FLOAT32,
    names: Names = None,
    models_dir: ModelsDir = None,
) -> None:
    """Train the published small CNN on Fashion-MNIST: about 90 s on two cores."""
    _require_valid(name, precision=precision)
    from returns_pipeline.training.pipeline.recipe import Request
    from returns_pipeline.training.recipes.fashion_mnist import FashionMnist

    command = f"returns-pipeline train fashion-mnist --name {name} --epochs {epochs} --seed {seed}"
    if precision is not Precision.FLOAT32:
        command += f" --precision {precision}"
    request = Request(
        name=_bundle_name(name, smoke),
        models_dir=_models_dir(models_dir),
        command=command + (" --smoke" if smoke else "") + (f" --names {_quoted(names)}" if names else ""),
        seed=seed,
        smoke=smoke,
        names=_names(names),
        precision=precision,
    )
    _train(request, FashionMnist(epochs))


@app.command("fashion-mnist-plus")
def fashion_mnist_plus(
    name: Name = "fashion-mnist",
    epochs: Epochs = 120,
    seed: Seed = 0,
    smoke: Smoke = False,
    resume: Resume = False,
    precision: InPrecision = Precision.FLOAT32,
    names: Names = None,
    models_dir: ModelsDir = None,
) -> None:
    """Train a better CNN on Fashion-MNIST that predicts as fast: about 30 minutes on two cores."""
    _require_valid(name, precision=precision)
    from returns_pipeline.training.pipeline.recipe import Request
    from returns_pipeline.training.recipes.fashion_mnist_plus import FashionMnistPlus

    request = Request(
        name=_bundle_name(name, smoke),
        models_dir=_models_dir(models_dir),
        command=typed_command(),
        seed=seed,
        smoke=smoke,
        resume=resume,
        names=_names(names),
        precision=precision,
    )
    _train(request, FashionMnistPlus(epochs))


@photo_recipe
def cnn(
    *,
    epochs: Epochs = 30,
    batch: Batch = 32,
    learning_rate: Rate = 1e-3,
    schedule: Annotated[Schedule, typer.Option(help="How the learning rate changes.")] = Schedule.COSINE,
    dropout: Dropout = 0.5,
    patience: Patience = 10,
) -> "PhotoNetwork":
    """Train a small network from scratch on class folders of photos."""
    from returns_pipeline.training.recipes.cnn import Cnn

    return Cnn(
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        schedule=schedule,
        dropout=dropout,
        patience=patience,
    )


@photo_recipe
def transfer(
    *,
    backbone: Annotated[
        str,
        typer.Option(
            help="Pretrained network: resnet50, efficientnet-lite0, -lite1, -lite2, bundle:NAME (an existing "
            "model), or none."
        ),
    ] = "efficientnet-lite0",
    epochs: Epochs = 25,
    batch: Batch = 40,
    learning_rate: Rate = 1e-4,
    trained_layers: Annotated[
        int, typer.Option(min=0, max=MOST, help="Number of trained layers at the end of the backbone.")
    ] = 10,
    patience: Patience = 20,
    models_dir: Path,
) -> "PhotoNetwork":
    """Train a new head and the last layers of a pretrained backbone on class folders of photos."""
    from returns_pipeline.classify.bundle import find_bundle
    from returns_pipeline.training.recipes.transfer import BACKBONES, BUNDLE, SIZE, Transfer

    size = SIZE
    if backbone.startswith(BUNDLE):
        size = find_bundle(models_dir, backbone.removeprefix(BUNDLE)).input
    else:
        _require_backbone(backbone, (*BACKBONES, f"{BUNDLE}NAME"))
    return Transfer(
        backbone=backbone,
        models_dir=models_dir,
        size=size,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        trained_layers=trained_layers,
        patience=patience,
    )


@photo_recipe
def outfit(
    *,
    backbone: Annotated[
        str, typer.Option(help="efficientnet-lite0, -lite1, -lite2, resnet50 or none.")
    ] = "efficientnet-lite1",
    side: Annotated[
        int, typer.Option(min=32, max=1024, help="Width and height of the model's input in pixels.")
    ] = 240,
    epochs: Epochs = 15,
    batch: Batch = 32,
    learning_rate: Rate = 3e-4,
    weight_decay: Annotated[float, typer.Option(min=0.0, help="Weight decay of AdamW.")] = 0.02,
    dropout: Dropout = 0.3,
    trained_from: Annotated[
        str, typer.Option(help="First trained layer of the backbone, by the beginning of its name.")
    ] = "block5",
) -> "PhotoNetwork":
    """Train two heads, main and sub category, on MAIN/SUB folders, or on class folders with --mapping.

    On class folders without --mapping, train one head.
    """
    from returns_pipeline.training.recipes.outfit import BACKBONES, Outfit

    _require_backbone(backbone, BACKBONES)
    return Outfit(
        backbone=backbone,
        side=side,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        trained_from=trained_from,
    )


def _require_valid(
    name: str, data: Path | None = None, mapping: Path | None = None, *, precision: Precision
) -> None:
    """Refuse a wrong name, a missing package and wrong folders before Keras is imported, which takes 10 s."""
    from returns_pipeline.cli.output.training import require_keras, require_nncf

    if not re.fullmatch(r"\w+(-\w+)*", name, re.ASCII) or len(name) > 90:  # a smoke test adds a word
        raise ConfigFault(
            "{name!r} is not a valid name for a model.",
            advice="Use words of letters and digits joined by `-`, at most 90 characters.",
            name=name,
        )
    require_keras()
    if precision is Precision.INT8:
        require_nncf()
    if data is not None:
        from returns_pipeline.training.labelled.folders import read_tree

        read_tree(data, mapping)


def _names(path: Path | None) -> dict[str, dict[str, str]]:
    from returns_pipeline.training.labelled.category_names import read_names

    return read_names(path) if path else {}


def _quoted(path: Path) -> str:
    return printable(shlex.quote(str(path)))


def _require_backbone(backbone: str, known: tuple[str, ...]) -> None:
    if backbone not in known:
        raise ConfigFault(
            "There is no backbone {backbone!r}.",
            advice="Choose one of {known}.",
            backbone=backbone,
            known=", ".join(known),
        )


def _train(request: "Request", recipe: "Recipe") -> None:
    from returns_pipeline.cli.output.training import TrainingProgress, print_bundle
    from returns_pipeline.training.pipeline.train import train

    with TrainingProgress() as progress:
        bundle = train(request, recipe, progress)
    print_bundle(bundle)


def typed_command() -> str:
    """Return the command as typed, but without --resume: it repeats the whole training."""
    # A path may have bytes that are not UTF-8, which bundle.json cannot hold.
    return printable(shlex.join(["returns-pipeline", *(word for word in sys.argv[1:] if word != "--resume")]))


def _bundle_name(name: str, smoke: bool) -> str:
    # A smoke test must never become the newest version of a model in use.
    return f"{name}-smoke" if smoke else name


def _models_dir(given: Path | None) -> Path:
    from returns_pipeline.settings import load_settings

    return given.absolute() if given else load_settings().models_dir
