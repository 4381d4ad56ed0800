"""`returns-pipeline returns evaluate-reuse`: how well the same photo is found again."""

from pathlib import Path
from typing import Annotated

import typer

from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.errors import NotFoundError


def evaluate_reuse(
    data: Annotated[Path, typer.Argument(help="A folder of photos, with its folders.", metavar="DATA")],
    limit: Annotated[
        int, typer.Option(min=1, max=MOST, help="Change about this many of the photos, evenly chosen.")
    ] = 400,
    as_json: Json = False,
) -> None:
    """Change photos as a cheat would, and print how many are found again; and which photos are confused.

    No two photos of the folder should be the same: each pair that is listed is a false alarm, or a photo
    that the folder has twice.
    """
    from returns_pipeline.cli.console import print_json, print_line, progress_bar
    from returns_pipeline.photos.decoding.bounds import Limits
    from returns_pipeline.settings import load_settings
    from returns_pipeline.usecases.reuse_rates import rates

    paths = sorted(path for path in data.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise NotFoundError("There is no file in {folder}.", folder=data)
    with progress_bar("Photos") as progress:
        found = rates(paths, Limits.of(load_settings()), limit, progress)
    if as_json:
        print_json(found._asdict())
        return
    print_line(f"{found.photos:,} photos, {found.unreadable:,} unreadable files, {found.copies:,} copies")
    for change, rate in found.found.items():
        print_line(f"{change:<24} {rate:.1%}")
    print_line(f"{'taken for another photo':<24} {found.false_alarms:,} of {found.photos:,}")
    for one, two, distance in found.same:
        print_line(f"  {distance:.3f}  {one}  {two}")
