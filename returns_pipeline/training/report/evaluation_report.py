"""The report of a training or an evaluation: PNG figures, metrics.json with every number, index.html."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context

from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.training.evaluation import metrics
from returns_pipeline.training.evaluation.calibration_curve import (
    ReviewOutcome,
    calibration_curve,
    review_outcome,
)
from returns_pipeline.training.report import page, photo_grid, plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from returns_pipeline.training.report.photo_grid import Sample


#: The review threshold of a training's report: the default of RETURNS_REVIEW_THRESHOLD.
REVIEW_THRESHOLD = 0.8


@dataclass(frozen=True, slots=True)
class ReportContent:
    """The content of a report on n `judged` images.

    `predictions` float32 [n, labels] are the probabilities as served; `uncalibrated` are the same before
    calibration, None without calibration. `mains` has the main category of each label; None when the labels
    are the main categories. `thresholds` float64 [labels] are the review thresholds of the setting `rule`.

    `counts` has int64 [labels] for each part of the data. `facts` are more lines for the summary. Only for a
    training: `metrics`, `environment`, `history` with one value for each epoch, and some `training` images.
    `seed` chooses the random images.
    """

    title: str
    command: str
    labels: "Sequence[str]"
    judged: "Sample"
    predictions: "NDArray[np.float32]"
    counts: "Mapping[str, NDArray[np.int64]]"
    thresholds: "NDArray[np.float64]"
    rule: str
    uncalibrated: "NDArray[np.float32] | None" = None
    mains: "Sequence[str] | None" = None
    facts: "Mapping[str, str]" = field(default_factory=dict)
    metrics: "Mapping[str, float]" = field(default_factory=dict)
    environment: "Mapping[str, str | float]" = field(default_factory=dict)
    history: "Mapping[str, Sequence[float]]" = field(default_factory=dict)
    training: "Sample | None" = None
    with_photos: bool = True
    seed: int = 0


def write_report(folder: "Path", content: ReportContent) -> dict[str, Any]:
    """Write the figures, metrics.json and index.html into `folder`; return the numbers of metrics.json.

    The folder is created if needed. Files of an earlier report are replaced, each as a whole; others stay.
    Raises TransientFault when the file system refuses.
    """
    truth = content.judged.truth
    evaluation = metrics.evaluate(truth, content.predictions, content.mains)
    outcome = review_outcome(truth, content.predictions, content.thresholds)
    # A label with dollar signs is no formula: Matplotlib would draw it as one, or fail.
    with rc_context({"text.parse_math": False}):
        figures = _figures(content, evaluation, outcome)
        for name, figure in figures.items():
            with whole_file(folder / f"{name}.png") as path:
                figure.savefig(path, dpi=plots.DPI, metadata={"Software": None})
    numbers = _numbers(content, evaluation, outcome)
    with whole_file(folder / "metrics.json") as path:
        path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    summary = page.summary(evaluation, content.labels, outcome, content.rule, numbers.get("ece_uncalibrated"))
    text = page.render(
        title=content.title,
        command=content.command,
        summary=summary | dict(content.facts),
        evaluation=evaluation,
        labels=content.labels,
        metrics=content.metrics,
        figures=list(figures),
    )
    with whole_file(folder / "index.html") as path:
        path.write_text(text, encoding="utf-8")
    return numbers


def _figures(
    content: ReportContent, evaluation: metrics.Evaluation, outcome: ReviewOutcome
) -> "dict[str, Figure]":
    """Return the figures by the names of their files, in the order of the page."""
    labels = content.labels
    before = None
    if content.uncalibrated is not None:
        before = calibration_curve(content.judged.truth, content.uncalibrated)
    figures = {
        "confusion-matrix": plots.confusion(evaluation.confusion, labels),
        "scores": plots.scores(evaluation.scores, labels),
        "reliability": plots.calibration(evaluation.calibration, before),
        "coverage": plots.coverage(evaluation.coverage, outcome, content.rule),
    }
    if content.with_photos:
        figures |= _photo_grids(content)
    figures["label-distribution"] = plots.label_distribution(content.counts, labels)
    if content.history:
        figures["curves"] = plots.curves(content.history)
    return figures


def _photo_grids(content: ReportContent) -> "dict[str, Figure]":
    sample, labels, predictions = content.judged, content.labels, content.predictions
    rng = np.random.default_rng(content.seed)
    training = None if content.training is None else _draw(rng, len(content.training.truth))
    random = _draw(rng, len(sample.truth))
    figures = {}
    wrong = np.flatnonzero(predictions.argmax(axis=1) != sample.truth)
    if len(wrong):
        order = np.argsort(-predictions[wrong].max(axis=1), kind="stable")
        first = wrong[order][: photo_grid.MOST]
        title = f"The {len(first)} mistakes with the highest probabilities, of {len(wrong):,} mistakes"
        figures["mistakes"] = photo_grid.predicted(sample, first, predictions, labels, title)
    title = f"{len(random)} random images: predicted label and probability, true label"
    figures["predictions"] = photo_grid.predicted(sample, random, predictions, labels, title)
    if content.training is not None and training is not None:
        title = f"{len(training)} random training images"
        figures["training-images"] = photo_grid.labelled(content.training, training, labels, title)
    return figures


def _draw(rng: np.random.Generator, count: int) -> "NDArray[np.int64]":
    return rng.choice(count, min(photo_grid.MOST, count), replace=False)


def _numbers(
    content: ReportContent, evaluation: metrics.Evaluation, outcome: ReviewOutcome
) -> dict[str, Any]:
    truth = content.judged.truth
    numbers = {"command": content.command, **metrics.as_dict(evaluation, content.labels)}
    if content.uncalibrated is not None:
        numbers["ece_uncalibrated"] = calibration_curve(truth, content.uncalibrated).error
        numbers["loss_uncalibrated"] = metrics.cross_entropy(truth, content.uncalibrated)
    numbers["review"] = {"rule": content.rule, **asdict(outcome)}
    numbers["labels"] = list(content.labels)
    numbers["counts"] = {part: values.tolist() for part, values in content.counts.items()}
    if content.metrics:
        numbers["metrics"] = dict(content.metrics)
        numbers["environment"] = dict(content.environment)
        numbers["history"] = {name: list(values) for name, values in content.history.items()}
    return numbers
