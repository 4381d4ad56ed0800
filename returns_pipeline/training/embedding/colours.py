"""The colours of an item: a soft histogram that any runtime can compute.

A pixel belongs to the bins near its colour: exp(-d²/2) of the distance d to a bin, divided by the sum over
all bins. Because the pixel's own square cancels in that quotient, this is a softmax of a linear function. The
background has the colour of the picture's border and counts little.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import ops

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pixels of the picture on which the colours are counted, in each direction.
_SIDE = 56
#: ITU-R BT.601, full range: luma, and two differences of colours around 0.
_RGB_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]).T
_LUMA = tuple(np.linspace(20, 250, 7))
#: Radius and count of the bins around grey.
_RINGS = ((11.0, 6), (28.0, 8), (56.0, 8))
#: Colours that are told apart.
COLOURS = len(_LUMA) * (1 + sum(count for _, count in _RINGS))
_WIDTH = np.array([20.0, 9.0, 9.0])
#: Distance from the colour of the border at which a pixel counts half, and how fast that changes.
_HALF, _SOFT = 14.0, 4.0


def colour_histogram(pixels: Any) -> Any:
    """Return the square roots of the shares of 161 colours in 12 windows of the picture: [n, 12 * 161].

    `pixels` [n, side, side, 3], 0 to 255. The first window is the middle, which says most.
    """
    stride = max(1, pixels.shape[1] // _SIDE)
    small = ops.average_pool(pixels, stride, stride)
    colours = ops.matmul(small, ops.convert_to_tensor(_RGB_TO_YCC.astype(np.float32)))
    bins = _bins()
    slopes = (bins / _WIDTH**2).T.astype(np.float32)
    offset = -(bins**2 / (2 * _WIDTH**2)).sum(axis=1).astype(np.float32)
    places = colours.shape[1] * colours.shape[2]
    shares = ops.reshape(ops.softmax(ops.matmul(colours, slopes) + offset, axis=-1), (-1, places, COLOURS))
    windows = _windows(int(colours.shape[1]))
    item = ops.reshape(_foreground(colours), (-1, 1, places)) * windows
    found = ops.matmul(item, shares) / (ops.sum(item, axis=-1, keepdims=True) + 1e-3)
    return ops.reshape(ops.sqrt(found + 1e-7), (-1, len(windows) * COLOURS))


def _bins() -> "NDArray[np.float64]":
    around = [(0.0, 0.0)]
    for radius, count in _RINGS:
        turns = [2 * math.pi * step / count for step in range(count)]
        around += [(radius * math.cos(turn), radius * math.sin(turn)) for turn in turns]
    return np.array([(luma, *chroma) for luma in _LUMA for chroma in around])


def _windows(side: int) -> "NDArray[np.float32]":
    """Return how much each pixel counts in each window, [12, side * side].

    The middle, the very middle, the whole, and nine overlapping squares.
    """
    place = (np.arange(side) + 0.5) / side * 2 - 1
    distance = place[:, None] ** 2 + place[None, :] ** 2
    found = [np.exp(-1.5 * distance), np.exp(-6 * distance), np.ones_like(distance)]
    bands = [np.abs(place - centre) <= 0.5 for centre in (-0.5, 0.0, 0.5)]
    found += [np.outer(down, across).astype(float) for down in bands for across in bands]
    return np.stack(found).reshape(len(found), -1).astype(np.float32)


def _foreground(colours: Any) -> Any:
    """Return how much each pixel counts, [n, h, w, 1]: far from the border's colour."""
    edges = [colours[:, :1], colours[:, -1:]]
    border = ops.mean(ops.concatenate(edges, axis=2), axis=(1, 2), keepdims=True)
    far = ops.sqrt(ops.sum((colours - border) ** 2, axis=-1, keepdims=True) + 1e-3)
    return ops.sigmoid((far - _HALF) / _SOFT) + 1e-4
