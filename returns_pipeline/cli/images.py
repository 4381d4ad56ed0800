"""`returns-pipeline images`: the result of each image."""

from typing import Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import MOST_ID, Json

app = typer.Typer(help="Images: the result of each.", no_args_is_help=True)


@app.command("list")
def list_images(
    run_id: Annotated[int, typer.Option("--run", min=1, max=MOST_ID, help="The run's id.")],
    state: Annotated[
        str | None, typer.Option(help="Only images that are pending, classified, quarantined or failed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the images of a run."""
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.records.images import ImageState
    from returns_pipeline.store import images, runs

    if state is not None and state not in ImageState.written():
        raise typer.BadParameter(f"{state!r} is not one of {', '.join(ImageState.written())}.")
    database = open_database()
    runs.existing(database, run_id)
    found = images.results(database, run_id, ImageState(state) if state else None)
    if as_json:
        console.print_json([output.image_as_dict(image) for image in found])
    else:
        output.print_images(found)
