"""Thumbnails of the pixels that a model takes: all that is kept of a photo for a comparison.

A thumbnail has the luma of a picture in 32 x 32 and its two colour differences in 16 x 16, each as bytes. The
colours are those of JPEG (ITU-T T.871), so that a grey picture has the colour differences 128.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

SIDE, COLOUR_SIDE = 32, 16
#: Bytes of a thumbnail: luma, blue difference, red difference.
BYTES = SIDE * SIDE + 2 * COLOUR_SIDE * COLOUR_SIDE


def is_large_enough(height: int, width: int) -> bool:
    """Whether a model's pixels show enough of a picture to compare it."""
    return min(height, width) >= SIDE


def thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return uint8 [n, BYTES] of `pixels`, uint8 [n, height, width, 1 or 3], each side at least SIDE.

    Pillow starts no threads: a matrix product of a whole batch would occupy the cores on which the model
    runs.
    """
    is_grey = pixels.shape[-1] == 1
    found = np.full((len(pixels), BYTES), 128, np.uint8)
    # Whole numbers of pixels have exact means; other sides are filtered, which takes twice as long.
    is_exact = pixels.shape[1] % SIDE == pixels.shape[2] % SIDE == 0
    for row, each in zip(found, pixels[..., 0] if is_grey else pixels, strict=True):
        picture = Image.fromarray(each).resize(
            (SIDE, SIDE), Image.Resampling.HAMMING, reducing_gap=1.0 if is_exact else 2.0
        )
        if is_grey:
            row[: SIDE * SIDE] = np.asarray(picture).ravel()
            continue
        picture = picture.convert("YCbCr")
        row[: SIDE * SIDE] = np.asarray(picture)[..., 0].ravel()
        row[SIDE * SIDE :] = np.asarray(picture.reduce(2))[..., 1:].transpose(2, 0, 1).ravel()
    return found


def luma(thumbs: NDArray[np.uint8]) -> Floats:
    """Return float32 [n, 32, 32] of thumbnails, uint8 [n, BYTES]."""
    return thumbs[:, : SIDE * SIDE].reshape(-1, SIDE, SIDE).astype(np.float32)


def colours(thumbs: NDArray[np.uint8]) -> Floats:
    """Return float32 [n, 2, 16, 16] of thumbnails, uint8 [n, BYTES]: 0 is grey."""
    return thumbs[:, SIDE * SIDE :].reshape(-1, 2, COLOUR_SIDE, COLOUR_SIDE).astype(np.float32) - 128
