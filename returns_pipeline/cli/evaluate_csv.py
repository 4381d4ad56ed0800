"""`returns-pipeline accuracy`: the predictions of a CSV against the labels in its file names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from returns_pipeline.cli.options import Json
from returns_pipeline.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from returns_pipeline.report.summary import CsvPredictions


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
    from returns_pipeline.cli.output.evaluation import print_classes
    from returns_pipeline.report.words import counted

    print_classes(numbers["per_class"])
    unanswered = counted(found.unanswered, "labelled image has", "labelled images have")
    print_line(
        f"{numbers['correct']:,} of {numbers['n']:,} correct: {numbers['accuracy']:.2%}."
        + (f" {unanswered} no prediction." if found.unanswered else "")
    )


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
