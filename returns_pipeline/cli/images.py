"""`returns-pipeline images`: the result of each image."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import MOST_ID, Json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from returns_pipeline.records.images import ImageResult

app = typer.Typer(help="Images: the result of each.", no_args_is_help=True)

#: Seconds after a deletion in which its returns are judged; the sweep has the others judged.
_JUDGING_SECONDS = 10.0


@app.command("list")
def list_images(
    run_id: Annotated[int | None, typer.Option("--run", min=1, max=MOST_ID, help="The run's id.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only images that are pending, classified, quarantined or failed.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--search",
            help="Only images that this finds, as in the search box: part of a file name, category, date, …",
        ),
    ] = None,
    unfamiliar: Annotated[
        bool,
        typer.Option("--unfamiliar", help="Only photos that are unlike anything the model was trained on."),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Most images that --search or --unfamiliar lists.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """List the images of a run, or the newest ones that a search finds."""
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.records.images import Filter, ImageState
    from returns_pipeline.records.text import iso
    from returns_pipeline.store import images, runs
    from returns_pipeline.usecases import search

    if state is not None and state not in ImageState.written():
        raise typer.BadParameter(f"{state!r} is not one of {', '.join(ImageState.written())}.")
    if run_id is None and text is None and not unfamiliar:
        raise typer.BadParameter("Name a run or a search: --run ID or --search TEXT, or --unfamiliar.")
    settings, database = open_installation()
    if run_id is not None:
        runs.existing(database, run_id)
    only = ImageState(state) if state else None
    left = ""
    found: Iterable[ImageResult]
    if text is None and not unfamiliar:
        found = images.results(database, run_id or 0, only)
    else:
        also = Filter(run_id=run_id, state=only, unfamiliar=unfamiliar or None)
        page = search.find_images(database, settings, text or "", limit, also=also)[1]
        found = page.images
        if page.total > len(page.images):
            total = f"{'More than ' if page.has_more else ''}{page.total:,}"
            left = f"{total} images match; {len(page.images):,} are listed."
    if as_json:
        console.print_json([output.image_as_dict(image) for image in found], iso)
    else:
        output.print_images(found)
        if left:
            console.print_line(left)


@app.command("delete")
def delete(
    image_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST_ID, help="The image's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an image for ever: its file, pictures, name, prediction, and the categories it was given.

    A row without name and content stays, so that the counts of its run stand.
    """
    from returns_pipeline.report.words import counted
    from returns_pipeline.store.deletion import same_file
    from returns_pipeline.usecases import deletion, judging

    settings, database = open_installation()
    others = [each for each in same_file(database, image_id) if each != image_id]
    if others:
        listed = ", ".join(map(str, others))
        console.print_note(f"The same file was classified more than once. Deleted with it: {listed}.")
    if not yes:
        typer.confirm(f"Delete image {image_id} for ever?", abort=True)
    done = deletion.delete(settings, database, image_id, who=getpass.getuser())
    judging.judge_all(settings, database, _JUDGING_SECONDS)
    console.print_line(f"Deleted {counted(len(done.images), 'image')}.")
    if done.files_left:
        left = counted(done.files_left, "file")
        console.print_note(
            f"Not removed yet: {left}. The program tries again; `returns-pipeline doctor` says why."
        )
