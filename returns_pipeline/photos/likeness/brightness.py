"""Brings two aligned pictures to one brightness, so that what a brighter copy has lost is no difference.

A brighter copy is cut off at 255 in each colour. So the darker one of a pair is made brighter in the same
way, by the factor with which it is most like the other one, and a straight line explains what is left.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.photos.likeness.thumbnails import Floats

#: Levels from which a place is overexposed: a brighter copy has lost what was there.
OVEREXPOSED = 245.0
#: The luma and colour differences of JPEG (ITU-T T.871) from colours, and colours from them.
_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
_FACTORS = np.arange(1, 1.36, 0.05, dtype=np.float32)
#: A factor must explain this much more than none.
_BETTER = 1.02


class EquallyBright(NamedTuple):
    """Pairs of pictures, float32 [n, side, side, 3]: luma 0 to 255, and two colour differences around 0.

    `ratio` [n] is the brightness of the first one as a multiple of the second one's, before.
    """

    one: Floats
    other: Floats
    ratio: Floats


def equally_bright(one: Floats, other: Floats) -> EquallyBright:
    """Return pairs [n, side, side, 3] after the darker one of each was made as bright as the other.

    The pictures of a pair may change places.
    """
    least = np.full(len(one), np.inf, np.float32)
    factor = np.ones(len(one), np.float32)
    is_other_brighter = np.zeros(len(one), bool)
    for is_swapped, bright, dark in ((False, one, other), (True, other, one)):
        colours = np.clip(dark @ _TO_RGB.T, 0, 255)
        for each in _FACTORS[1:] if is_swapped else _FACTORS:
            apart = np.minimum(colours * each, 255) @ _FROM_RGB[0] - bright[..., 0]
            error = (apart**2).mean(axis=(1, 2)) * (_BETTER if each > 1 else 1)
            is_best = error < least
            least[is_best], factor[is_best], is_other_brighter[is_best] = error[is_best], each, is_swapped
    swap = is_other_brighter[:, None, None, None]
    bright, dark = np.where(swap, other, one), np.where(swap, one, other)
    colours = np.clip(dark @ _TO_RGB.T, 0, 255) * factor[:, None, None, None]
    dark = np.minimum(colours, 255) @ _FROM_RGB.T
    gain, offset = _line(bright[..., 0], dark[..., 0])
    gain = gain.astype(np.float32)
    dark = dark * gain[:, None, None, None]
    dark[..., 0] += offset[:, None, None]
    ratio = factor * gain
    return EquallyBright(bright, dark, np.where(is_other_brighter, 1 / ratio, ratio))


def is_exposed(one: Floats, other: Floats) -> Floats:
    """Return 1 where both have their details, 0 where one is overexposed; 1 everywhere if most of it is.

    Takes luma [n, side, side].
    """
    counted = ((one < OVEREXPOSED) & (other < OVEREXPOSED)).astype(np.float32)
    counted[counted.mean(axis=(1, 2)) < 0.1] = 1
    return counted


def _line(wanted: Floats, patch: Floats) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return gain [n] and offset [n] by which `patch` is most like `wanted`, by least squares."""
    counted = is_exposed(wanted, patch)
    total = counted.sum(axis=(1, 2))
    first, second = (patch * counted).sum(axis=(1, 2)) / total, (wanted * counted).sum(axis=(1, 2)) / total
    one, two = patch - first[:, None, None], wanted - second[:, None, None]
    gain = ((one * two * counted).sum(axis=(1, 2)) + 100) / ((one**2 * counted).sum(axis=(1, 2)) + 100)
    return gain, second - gain * first
