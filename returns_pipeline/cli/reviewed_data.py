"""Writes the photos that people reviewed, for `data from-reviews` and for `train --data reviews`."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation

if TYPE_CHECKING:
    from returns_pipeline.training.labelled.from_reviews import Written

#: What `--data` calls the reviewed photos.
REVIEWS = Path("reviews")


def write(out: Path) -> "Written":
    """Write the reviewed photos of this installation to a new folder."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.host.context import command_context
    from returns_pipeline.training.labelled import from_reviews

    settings, database = open_installation()
    context = command_context(settings, database, open_queue(settings))
    with console.progress_bar("Writing") as advance:
        return from_reviews.write(context, out, lambda done: advance(done, None))


def for_training(name: str, resume: bool) -> tuple[Path, Path | None]:
    """Return the folder of the reviewed photos for the training of a model, and the file of main categories.

    They are written anew, except to resume a training: it continues with the same photos.
    """
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.labelled.from_reviews import MAINS, REVIEWED

    out = load_settings().home / "training" / name
    if not (resume and (out / REVIEWED).is_dir()):
        shutil.rmtree(out, ignore_errors=True)
        write(out)
    mains = out / MAINS
    return out / REVIEWED, mains if mains.is_file() else None
