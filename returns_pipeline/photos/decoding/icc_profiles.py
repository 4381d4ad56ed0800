"""Writes small ICC profiles of RGB colour spaces that files name but do not embed (ICC.1:2010)."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ColourSpace(NamedTuple):
    """An RGB colour space: the xy chromaticities of red, green, blue and white, and its curve.

    `gamma`: the exponent from values to light; 0 for the curve of sRGB.
    """

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    gamma: float


_D65 = (0.3127, 0.3290)
SRGB = ColourSpace((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65, 0)
DISPLAY_P3 = ColourSpace((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65, 0)
BT_2020 = ColourSpace((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65, 0)
ADOBE_RGB = ColourSpace((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65, 563 / 256)

#: The white of the profile connection space, D50.
_D50 = np.array([0.9642, 1.0, 0.8249])
#: Bradford's matrix from XYZ to the responses of the eye's cones (ICC.1:2010, annex E).
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
#: Parameters of the curve of sRGB (IEC 61966-2-1), as function type 3.
_SRGB_CURVE = (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def icc_profile(space: ColourSpace) -> bytes:
    """Return the ICC profile of a colour space. Raises ValueError if its primaries span no colours."""
    kind, parameters = (0, (space.gamma,)) if space.gamma else _SRGB_CURVE
    curve = struct.pack(">4s4xHxx", b"para", kind) + b"".join(map(_fixed, parameters))
    columns = _to_connection_space(space).T
    contents = [_xyz(_D50), *(_xyz(column) for column in columns), curve]
    places, body, start = [], b"", 128 + 4 + 12 * 7
    for content in contents:
        places.append(struct.pack(">II", start + len(body), len(content)))
        body += content
    names = (b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    shared = [*places, places[-1], places[-1]]
    table = struct.pack(">I", len(names)) + b"".join(n + p for n, p in zip(names, shared, strict=True))
    head = struct.pack(">I4xI4s4s4s12x4s", start + len(body), 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (head.ljust(68, b"\0") + b"".join(map(_fixed, _D50))).ljust(128, b"\0") + table + body


def _to_connection_space(space: ColourSpace) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to XYZ, adapted to D50 by Bradford's method."""
    primaries = np.array([_white_xyz(xy) for xy in (space.red, space.green, space.blue)]).T
    white = _white_xyz(space.white)
    try:
        matrix = primaries * np.linalg.solve(primaries, white)
    except np.linalg.LinAlgError:
        raise ValueError("the primaries span no colours") from None
    gains = (_CONES @ _D50) / (_CONES @ white)
    adapted: NDArray[np.float64] = np.linalg.inv(_CONES) @ (gains[:, None] * _CONES) @ matrix
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 2:
        raise ValueError("the primaries are no real colours")
    return adapted


def _white_xyz(xy: tuple[float, float]) -> NDArray[np.float64]:
    x, y = xy
    if y <= 0:
        raise ValueError("a chromaticity has no light")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(float(value) * 65536))
