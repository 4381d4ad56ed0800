"""Lines through a picture in black and white, in which linear codes are found.

zxing-cpp chooses one threshold for each line, so that a label that is darker or paler than the rest of the
picture is lost. Here the threshold is local: the middle between the darkest and the brightest pixel near by,
as Bernsen's method has it (Dynamic thresholding of grey-level images, ICPR 1986).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Lines in each direction. A label of 15 % of the width of 12 megapixels is crossed by 11 of them.
_LINES = 160
#: Pixels of a block along a line, and how many blocks to both sides count as near: 80 pixels in all. A code
#: whose bars are wider is found at a smaller scale.
_BLOCK, _REACH = 16, 2
#: Pixels along a line that become one, for each search.
_SCALES = (1, 3)
#: The least difference between ink and paper, of 255.
_LEAST_CONTRAST = 20


class Lines(NamedTuple):
    """Lines in black and white: `pixels` uint8 [lines, length], 0 or 255.

    `along` and `across` are the pixels of the picture for one of `pixels`. If `are_columns`, the lines are
    columns of the picture.
    """

    pixels: NDArray[np.uint8]
    along: int
    across: int
    are_columns: bool


def lines_of(grey: NDArray[np.uint8]) -> Iterator[Lines]:
    """Yield rows and columns of a picture, uint8 [h, w], at each scale."""
    height, width = grey.shape
    for across, are_columns in ((max(1, height // _LINES), False), (max(1, width // _LINES), True)):
        # The pixels of a line lie along the first axis, so that NumPy works on many lines at once.
        chosen = grey[:, across // 2 :: across] if are_columns else grey[across // 2 :: across].T
        chosen = np.ascontiguousarray(chosen)
        for along in _SCALES:
            shorter = chosen if along == 1 else _shortened(chosen, along)
            if len(shorter) >= _BLOCK:
                yield Lines(_black_and_white(shorter), along, across, are_columns)


def _shortened(lines: NDArray[np.uint8], along: int) -> NDArray[np.uint8]:
    """Return lines, [length, lines], of which `along` pixels become their mean."""
    length = len(lines) // along
    parts = lines[: length * along].reshape(length, along, lines.shape[1])
    return np.asarray(parts.sum(1, dtype=np.uint16) // along, np.uint8)


def _black_and_white(lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return lines, [length, lines], as [lines, length] with 0 for ink and 255 for paper.

    The pixels after the last whole block are left out.
    """
    count = len(lines) // _BLOCK
    lines = lines[: count * _BLOCK]
    blocks = lines.reshape(count, _BLOCK, lines.shape[1])
    darkest, brightest = blocks.min(1), blocks.max(1)
    low, high = darkest.copy(), brightest.copy()
    for step in range(1, _REACH + 1):
        np.minimum(low[step:], darkest[:-step], out=low[step:])
        np.minimum(low[:-step], darkest[step:], out=low[:-step])
        np.maximum(high[step:], brightest[:-step], out=high[step:])
        np.maximum(high[:-step], brightest[step:], out=high[:-step])
    twice = low.astype(np.int16) + high
    twice[high - low < _LEAST_CONTRAST] = 0
    # Twice the pixel plus its difference from its neighbours, against blur.
    sharp = lines.astype(np.int16) * 4
    sharp[1:] -= lines[:-1]
    sharp[:-1] -= lines[1:]
    sharp[0] = sharp[-1] = 0
    is_paper = sharp.reshape(blocks.shape) > twice[:, np.newaxis]
    return np.ascontiguousarray((is_paper.view(np.uint8) * np.uint8(255)).reshape(lines.shape).T)
