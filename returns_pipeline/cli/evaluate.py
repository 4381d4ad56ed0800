"""`returns-pipeline evaluate`, `accuracy`, and the comparison of two models on labelled photos."""

import importlib
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli.options import MOST, Json
from returns_pipeline.errors import ConfigFault, NotFoundError, RefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table  # noqa: TID251 - only the type

    from returns_pipeline.classify.bundle import Bundle
    from returns_pipeline.report.summary import CsvPredictions
    from returns_pipeline.settings import Settings
    from returns_pipeline.training.evaluation.comparison import Comparison
    from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, PhotoPredictions
    from returns_pipeline.training.report.evaluation_report import ReportContent

#: Most labels and files on a terminal; JSON and the page have all of them.
_MOST_LINES = 20

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
        _print_evaluation(numbers)
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


def accuracy(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="The results.csv of a run, or any CSV with the columns filename and prediction.",
            metavar="CSV",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compare the predictions of a CSV with the labels in its file names, …label_N…."""
    from returns_pipeline.cli.console import print_json, print_line
    from returns_pipeline.report.summary import predictions_of_csv

    if not predictions.is_file():
        raise NotFoundError(
            "There is no file {predictions}.",
            advice="Choose the results.csv of a run.",
            predictions=predictions,
        )
    found = predictions_of_csv(predictions)
    if not found.pairs:
        raise RefusedError(
            "No file name with a prediction in {predictions} contains a label.",
            advice="A name must contain `label_N`, where N is the index of the true label, as in "
            "photo_label_3.png.",
            predictions=predictions,
        )
    numbers = _accuracy_numbers(found)
    if as_json:
        print_json(numbers)
        return
    from returns_pipeline.report.words import counted
    from returns_pipeline.terminal import Terminal

    Terminal().print_table(_class_table(numbers["per_class"]))
    unanswered = counted(found.unanswered, "labelled image has", "labelled images have")
    print_line(
        f"{numbers['correct']:,} of {numbers['n']:,} correct: {numbers['accuracy']:.2%}."
        + (f" {unanswered} no prediction." if found.unanswered else "")
    )


def compare_models(
    first: str, second: str, data: Path, mapping: Path | None, limit: int | None, *, as_json: bool
) -> None:
    """Compare two models on the same photos, and test whether their difference is significant."""
    from dataclasses import asdict

    import numpy as np

    from returns_pipeline.cli.console import print_json, progress_bar
    from returns_pipeline.settings import load_settings
    from returns_pipeline.training.evaluation.comparison import compare
    from returns_pipeline.training.evaluation.photo_predictions import (
        LabelledPhotos,
        find_labelled_photos,
        predict_photos,
    )

    settings = load_settings()
    bundles = [named_bundle(settings, first), named_bundle(settings, second)]
    photos = find_labelled_photos(data.absolute(), bundles[0], mapping, limit)
    truths = [photos.truth, _truth_for_second(bundles, photos)]
    results: list[tuple[PhotoPredictions, NDArray[np.bool_]]] = []
    for bundle, truth in zip(bundles, truths, strict=True):
        with progress_bar(str(bundle.ref)) as on_progress:
            predictions = predict_photos(bundle, LabelledPhotos(photos.paths, truth), settings, on_progress)
        correct = predictions.probabilities.argmax(axis=1) == truth[predictions.indices]
        results.append((predictions, correct))
    (of_first, correct_first), (of_second, correct_second) = results
    # Only the photos that both models could read.
    shared, rows_first, rows_second = np.intersect1d(
        of_first.indices, of_second.indices, assume_unique=True, return_indices=True
    )
    found = compare(
        photos.truth[shared], correct_first[rows_first], correct_second[rows_second], bundles[0].labels
    )
    names = [str(bundle.ref) for bundle in bundles]
    if as_json:
        values = asdict(found)
        values["per_class"] = [{**asdict(row), "difference": row.difference} for row in found.labels]
        del values["labels"]
        unreadable = len(photos.paths) - found.n
        print_json(
            {
                "models": names,
                **values,
                "unreadable": unreadable,
                "conclusion": found.conclusion(*names),
            }
        )
    else:
        _print_comparison(found, names)


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


def _truth_for_second(bundles: "list[Bundle]", photos: "LabelledPhotos") -> "NDArray[np.int64]":
    """Return the true labels, indices into the first bundle's labels, as indices into the second bundle's."""
    import numpy as np

    first, second = bundles
    if photos.numbered and first.labels != second.labels:
        raise RefusedError(
            "The photos are labelled by an index, but {first_ref} and {second_ref} do not have the same "
            "labels in the same order.",
            advice="Put the photos into folders with the names of their labels.",
            first_ref=first.ref,
            second_ref=second.ref,
        )
    places = {label: index for index, label in enumerate(second.labels)}
    used = [first.labels[index] for index in np.unique(photos.truth)]
    missing = [label for label in used if label not in places]
    if missing:
        raise RefusedError(
            "{second_ref} has no label {missing!r}, which some photos have, so it cannot be compared with "
            "{first_ref}.",
            advice="Compare models with the same labels.",
            second_ref=second.ref,
            missing=missing[0],
            first_ref=first.ref,
        )
    return np.array([places.get(label, -1) for label in first.labels], np.int64)[photos.truth]


def _accuracy_numbers(found: "CsvPredictions") -> dict[str, Any]:
    import numpy as np

    from returns_pipeline.training.evaluation.metrics import class_scores

    indices = sorted({index for pair in found.pairs for index in pair})
    place = {index: row for row, index in enumerate(indices)}
    confusion = np.zeros((len(indices), len(indices)), np.int64)
    for (true, predicted), count in found.pairs.items():
        confusion[place[true], place[predicted]] = count
    scores = class_scores(confusion)
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    rows = zip(indices, *(values.tolist() for values in columns), strict=True)
    return {
        "n": found.accuracy.labelled,
        "correct": found.accuracy.correct,
        "accuracy": found.accuracy.share,
        "unanswered": found.unanswered,
        "per_class": [
            {
                "index": i,
                "label": found.names.get(i, str(i)),
                "precision": p,
                "recall": r,
                "f1": f,
                "support": n,
            }
            for i, p, r, f, n in rows
        ],
    }


def _class_table(rows: list[dict[str, Any]]) -> "Table":
    from returns_pipeline.terminal import plain_table

    table = plain_table()
    table.add_column("label", overflow="fold")
    for heading in ("precision", "recall", "F1", "images"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shares = [f"{row[name]:.1%}" if row["support"] else "" for name in ("precision", "recall", "f1")]
        table.add_row(row["label"], *shares, f"{row['support']:,}")
    return table


def _print_evaluation(numbers: dict[str, Any]) -> None:
    from returns_pipeline.cli.console import print_line, short_path
    from returns_pipeline.terminal import Terminal

    Terminal().print_table(_class_table(numbers["per_class"]))
    review, main = numbers["review"], numbers.get("main_accuracy")
    correct = "" if review["accuracy"] is None else f"; {review['accuracy']:.1%} of these are correct"
    lines = {
        "Model": numbers["model"],
        "Images": f"{numbers['n']:,}, and {len(numbers['unreadable']):,} unreadable files",
        "Accuracy": f"{numbers['accuracy']:.2%}" + ("" if main is None else f", main category {main:.2%}"),
        "Top 3": f"{numbers['top3_accuracy']:.2%}",
        "Loss": f"{numbers['loss']:.4f}",
        "ECE": f"{numbers['ece']:.4f}",
        "Review": f"{review['automatic']:.1%} need no review at threshold {review['rule']}{correct}",
        "Page": str(short_path(Path(numbers["report"]))),
    }
    for name, line in lines.items():
        print_line(f"{name:<9} {line}")
    unreadable = [f"{entry['path']}: {entry['detail']}" for entry in numbers["unreadable"]]
    if (more := len(unreadable) - _MOST_LINES) > 0:
        unreadable[_MOST_LINES:] = [f"{more:,} more; --json lists all of them"]
    for line in unreadable:
        print_line(f"unreadable  {line}")


def _print_comparison(found: "Comparison", names: list[str]) -> None:
    from returns_pipeline.cli.console import print_line
    from returns_pipeline.report.words import counted
    from returns_pipeline.terminal import Terminal, plain_table

    table = plain_table()
    table.add_column("label", overflow="fold")
    for heading in ("images", *names, "difference"):
        table.add_column(heading, justify="right", overflow="fold")
    shown = [row for row in found.labels if row.difference][:_MOST_LINES]
    for row in shown:
        shares = (f"{row.first:.1%}", f"{row.second:.1%}", f"{100 * row.difference:+.1f}")
        table.add_row(row.label, f"{row.images:,}", *shares)
    table.add_row(
        "all", f"{found.n:,}", f"{found.first:.1%}", f"{found.second:.1%}", f"{100 * found.difference:+.1f}"
    )
    Terminal().print_table(table)
    print_line(
        f"Only {names[0]} is correct on {counted(found.only_first, 'image')}, only {names[1]} on "
        f"{found.only_second:,}."
    )
    print_line(found.conclusion(*names))
