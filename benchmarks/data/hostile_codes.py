"""Draws pictures that make a reader of codes work for long: noise, and patterns that look like codes."""

from collections.abc import Iterator

import numpy as np
import zxingcpp
from numpy.typing import NDArray

#: Squares of a module, from one pixel of a reduced picture up.
_SCALES = (1, 2, 3, 4, 6)


def hostile_pictures(size: tuple[int, int]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield a name and a picture, uint8 [h, w], of each kind; `size` is (width, height)."""
    width, height = size
    random = np.random.default_rng(1)
    yield "noise of 256 greys", random.integers(0, 256, (height, width), np.uint8)
    y, x = np.mgrid[:height, :width]
    for scale in _SCALES:
        shape = (height // scale + 1, width // scale + 1)
        cells = random.integers(0, 2, shape, np.uint8) * np.uint8(255)
        yield f"black and white noise, {scale} px", _enlarged(cells, scale)[:height, :width].copy()
        yield f"checkers, {scale} px", _grey((x // scale + y // scale) % 2)
        yield f"stripes, {scale} px", _grey(x // scale % 2)
        yield f"slanting stripes, {scale} px", _grey((x + 2 * y) // (2 * scale) % 2)
        yield f"rings, {scale} px", _grey(np.hypot(x - width / 2, y - height / 2) // (2 * scale) % 2)
        for name, tile in _tiles():
            yield f"{name}, {scale} px", _tiled(_enlarged(tile, scale), height, width)
            spoilt = _tiled(_enlarged(tile, scale), height, width)
            spoilt[random.random(spoilt.shape) < 0.05] ^= 255
            yield f"{name}, {scale} px, 5 % spoilt", spoilt


def _tiles() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    mark = np.full((9, 9), 255, np.uint8)
    mark[1:8, 1:8], mark[2:7, 2:7], mark[3:6, 3:6] = 0, 255, 0
    yield "corners of QR codes", mark
    formats = zxingcpp.BarcodeFormat
    for name, barcode_format, text in (
        ("QR codes", formats.QRCode, "R-1"),
        ("EAN-13", formats.EAN13, "4006381333931"),
        ("Code 128", formats.Code128, "R-123"),
    ):
        barcode = zxingcpp.create_barcode(text, barcode_format)
        yield name, np.array(zxingcpp.write_barcode_to_image(barcode, scale=1))


def _grey(bits: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.asarray(bits, np.uint8) * np.uint8(255)


def _enlarged(cells: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return np.kron(cells, np.ones((scale, scale), np.uint8))


def _tiled(tile: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    times = (height // tile.shape[0] + 1, width // tile.shape[1] + 1)
    return np.tile(tile, times)[:height, :width].copy()
