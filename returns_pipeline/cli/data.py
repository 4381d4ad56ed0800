"""`returns-pipeline data`: datasets as files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Write a dataset as image files.", no_args_is_help=True)


@app.command("fashion-mnist")
def fashion_mnist(
    out: Annotated[Path, typer.Option(help="Folder for the images; made when it is missing.")],
    split: Annotated[
        Literal["train", "test"], typer.Option(help="60,000 training or 10,000 test images.")
    ] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
) -> None:
    """Write Fashion-MNIST as PNG files named image_{i}_label_{label}.png."""
    from returns_pipeline.training import fashion_mnist as dataset

    data = dataset.load(split)
    count = sum(1 for _ in dataset.write_png(data.images[:limit], data.labels[:limit], out))
    typer.echo(f"{count:,} images of the {split} split are in {out.absolute()}.")
