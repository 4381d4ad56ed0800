"""`returns-pipeline evaluate`: a model on labelled photos, with a page; or on foreign ones."""

import importlib
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.settings import Settings
    from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, PhotoPredictions
    from returns_pipeline.training.report.evaluation_report import ReportContent

_DATA = typer.Argument(
    help="A folder with one folder for each label, or with files named …label_N…, where N is the index of "
    "the label.",
    metavar="DATA",
)
Data = Annotated[Path, _DATA]
OptionalData = Annotated[Path | None, _DATA]
Mapping = Annotated[
    Path | None,
    typer.Option(help="CSV or JSON file with the main category of each label.", metavar="FILE"),
]
Limit = Annotated[
    int | None, typer.Option(min=1, max=MOST, help="Use at most this many photos, drawn at random.")
]


def evaluate(
    model: Annotated[
        str, typer.Argument(help="NAME, NAME/VERSION, or the folder of a bundle.", metavar="MODEL")
    ],
    data: OptionalData = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the page. Default: evaluation/NAME-VERSION-DATA in RETURNS_REPORT_DIR."
        ),
    ] = None,
    mapping: Mapping = None,
    limit: Limit = None,
    foreign: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder of photos of things that the model does not know, or `reviews`: the photos of "
            "which people said that no category fits. How well are they told from DATA or, without it, from "
            "the model's validation photos?",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on labelled photos, and write a page with plots; or on foreign photos."""
    from returns_pipeline.cli.console import print_json
    from returns_pipeline.cli.evaluate_foreign import foreign_numbers, print_foreign
    from returns_pipeline.cli.output.evaluation import print_evaluation
    from returns_pipeline.settings import load_settings

    if data is None and foreign is None:
        raise typer.BadParameter("Name a folder of labelled photos: DATA, or of foreign ones: --foreign DIR.")
    settings = load_settings()
    bundle = named_bundle(settings, model)
    numbers: dict[str, Any] = {"model": str(bundle.ref)}
    predictions = None
    if data is not None:
        numbers, predictions = _evaluated(settings, bundle, model, data, out, mapping, limit)
    about_foreign = None if foreign is None else foreign_numbers(settings, bundle, foreign, predictions)
    if as_json:
        if data is None:
            numbers |= about_foreign or {}
        elif about_foreign:
            numbers |= {"auroc": about_foreign["auroc"], "foreign": about_foreign}
        print_json(numbers)
        return
    if data is not None:
        print_evaluation(numbers)
    if about_foreign is not None:
        print_foreign(about_foreign)


def _evaluated(
    settings: "Settings",
    bundle: "Bundle",
    model: str,
    data: Path,
    out: Path | None,
    mapping: Path | None,
    limit: int | None,
) -> "tuple[dict[str, Any], PhotoPredictions]":
    """Evaluate on labelled photos and write the page; return the numbers and the predictions."""
    _require_matplotlib()
    from returns_pipeline.classify.confidence import review_thresholds
    from returns_pipeline.cli.console import progress_bar
    from returns_pipeline.records.places import is_object
    from returns_pipeline.training.evaluation.photo_predictions import find_labelled_photos, predict_photos
    from returns_pipeline.training.report.evaluation_report import write_report

    review_thresholds(bundle, settings.review_threshold)  # refuses a wrong threshold before the long part
    root = data.absolute()
    photos = find_labelled_photos(root, bundle, mapping, limit)
    with progress_bar(str(bundle.ref)) as on_progress:
        predictions = predict_photos(bundle, photos, settings, on_progress)
    reports = settings.home / "reports" if is_object(str(settings.report_dir)) else settings.report_dir
    folder = out or reports / "evaluation" / f"{bundle.name}-{bundle.version}-{_name(root)}"
    typed = ["returns-pipeline", "evaluate", model, str(data)]
    typed += ["--mapping", str(mapping)] if mapping else []
    typed += ["--limit", str(limit)] if limit else []
    title = f"{bundle.ref} on {_name(root)}"
    content = _report_content(title, shlex.join(typed), bundle, photos, predictions, settings)
    numbers = write_report(folder, content)
    numbers = {
        "model": str(bundle.ref),
        "data": str(root),
        "temperature": bundle.temperature,
        **numbers,
        "unreadable": [entry._asdict() for entry in predictions.unreadable],
        "report": str(folder.absolute() / "index.html"),
    }
    return numbers, predictions


def _report_content(
    title: str,
    command: str,
    bundle: "Bundle",
    photos: "LabelledPhotos",
    predictions: "PhotoPredictions",
    settings: "Settings",
) -> "ReportContent":
    """Return what the page of an evaluation shows."""
    import numpy as np

    from returns_pipeline.classify.confidence import review_thresholds, tempered
    from returns_pipeline.training.evaluation.photo_predictions import Thumbnails
    from returns_pipeline.training.report.evaluation_report import ReportContent
    from returns_pipeline.training.report.photo_grid import Sample

    truth = photos.truth[predictions.indices]
    paths = [photos.paths[index] for index in predictions.indices]
    return ReportContent(
        title=title,
        command=command,
        labels=bundle.labels,
        mains=_mains(bundle),
        judged=Sample(Thumbnails(paths, predictions.sizes, settings), truth),
        predictions=tempered(predictions.probabilities, bundle.temperature),
        uncalibrated=None if bundle.temperature == 1.0 else predictions.probabilities,
        counts={"judged": np.bincount(truth, minlength=len(bundle.labels))},
        thresholds=review_thresholds(bundle, settings.review_threshold),
        rule=str(settings.review_threshold),
        facts={"Unreadable files": f"{len(predictions.unreadable):,}"},
    )


def _require_matplotlib() -> None:
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ConfigFault(
            "The report of an evaluation needs Matplotlib: {reason}.",
            advice="`pip install -r requirements-train.txt`.",
            reason=error,
        ) from error


def named_bundle(settings: "Settings", model: str) -> "Bundle":
    """Return the bundle with this name or, if there is none, the bundle in this folder."""
    from returns_pipeline.classify.bundle import MANIFEST, load_bundle
    from returns_pipeline.usecases import model_store

    model_store.refresh(settings)
    named = re.fullmatch(r"[\w.-]+(/\d+)?", model) and os.path.lexists(settings.models_dir / model)
    if not named and os.path.lexists(Path(model) / MANIFEST):
        return load_bundle(Path(model).absolute())
    return model_store.find(settings, model)


def _mains(bundle: "Bundle") -> tuple[str, ...] | None:
    return None if bundle.main_categories == bundle.labels else bundle.main_categories


def _name(root: Path) -> str:
    """Return the name of a folder for use in another name; `/` has none."""
    return root.resolve().name or "data"
