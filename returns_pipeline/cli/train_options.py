"""Options that commands which train or change a model have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli.options import MOST
from returns_pipeline.records.models import Precision

LEAST_SIDE, MOST_SIDE = 32, 1024

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        help="Folder of labelled photos; docs/data.md describes its layout. `reviews` stands for the photos "
        "that people reviewed.",
    ),
]
_NAME = "Name of the model; the bundle gets the next free version."
Name = Annotated[str, typer.Option("--name", help=_NAME)]
OptionalName = Annotated[str | None, typer.Option("--name", help=_NAME)]
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
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="File with the weights of a backbone keras:NAME or hub:PRESET, where they cannot be downloaded; "
        "`random` for none.",
    ),
]
ModelsDir = Annotated[
    Path | None, typer.Option(help="Folder of the bundles; RETURNS_MODELS_DIR if not given.")
]

Side = Annotated[
    int, typer.Option(min=LEAST_SIDE, max=MOST_SIDE, help="Width and height of the model's input in pixels.")
]


class Schedule(StrEnum):
    """How the learning rate changes during a training."""

    CONSTANT = "constant"
    COSINE = "cosine"
