"""`returns-pipeline train`: a command for each recipe.

To add a recipe for photo folders: a module in `training/recipes/` (like `cnn.py`), and here a function with
`@photo_recipe` that returns its network. Its parameters are the recipe's own options.
"""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from returns_pipeline.cli import reviewed_data, spaces, train_trial
from returns_pipeline.cli.options import MOST
from returns_pipeline.cli.train_options import (
    Batch,
    Data,
    Dropout,
    Epochs,
    Force,
    InPrecision,
    Mapping,
    Mixed,
    ModelsDir,
    Name,
    Names,
    Patience,
    Photos,
    Rate,
    Resume,
    Schedule,
    Seed,
    Side,
    Smoke,
    Test,
    Validation,
    Weights,
)
from returns_pipeline.cli.train_steps import (
    bundle_name,
    bundles_folder,
    category_names,
    known_backbone,
    require_valid,
    train_and_print,
    typed_command,
)
from returns_pipeline.records.models import Precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from returns_pipeline.training.labelled.photo_folders import PhotoFolders
    from returns_pipeline.training.pipeline.recipe import Recipe
    from returns_pipeline.training.recipes.photo_recipe import PhotoNetwork
    from returns_pipeline.training.recipes.quick import Quick

app = typer.Typer(help="Train a model and write it as a new bundle.", no_args_is_help=True)

app.command("embedding")(spaces.train_embedding)

Function = TypeVar("Function", bound="Callable[..., Any]")


def photo_recipe(make_network: Function) -> Function:
    """Add a command that trains the network of `make_network` on photo folders, epoch by epoch.

    The command has the parameters of `make_network` and the options that all photo recipes share. A parameter
    `models_dir` is no option of its own: it receives the folder of the bundles.
    """

    def recipe(network: "PhotoNetwork", folders: "PhotoFolders", options: dict[str, Any]) -> "Recipe":
        from returns_pipeline.training.recipes.photo_recipe import PhotoRecipe

        return PhotoRecipe(network, folders, options["mixed_precision"])

    _add_command(make_network, recipe)
    return make_network


def _frozen_recipe(make_options: Function) -> Function:
    """Add a command that trains on features of a frozen network: there is no epoch to resume after."""

    def recipe(chosen: "Quick", folders: "PhotoFolders", _: dict[str, Any]) -> "Recipe":
        from returns_pipeline.training.recipes.quick import QuickRecipe

        return QuickRecipe(chosen, folders)

    _add_command(make_options, recipe, without=("resume", "mixed_precision"))
    return make_options


def _add_command(
    make: "Callable[..., Any]",
    make_recipe: "Callable[[Any, PhotoFolders, dict[str, Any]], Recipe]",
    without: tuple[str, ...] = (),
) -> None:
    """Add a command with the parameters of `make` and the options of all photo recipes but `without`."""
    own = inspect.signature(make).parameters
    can_try = "backbone" in own

    def command(**options: Any) -> None:
        trial = train_trial.trial_of(options) if can_try else None
        data, mapping = _photos_of(options)
        from returns_pipeline.training.labelled.photo_folders import PhotoFolders
        from returns_pipeline.training.pipeline.recipe import Request

        names = category_names(options["names"])
        options["models_dir"] = models_dir = bundles_folder(options["models_dir"])
        folders = PhotoFolders(data, mapping, options["validation"], options["test"], options["force"])

        def made(**changed: Any) -> Any:
            return make(**{option: changed.get(option, options[option]) for option in own})

        if trial is not None:
            train_trial.try_and_print(trial, made, folders, options)
            return
        request = Request(
            name=bundle_name(options["name"], options["smoke"]),
            models_dir=models_dir,
            command=typed_command(),
            seed=options["seed"],
            smoke=options["smoke"],
            resume=options.get("resume", False),
            photos=options["photos"],
            names=names,
            precision=options["precision"],
        )
        train_and_print(request, make_recipe(made(), folders, options))

    mine = [each for each in own.values() if each.name != "models_dir"]
    trial_options = _parameters(train_trial.trial_options) if can_try else []
    every = [*_parameters(_first_options), *mine, *trial_options, *_parameters(_last_options)]
    all_options = {each.name: each for each in every if each.name not in without}
    command.__doc__ = make.__doc__
    # Typer reads the options from these two.
    command.__signature__ = inspect.Signature(list(all_options.values()))  # type: ignore[attr-defined]
    command.__annotations__ = {name: option.annotation for name, option in all_options.items()}
    app.command(make.__name__.replace("_", "-"))(command)


def _parameters(function: "Callable[..., Any]") -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _photos_of(options: dict[str, Any]) -> tuple[Path, Path | None]:
    """Check the arguments; return the folder of the photos, and the file of main categories."""
    name, data, mapping, precision = (options[each] for each in ("name", "data", "mapping", "precision"))
    if data == reviewed_data.REVIEWS and not data.exists():
        require_valid(name, precision=precision)
        data, mains = reviewed_data.for_training(name, options.get("resume", False))
        mapping = mapping or mains
    require_valid(name, data, mapping, precision=precision)
    return data, mapping


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


@_frozen_recipe
def quick(
    *,
    backbone: Annotated[
        str,
        typer.Option(
            help="efficientnet-lite0, -lite1, -lite2, keras:NAME (of keras.applications) or hub:PRESET."
        ),
    ] = "efficientnet-lite1",
    weights: Weights = None,
    side: Side = 240,
) -> "Quick":
    """Train a classifier on the features of a frozen backbone, which are computed once."""
    from returns_pipeline.training.recipes.quick import BACKBONES, Quick

    backbone = known_backbone(backbone, BACKBONES, weights)
    return Quick(backbone=backbone, weights=weights, side=side)


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
            help="efficientnet-lite0, -lite1, -lite2, keras:NAME (of keras.applications), "
            "hub:PRESET, bundle:NAME (an existing model), or none."
        ),
    ] = "efficientnet-lite0",
    weights: Weights = None,
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
        backbone = known_backbone(backbone, (*BACKBONES, f"{BUNDLE}NAME"), weights)
    return Transfer(
        backbone=backbone,
        weights=weights,
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
        str,
        typer.Option(
            help="efficientnet-lite0, -lite1, -lite2, keras:NAME (of keras.applications), hub:PRESET or none."
        ),
    ] = "efficientnet-lite1",
    weights: Weights = None,
    side: Side = 240,
    epochs: Epochs = 15,
    batch: Batch = 32,
    learning_rate: Rate = 3e-4,
    weight_decay: Annotated[float, typer.Option(min=0.0, help="Weight decay of AdamW.")] = 0.02,
    dropout: Dropout = 0.3,
    trained_from: Annotated[
        str, typer.Option(help="First trained layer of the backbone, by the beginning of its name.")
    ] = "block5",
    smoothing: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of a target that goes to all labels alike.")
    ] = 0.0,
    mixing: Annotated[
        float,
        typer.Option(
            min=0.0, max=10.0, help="Mix photos in pairs, in shares from Beta(MIXING, MIXING); 0: not."
        ),
    ] = 0.0,
    averaging: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9999,
            help="Share of the weights' average that stays in each step, as 0.995; 0: no average.",
        ),
    ] = 0.0,
    start_from: Annotated[
        str | None,
        typer.Option(help="Begin with the weights of an existing model of this recipe, NAME/VERSION."),
    ] = None,
    models_dir: Path,
) -> "PhotoNetwork":
    """Train two heads, main and sub category, on MAIN/SUB folders, or on class folders with --mapping.

    On class folders without --mapping, train one head.
    """
    from returns_pipeline.training.recipes.outfit import BACKBONES, Outfit

    backbone = known_backbone(backbone, BACKBONES, weights)
    network = Outfit(
        backbone=backbone,
        weights=weights,
        side=side,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        trained_from=trained_from,
        smoothing=smoothing,
        mixing=mixing,
        averaging=averaging,
    )
    if start_from is None:
        return network
    from returns_pipeline.classify.bundle import find_bundle
    from returns_pipeline.training.recipes.continued import Continued, weights_of

    return Continued(network, weights_of(find_bundle(models_dir, start_from)))
