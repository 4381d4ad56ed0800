"""The diagrams of a report, one function each: values in, a figure out. Drawn without a display."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from returns_pipeline.training.evaluation.reliability import (
        CoverageCurve,
        ReliabilityCurve,
        Review,
    )
    from returns_pipeline.training.evaluation.scores import ClassScores

DPI = 110
BLUE, GREY = "#2166ac", "#999999"
#: Labels of a confusion matrix whose cells have room for every number, and for the letters of a name.
_ROOMY = 12
#: A point of fewer images says little, and is drawn hollow.
_MANY = 10
_LETTERS = 24


def shortened(label: str, letters: int = _LETTERS) -> str:
    """Return a label as a plot has room for it."""
    return label if len(label) <= letters else label[: letters - 1] + "…"


def label_distribution(counts: "Mapping[str, NDArray[np.int64]]", labels: "Sequence[str]") -> Figure:
    """Draw how many images of each label each part of the data has; a value of `counts` is int64 [labels]."""
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
    axes.set_title("Images of each label")
    figure.legend(loc="outside lower center", ncols=len(counts))
    return figure


def curves(history: "Mapping[str, Sequence[float]]") -> Figure:
    """Draw accuracy and loss after each epoch, as Keras' history names them."""
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
    roomy = len(labels) <= _ROOMY
    side = 3.2 + (0.55 if roomy else 0.26) * len(labels)
    figure = Figure((side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        if value or roomy:
            colour = "white" if shares[row, column] > 0.5 else "black" if value else "#bbbbbb"
            size = 9 if roomy else 6
            axes.text(column, row, f"{value:,}", ha="center", va="center", color=colour, fontsize=size)
    names = [shortened(label) for label in labels]
    axes.set_xticks(
        range(len(labels)), names, rotation=40 if roomy else 90, ha="right" if roomy else "center"
    )
    axes.set_yticks(range(len(labels)), names)
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label")
    axes.set_title(f"Confusion matrix of {matrix.sum():,} images")
    figure.colorbar(picture, shrink=0.8, label="share of the true label's images")
    return figure


def scores(values: "ClassScores", labels: "Sequence[str]") -> Figure:
    """Draw precision, recall and F1 of each label that has images as dots on one line a label."""
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


def reliability(after: "ReliabilityCurve", before: "ReliabilityCurve | None") -> Figure:
    """Draw how often answers of each probability are right, above how many there are.

    `before` is the same of the probabilities as the model gave them, where they were calibrated.
    """
    figure = Figure((6.5, 7), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as often as it says")
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
    axes.set_ylabel("share of right answers")
    axes.set_title("Are answers right as often as the model says?")
    axes.set_ylim(-0.02, 1.02)
    bins = len(after.images)
    middles = (np.arange(bins) + 0.5) / bins
    below.bar(middles, after.images / after.images.sum(), 0.9 / bins, color=BLUE)
    below.set_ylabel("images")
    below.set_xlabel("probability of the answer")
    below.set_xlim(-0.02, 1.02)
    for part in (axes.xaxis, axes.yaxis, below.yaxis):
        part.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def coverage(curve: "CoverageCurve", chosen: "Review", rule: str) -> Figure:
    """Draw how often the model is right against how many images it answers alone; mark the `chosen` rule."""
    figure = Figure((8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.coverage, curve.accuracy, color=BLUE)
    lowest = curve.accuracy.min()
    if chosen.accuracy is not None:
        point = f"threshold {rule}: {chosen.automatic:.1%} alone, {chosen.accuracy:.1%} of them right"
        axes.plot(chosen.automatic, chosen.accuracy, "o", color="#b2182b", label=point)
        axes.legend(loc="lower left")
        lowest = min(lowest, chosen.accuracy)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(max(0, lowest - 0.15 * (1.02 - lowest)), 1.005)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("images that the model answers alone, the surest first")
    axes.set_ylabel("of these right")
    axes.set_title("What asking a person about unsure images brings")
    axes.grid(alpha=0.3)
    return figure


def _name_rows(figure: Figure, labels: "Sequence[str]") -> None:
    """Name the rows of a figure's only axes after the labels, the first on top."""
    (axes,) = figure.axes
    axes.set_yticks(range(len(labels)), [shortened(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
