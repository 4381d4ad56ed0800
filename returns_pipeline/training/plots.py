"""The pictures of a training report, one function each: values in, a figure out. Drawn without a display."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from returns_pipeline.training.evaluation import ClassScores

DPI = 110
RIGHT, WRONG = "#1b7837", "#b2182b"


def label_distribution(counts: "Mapping[str, NDArray[np.int64]]", labels: "Sequence[str]") -> Figure:
    """Draw how many images of each label each part of the data has; a value of `counts` is int64 [labels]."""
    figure = Figure((9, 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(counts)
    for index, (part, values) in enumerate(counts.items()):
        offset = (index - (len(counts) - 1) / 2) * width
        axes.bar(np.arange(len(labels)) + offset, values, width, label=f"{part} ({values.sum():,})")
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("images")
    axes.set_title("Images of each label")
    figure.legend(loc="outside lower center", ncols=len(counts))
    return figure


def training_images(
    images: "NDArray[np.uint8]", truth: "NDArray[np.uint8]", labels: "Sequence[str]"
) -> Figure:
    """Draw 25 images (uint8 [25, h, w]) in a square, each under its label."""
    figure = Figure((7, 7.6), layout="constrained")
    figure.suptitle("25 random training images")
    for axes, image, index in zip(figure.subplots(5, 5).flat, images, truth, strict=True):
        _show(axes, image)
        axes.set_title(labels[index], fontsize=9)
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
    figure = Figure((8.5, 7.5), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if shares[row, column] > 0.5 else "black" if value else "#bbbbbb"
        axes.text(column, row, f"{value:,}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label")
    axes.set_title(f"Confusion matrix of the {matrix.sum():,} held-out images")
    figure.colorbar(picture, shrink=0.8, label="share of the true label's images")
    return figure


def scores(values: "ClassScores", labels: "Sequence[str]") -> Figure:
    """Draw precision, recall and F1 of each label as dots on one line a label."""
    figure = Figure((9, 4.5), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(labels))
    lowest = min(values.precision.min(), values.recall.min())
    axes.hlines(
        rows,
        np.minimum(values.precision, values.recall),
        np.maximum(values.precision, values.recall),
        color="#cccccc",
    )
    for name, marker in (("precision", ">"), ("recall", "<"), ("f1", "o")):
        axes.scatter(
            getattr(values, name), rows, marker=marker, zorder=2, label="F1" if name == "f1" else name
        )
    for row, f1 in enumerate(values.f1):
        axes.text(1.02, row, f"{f1:.3f}", va="center", transform=axes.get_yaxis_transform(), fontsize=9)
    axes.text(1.02, -0.8, "F1", transform=axes.get_yaxis_transform(), fontsize=9, weight="bold", va="center")
    axes.set_yticks(rows, labels)
    axes.invert_yaxis()
    axes.set_xlim(max(lowest - 0.05, -0.02), 1.02)
    axes.grid(alpha=0.3)
    axes.set_title("Precision, recall and F1 of each label (held-out images)")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def predictions(
    images: "NDArray[np.uint8]",
    truth: "NDArray[np.uint8]",
    probabilities: "NDArray[np.float32]",
    labels: "Sequence[str]",
) -> Figure:
    """Draw 25 images (uint8 [25, h, w]), each under its predicted label, probability and true label."""
    figure = Figure((8.5, 9.6), layout="constrained")
    figure.suptitle("25 random held-out images: predicted label and probability, true label")
    for axes, image, true_index, row in zip(
        figure.subplots(5, 5).flat, images, truth, probabilities, strict=True
    ):
        _show(axes, image)
        guess = int(row.argmax())
        axes.set_title(
            f"{labels[guess]} {row[guess]:.0%}\ntrue: {labels[true_index]}",
            fontsize=9,
            color=RIGHT if guess == true_index else WRONG,
        )
    return figure


def _show(axes: "Axes", image: "NDArray[np.uint8]") -> None:
    """Draw one image inverted, dark on white, as the data set's authors print it; its 0 is the background."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    axes.set_axis_off()
