"""The HTML page of a report: a summary in plain words first, then each figure with its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.report.html import template_environment
from returns_pipeline.training.report.figures import EXPLANATIONS, PHOTOS

if TYPE_CHECKING:
    from returns_pipeline.training.evaluation.calibration_curve import ReviewOutcome
    from returns_pipeline.training.evaluation.metrics import Evaluation

#: Most pairs of confused labels on the page.
_MOST_PAIRS = 10
#: Shares of all images for which the page shows the accuracy.
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text. `kind` is its CSS class, `empty` the sentence that replaces a table without rows."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "numbers"
    empty: str = ""


@dataclass(frozen=True, slots=True)
class _Section:
    """One figure: the name of its PNG file, its alternative text, and the table below it, if any."""

    name: str
    heading: str
    explanation: str
    alt: str
    table: Table | None

    @property
    def kind(self) -> str:
        """The CSS class of the figure."""
        return "photos" if self.name in PHOTOS else "drawn"


def summary(
    evaluation: "Evaluation",
    labels: Sequence[str],
    outcome: "ReviewOutcome",
    rule: str,
    ece_uncalibrated: float | None,
) -> dict[str, str]:
    """Return the lines at the top of the page: what they are, and their value."""
    correct = int(np.trace(evaluation.confusion))
    lines = {
        "Evaluated images": f"{evaluation.n:,}",
        "Correct predictions": f"{evaluation.accuracy:.2%} ({correct:,} of {evaluation.n:,})",
    }
    if evaluation.heads:
        lines["Correct main categories"] = f"{evaluation.heads.main_accuracy:.2%}"
    if len(labels) > 3:
        lines["True label among the three most probable"] = f"{evaluation.top3_accuracy:.2%}"
    automatic = f"{outcome.automatic:.1%} of the images"
    if outcome.accuracy is not None:
        automatic += f"; {outcome.accuracy:.1%} of these are correct"
    lines[f"Decided without review (review threshold {rule})"] = automatic
    before = f" ({ece_uncalibrated:.1%} before calibration)" if ece_uncalibrated is not None else ""
    lines["Average error of the probabilities (ECE)"] = f"{evaluation.ece:.1%}{before}"
    used = np.flatnonzero(evaluation.scores.support)
    if len(used) > 1:
        weakest = used[evaluation.scores.recall[used].argmin()]
        share = (
            f"{evaluation.scores.recall[weakest]:.1%} of its {evaluation.scores.support[weakest]:,} images"
        )
        lines["Label with the lowest recall"] = f"{labels[weakest]}: {share}"
    return lines


def render(
    *,
    title: str,
    command: str,
    summary: Mapping[str, str],
    evaluation: "Evaluation",
    labels: Sequence[str],
    metrics: Mapping[str, float],
    figures: Sequence[str],
) -> str:
    """Return the page as HTML; each figure is the file FIGURE.png in the folder of the page."""
    tables = {
        "confusion-matrix": _confused_pairs(evaluation, labels),
        "scores": _scores(evaluation, labels),
        "reliability": _calibration(evaluation),
        "coverage": _coverage(evaluation),
    }
    sections = [
        _Section(name, *EXPLANATIONS[name], _alt_text(name, evaluation, labels), tables.get(name))
        for name in figures
    ]
    template = template_environment("returns_pipeline.training.report").get_template("evaluation.html")
    return template.render(
        title=title,
        command=command,
        summary=summary,
        sections=sections,
        metrics=Table(["metric", "value"], [[name, _number(value)] for name, value in metrics.items()]),
    )


def _alt_text(name: str, evaluation: "Evaluation", labels: Sequence[str]) -> str:
    """Return what a figure shows, for readers who cannot see it; its numbers are in the table or the JSON."""
    scores = evaluation.scores
    return {
        "confusion-matrix": f"Confusion matrix of {evaluation.n:,} images and {len(labels)} labels: "
        f"{evaluation.accuracy:.1%} are on the diagonal.",
        "scores": f"Precision, recall and F1 of {len(labels)} labels; F1 from {scores.f1.min():.2f} to "
        f"{scores.f1.max():.2f}.",
        "reliability": "Share of correct predictions against their probability; calibration error "
        f"{evaluation.ece:.4f}.",
        "coverage": "Share of correct predictions against the share of images that the model decides; "
        f"{evaluation.accuracy:.1%} if it decides all.",
        "mistakes": "Grid of wrongly predicted images, highest probabilities first, each with the predicted "
        "label, its probability and the true label.",
        "predictions": "Grid of random images, each with the predicted label, its probability and the true "
        "label.",
        "label-distribution": f"Bars: the number of images of each of {len(labels)} labels.",
        "training-images": "Grid of random training images, each with its label.",
        "curves": "Two line charts over the epochs: accuracy and loss, of training and of validation images.",
    }[name]


def _confused_pairs(evaluation: "Evaluation", labels: Sequence[str]) -> Table:
    wrong = evaluation.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    cells = [divmod(int(index), len(labels)) for index in order]
    rows = [
        [
            labels[true],
            labels[predicted],
            f"{wrong[true, predicted]:,}",
            f"{wrong[true, predicted] / evaluation.scores.support[true]:.1%}",
        ]
        for true, predicted in cells
        if wrong[true, predicted]
    ]
    head = ["true label", "predicted label", "images", "share of the true label"]
    return Table(head, rows, "pairs", empty="All predictions are correct.")


def _scores(evaluation: "Evaluation", labels: Sequence[str]) -> Table:
    scores = evaluation.scores
    values = zip(labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    rows = [
        [label, f"{p:.4f}", f"{r:.4f}", f"{f:.4f}", f"{n:,}"] if n else [label, "", "", "", "0"]
        for label, p, r, f, n in values
    ]
    return Table(["label", "precision", "recall", "F1", "images"], rows)


def _calibration(evaluation: "Evaluation") -> Table:
    curve = evaluation.calibration
    values = zip(curve.images, curve.probability, curve.accuracy, strict=True)
    bins = len(curve.images)
    rows = [
        [f"{i / bins:.0%} to {(i + 1) / bins:.0%}", f"{images:,}", f"{probability:.1%}", f"{accuracy:.1%}"]
        for i, (images, probability, accuracy) in enumerate(values)
        if images
    ]
    return Table(["probability", "images", "mean probability", "correct"], rows)


def _coverage(evaluation: "Evaluation") -> Table:
    curve = evaluation.coverage
    rows = []
    for share in _SHARES:
        at = min(int(np.searchsorted(curve.coverage, share - 1e-9)), len(curve.coverage) - 1)
        row = [f"{curve.coverage[at]:.1%}", f"{curve.threshold[at]:.3f}", f"{curve.accuracy[at]:.2%}"]
        if row not in rows:
            rows.append(row)
    return Table(["decided by the model", "lowest probability", "correct"], rows)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
