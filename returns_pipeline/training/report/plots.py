"""The plots of a report: each function takes values and returns a Matplotlib figure. No display is needed."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from returns_pipeline.training.evaluation.calibration_curve import (
        CalibrationCurve,
        CoverageCurve,
        ReviewOutcome,
    )
    from returns_pipeline.training.evaluation.metrics import ClassScores

DPI = 110
#: The accent, the edge and the red of the pages.
BLUE, GREY, RED = "#3451c6", "#848c9b", "#ac2419"
#: Up to this many labels, the cells of a confusion matrix have room for every number.
_MOST_LARGE_CELLS = 12
#: A point of fewer images is unreliable and drawn hollow.
_MANY = 10
_LETTERS = 24


def shortened(label: str, letters: int = _LETTERS) -> str:
    """Return a label cut to the room in a plot."""
    return label if len(label) <= letters else label[: letters - 1] + "…"


def label_distribution(counts: "Mapping[str, NDArray[np.int64]]", labels: "Sequence[str]") -> Figure:
    """Draw the number of images of each label in each part; a value of `counts` is int64 [labels]."""
    figure = Figure((8, 1.6 + (0.2 + 0.14 * len(counts)) * len(labels)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(counts)
    rows = np.arange(len(labels))
    for index, (part, values) in enumerate(counts.items()):
        offset = (index - (len(counts) - 1) / 2) * height
        axes.barh(rows + offset, values, height, label=f"{part} ({values.sum():,})")
    _name_rows(figure, labels)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images")
    axes.set_title("Number of images of each label")
    figure.legend(loc="outside lower center", ncols=len(counts))
    return figure


def curves(history: "Mapping[str, Sequence[float]]") -> Figure:
    """Draw accuracy and loss after each epoch; `history` has the names of Keras."""
    figure = Figure((10, 4), layout="constrained")
    for axes, number in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        epochs = range(1, len(history[number]) + 1)
        axes.plot(epochs, history[number], marker="o", label="training (with dropout)")
        axes.plot(epochs, history[f"val_{number}"], marker="o", label="validation")
        axes.set_xticks(epochs)
        axes.set_xlabel("epoch")
        axes.set_title(number.capitalize())
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def confusion(matrix: "NDArray[np.int64]", labels: "Sequence[str]") -> Figure:
    """Draw a confusion matrix, int64 [labels, labels], rows true. Colour: share of the row; text: images."""
    large = len(labels) <= _MOST_LARGE_CELLS
    side = 3.2 + (0.55 if large else 0.26) * len(labels)
    figure = Figure((side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        if value or large:
            colour = "white" if shares[row, column] > 0.5 else "black" if value else "#bbbbbb"
            size = 9 if large else 6
            axes.text(column, row, f"{value:,}", ha="center", va="center", color=colour, fontsize=size)
    names = [shortened(label) for label in labels]
    axes.set_xticks(
        range(len(labels)), names, rotation=40 if large else 90, ha="right" if large else "center"
    )
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label")
    axes.set_title(f"Confusion matrix of {matrix.sum():,} images")
    figure.colorbar(image, shrink=0.8, label="share of the true label's images")
    return figure


def scores(values: "ClassScores", labels: "Sequence[str]") -> Figure:
    """Draw precision, recall and F1 of each label with images, as three dots on one line."""
    figure = Figure((9, 1.8 + 0.28 * len(labels)), layout="constrained")
    axes = figure.subplots()
    rows = np.flatnonzero(values.support).tolist()
    both = np.stack([values.precision[rows], values.recall[rows]])
    axes.hlines(rows, both.min(axis=0), both.max(axis=0), color="#cccccc")
    for name, marker in (("precision", ">"), ("recall", "<"), ("f1", "o")):
        dots = getattr(values, name)[rows]
        axes.scatter(dots, rows, marker=marker, zorder=2, label="F1" if name == "f1" else name)
    beside = axes.get_yaxis_transform()
    for row in rows:
        axes.text(1.02, row, f"{values.f1[row]:.3f}", va="center", transform=beside, fontsize=9)
    _name_rows(figure, labels)
    axes.text(1.02, 1.02, "F1", transform=axes.transAxes, fontsize=9, weight="bold", va="bottom")
    axes.set_xlim(max(both.min() - 0.05, -0.02), 1.02)
    axes.grid(alpha=0.3)
    axes.set_title("Precision, recall and F1 of each label")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def calibration(after: "CalibrationCurve", before: "CalibrationCurve | None") -> Figure:
    """Draw how often predictions of each probability are correct, and below it the number of images.

    `before` is the curve before calibration, if there was a calibration.
    """
    figure = Figure((6.5, 7), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="perfect calibration")
    for curve, name, colour, marker in (
        (before, "before calibration", GREY, "s"),
        (after, "as served", BLUE, "o"),
    ):
        if curve is not None:
            many = curve.images >= _MANY
            few = (curve.images > 0) & ~many
            label = f"{name}, ECE {curve.error:.4f}"
            axes.plot(curve.probability[many], curve.accuracy[many], color=colour, marker=marker, label=label)
            hollow = {"marker": marker, "color": colour, "markerfacecolor": "none", "linestyle": "none"}
            axes.plot(curve.probability[few], curve.accuracy[few], **hollow)
    axes.set_ylabel("share of correct predictions")
    axes.set_title("Correct predictions at each probability")
    axes.set_ylim(-0.02, 1.02)
    bins = len(after.images)
    middles = (np.arange(bins) + 0.5) / bins
    below.bar(middles, after.images / after.images.sum(), 0.9 / bins, color=BLUE)
    below.set_ylabel("images")
    below.set_xlabel("probability of the prediction")
    below.set_xlim(-0.02, 1.02)
    for part in (axes.xaxis, axes.yaxis, below.yaxis):
        part.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def coverage(curve: "CoverageCurve", outcome: "ReviewOutcome", rule: str) -> Figure:
    """Draw accuracy against the share of images that the model decides; mark the `outcome` of the rule."""
    figure = Figure((8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.coverage, curve.accuracy, color=BLUE)
    lowest = curve.accuracy.min()
    if outcome.accuracy is not None:
        point = (
            f"threshold {rule}: decides {outcome.automatic:.1%}, {outcome.accuracy:.1%} of these are correct"
        )
        axes.plot(outcome.automatic, outcome.accuracy, "o", color=RED, label=point)
        axes.legend(loc="lower left")
        lowest = min(lowest, outcome.accuracy)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(max(0, lowest - 0.15 * (1.02 - lowest)), 1.005)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("share of images that the model decides, highest probabilities first")
    axes.set_ylabel("share of these that is correct")
    axes.set_title("Accuracy if people review the other images")
    axes.grid(alpha=0.3)
    return figure


def _name_rows(figure: Figure, labels: "Sequence[str]") -> None:
    """Put the labels on the rows of the figure's only axes, the first label on top."""
    (axes,) = figure.axes
    axes.set_yticks(range(len(labels)), [shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
