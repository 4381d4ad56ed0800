"""`returns-pipeline train`: one command a recipe."""

import importlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.training.recipe_fashion_mnist import Request

app = typer.Typer(help="Train a model and write it as a new bundle.", no_args_is_help=True)

DEFAULT_SEED = 3  # of 0 to 5 the one with the best validation accuracy: docs/models.md has all six


@app.command("fashion-mnist")
def fashion_mnist(
    name: Annotated[str, typer.Option(help="Name of the model; the bundle gets its next free version.")] = (
        "fashion-mnist"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 10,
    seed: Annotated[
        int, typer.Option(min=0, help="Decides the first weights and the order of images.")
    ] = DEFAULT_SEED,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A few seconds on a few images: does it run? Writes NAME-smoke.")
    ] = False,
    models_dir: Annotated[
        Path | None, typer.Option(help="Folder of the bundles. Default: RETURNS_MODELS_DIR.")
    ] = None,
) -> None:
    """Train the small CNN on Fashion-MNIST: about 90 s on two cores."""
    if not re.fullmatch(r"\w+(-\w+)*", name, re.ASCII):
        raise ConfigFault(
            f"{name!r} cannot name a model.", advice="Use words of letters and digits joined by `-`."
        )
    _require_keras()
    command = f"returns-pipeline train fashion-mnist --name {name} --epochs {epochs} --seed {seed}"
    if smoke:
        name += "-smoke"  # a toy must never become the newest version of a model that works at night
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.recipe_fashion_mnist import Request

    request = Request(
        name=name,
        epochs=epochs,
        seed=seed,
        smoke=smoke,
        models_dir=models_dir.absolute() if models_dir else load_settings().models_dir,
        command=command + (" --smoke" if smoke else ""),
    )
    _show(_train_with_progress(request))


def _require_keras() -> None:
    # TensorFlow's start-up notes would break the progress bar.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        # SciPy: Keras' OpenVINO export needs it without saying so.
        for module in ("keras", "matplotlib", "scipy"):
            importlib.import_module(module)
    except ImportError as error:
        raise ConfigFault(
            f"Training needs Keras and TensorFlow: {error}.",
            advice="`pip install -r requirements-train.txt`.",
        ) from error


def _train_with_progress(request: "Request") -> "Bundle":
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from returns_pipeline.training.recipe_fashion_mnist import train

    columns = (
        TextColumn("Training"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("", total=None, numbers="loading")

        def on_progress(done: int, total: int, numbers: dict[str, float]) -> None:
            shown = f"accuracy {numbers['accuracy']:.3f}  loss {numbers['loss']:.3f}"
            progress.update(task, completed=done, total=total, numbers=shown)

        return train(request, on_progress)


def _show(bundle: "Bundle") -> None:
    from rich.console import Console
    from rich.table import Table

    metrics = bundle.metrics
    table = Table(title=f"{bundle.ref}: {metrics['parameters']:,} parameters")
    for heading in ("data", "images", "accuracy", "loss"):
        table.add_column(heading, justify="left" if heading == "data" else "right")
    for title, images, prefix in (
        ("held out from training", bundle.data["test"], ""),
        ("official test set", metrics["official_n"], "official_"),
    ):
        accuracy, loss = metrics[f"{prefix}accuracy"], metrics[f"{prefix}loss"]
        table.add_row(title, f"{images:,}", f"{accuracy:.2%}", f"{loss:.4f}")
    console = Console()
    console.print(table)
    console.print(
        f"The OpenVINO export names the same label for {metrics['openvino_agreement']:.2%} of the latter."
    )
    console.print(f"Bundle: {bundle.folder}", soft_wrap=True)
