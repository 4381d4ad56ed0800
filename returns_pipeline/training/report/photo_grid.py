"""Grids of images for a report, each image with its labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from matplotlib.figure import Figure

from returns_pipeline.training.report.plots import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

RIGHT, WRONG = "#1b7837", "#b2182b"
#: Most images in a grid.
MOST = 25
_COLUMNS = 5
_LETTERS = 24


class ImageSource(Protocol):
    """Images of any size: an array uint8 [n, h, w, c], or an object that decodes files on demand."""

    def __getitem__(self, index: int, /) -> "NDArray[np.uint8]":
        """Return one image: uint8 [h, w, c] with 1 (grey) or 3 (RGB) channels."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """Images with their true labels, integer [n]. `inverted`: 0 is the background, which is drawn white."""

    images: ImageSource
    truth: "NDArray[np.integer]"
    inverted: bool = False


def labelled(sample: Sample, chosen: "NDArray[np.integer]", labels: "Sequence[str]", title: str) -> Figure:
    """Draw the `chosen` images, int [n], each under its true label."""
    return _grid(
        sample,
        chosen,
        [(shortened(labels[sample.truth[index]], _LETTERS), "black") for index in chosen],
        title,
    )


def predicted(
    sample: Sample,
    chosen: "NDArray[np.integer]",
    predictions: "NDArray[np.float32]",
    labels: "Sequence[str]",
    title: str,
) -> Figure:
    """Draw the `chosen` images, int [n], each under its predicted label, probability and true label.

    `predictions` float32 [all images of the sample, labels].
    """
    captions = []
    for index in chosen:
        guess, true = int(predictions[index].argmax()), int(sample.truth[index])
        text = f"{shortened(labels[guess], _LETTERS)} {predictions[index, guess]:.0%}"
        text += f"\ntrue: {shortened(labels[true], _LETTERS)}"
        captions.append((text, RIGHT if guess == true else WRONG))
    return _grid(sample, chosen, captions, title)


def _grid(
    sample: Sample, chosen: "NDArray[np.integer]", captions: "Sequence[tuple[str, str]]", title: str
) -> Figure:
    lines = -(-len(chosen) // _COLUMNS)
    shown = [sample.images[int(index)] for index in chosen]
    # The median proportions, so that neither upright nor wide photos leave large gaps.
    ratio = float(np.median([image.shape[0] / image.shape[1] for image in shown]))
    caption = 0.2 + 0.15 * captions[0][0].count("\n")
    height = 9 / _COLUMNS * min(max(ratio, 0.5), 1.6) + caption
    figure = Figure((9, 0.45 + lines * (height + 0.12)), layout="constrained")
    figure.suptitle(title)
    for axes in figure.subplots(lines, _COLUMNS, squeeze=False).flat:
        axes.set_axis_off()
    for axes, image, (text, colour) in zip(figure.axes, shown, captions, strict=False):
        _show(axes, image, inverted=sample.inverted)
        axes.set_title(text, fontsize=8, color=colour)
    return figure


def _show(axes: "Axes", image: "NDArray[np.uint8]", *, inverted: bool) -> None:
    """Draw one image with square pixels, so that a photo keeps its proportions."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray_r" if inverted else "gray", vmin=0, vmax=255)
