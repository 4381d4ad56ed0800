"""The option `--foreign` of `returns-pipeline evaluate`: photos of things that a model does not know."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.cli.reviewed_data import REVIEWS
from returns_pipeline.errors import NotFoundError

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.settings import Settings
    from returns_pipeline.training.evaluation.photo_predictions import PhotoPredictions


def foreign_numbers(
    settings: "Settings", bundle: "Bundle", root: Path, known: "PhotoPredictions | None"
) -> dict[str, Any]:
    """Return what a model does with the photos below a folder, or with those of `none of these` reviews."""
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.training.evaluation import foreign

    foreign.require_familiarity(bundle)
    paths = _reviewed() if root == REVIEWS else foreign.files_in(root.absolute())
    if not paths:
        raise NotFoundError("There is no photo in {folder}.", folder=root)
    with progress_bar(str(bundle.ref)) as on_progress:
        found = foreign.evaluate(bundle, paths, known, settings, on_progress)
    return {
        "foreign": str(root),
        "n": found.n,
        "auroc": found.auroc,
        "unfamiliar": found.unfamiliar,
        "taken": len(found.taken),
        "taken_by_probability": found.taken_by_probability,
        "taken_files": list(found.taken),
        "known_unfamiliar": found.known_unfamiliar,
        "least_familiarity": settings.familiarity,
        "unreadable": [entry._asdict() for entry in found.unreadable],
    }


def print_foreign(numbers: dict[str, Any]) -> None:
    """Print what a model does with foreign photos."""
    from returns_pipeline.cli.console import print_line

    print_line(f"Foreign   {numbers['n']:,}, and {len(numbers['unreadable']):,} unreadable files")
    print_line(f"AUROC     {numbers['auroc']:.4f}")
    print_line(f"Unlike    {numbers['unfamiliar']:,} are unlike anything the model was trained on")
    print_line(
        f"Taken     {numbers['taken']:,} without a review; by their probability alone "
        f"{numbers['taken_by_probability']:,}"
    )
    if numbers["known_unfamiliar"] is not None:
        print_line(f"Known     {numbers['known_unfamiliar']:.1%} of the photos in DATA are unlike")
    for path in numbers["taken_files"]:
        print_line(f"taken     {path}")


def _reviewed() -> list[str]:
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.installation import open_installation
    from returns_pipeline.host.context import command_context
    from returns_pipeline.training.evaluation import foreign

    settings, database = open_installation()
    return list(foreign.none_of_these(command_context(settings, database, open_queue(settings))))
