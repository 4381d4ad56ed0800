"""Whether two thumbnails show one picture: aligned, brought to one brightness, and compared place by place.

Keys find pictures that are alike in their low frequencies, and so do two ties on white. This comparison moves
the window of one picture until both agree best, in steps of least squares (Lucas and Kanade, "An Iterative
Image Registration Technique", 1981), and then looks at the place where they differ most.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.photos.likeness.keys import ORIENTATIONS, frequencies
from returns_pipeline.photos.likeness.thumbnails import Floats, Integers
from returns_pipeline.records.likeness import PhotoChange

#: From this distance on, two pictures are different.
DIFFERENT = 0.56
#: Pixels of the aligned pictures on each side: of luma, and of the colour differences.
_PIXELS, _COLOUR_PIXELS = 24, 12
#: Frequencies of the first comparison, and the largest weight that a high one has.
_FREQUENCIES, _MOST_WEIGHT = 14, 6.0
#: The least correlation of the first comparison. Copies have 0.75 and more before they are aligned.
_LEAST_CORRELATION = 0.75
_STEPS, _LONGEST_STEP = 7, 0.04
#: Levels from which a photo is overexposed: a brighter copy has lost what was there.
_OVEREXPOSED = 245.0
#: Levels by which a place may differ, and the part of the contrast around it by which it may differ besides.
_LEVELS, _CONTRAST, _COLOUR_LEVELS, _COLOUR_CONTRAST = 6.0, 0.25, 5.5, 0.25
#: The part of the contrast that may stay unexplained.
_UNEXPLAINED = 0.135
#: How much more a brighter copy may differ, for each factor e of brightness, in luma and in colour.
_BRIGHTER, _BRIGHTER_COLOUR = 9.0, 20.0
#: The part of a picture that shows something from which the limits hold, and the least share of the limits.
_BUSY, _LEAST_SHARE = 0.7, 0.04
#: The contrast of a copy as a multiple of the other picture's.
_LEAST_GAIN, _MOST_GAIN = 0.7, 1.45
#: The part of a window that is left out on each side.
_INSET = 0.02
#: Pixels around a place whose mean is compared: details that a scaled copy has lost count less.
_REACH = 1.8
#: From these on, a copy is called cropped or framed, and brighter or darker.
_EDGE, _OTHER_GAIN = 0.02, 1.08


class Seen(NamedTuple):
    """Pictures as keys saw them: luma [n, 32, 32], colours [n, 2, 16, 16], windows [n, 4], turns [n]."""

    luma: Floats
    colours: Floats
    windows: Floats
    turns: Integers

    def only(self, places: Integers) -> "Seen":
        """Return some of the pictures."""
        return Seen(self.luma[places], self.colours[places], self.windows[places], self.turns[places])


def correlations(one: Seen, other: Seen) -> Floats:
    """Return float32 [n]: how well the windows of pairs agree, from -1 to 1, without moving them."""
    found: Floats = (_spectrum(one) * _spectrum(other)).sum(axis=1)
    return found


def is_worth_comparing(correlation: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether pairs may show one picture, by their correlation."""
    return correlation >= _LEAST_CORRELATION


class Compared(NamedTuple):
    """Pairs after their comparison. Below DIFFERENT, float32 `distances` [n] say that they are one picture.

    `gain` [n] is the brightness of the first one as a multiple of the other's; `shown` [n, 4] is the part of
    the other one that it shows, as (top, bottom, left, right) in the orientation of the keys, all of it from
    0 to 1. `is_mirrored` and `is_turned` [n] say how the first one lies.
    """

    distances: Floats
    gain: Floats
    shown: Floats
    is_mirrored: NDArray[np.bool_]
    is_turned: NDArray[np.bool_]

    def changes(self, place: int, *, is_later: bool) -> tuple[PhotoChange, ...]:
        """Return how the later picture of a pair differs; `is_later`: the first one of the pair is it."""
        gain = float(self.gain[place])
        inner = max(self.shown[place, [0, 2]].max(), 1 - self.shown[place, [1, 3]].min())
        outer = max(-self.shown[place, [0, 2]].min(), self.shown[place, [1, 3]].max() - 1)
        if not is_later:
            gain, inner, outer = 1 / gain, outer, inner
        found = {
            PhotoChange.MIRRORED: self.is_mirrored[place],
            PhotoChange.TURNED: self.is_turned[place],
            PhotoChange.CROPPED: inner > _EDGE,
            PhotoChange.FRAMED: outer > _EDGE,
            PhotoChange.BRIGHTER: gain > _OTHER_GAIN,
            PhotoChange.DARKER: gain < 1 / _OTHER_GAIN,
        }
        return tuple(change for change, is_so in found.items() if is_so)


def compare(one: Seen, other: Seen) -> Compared:
    """Align pairs, and measure how much they differ where they differ most.

    Copies that were saved again have distances up to 0.3, most crops and frames up to 0.5.
    """
    is_mirrored, is_turned = _turned(one.turns, other.turns)
    one, other = _inset(_upright(one)), _inset(_upright(other))
    wanted = _patch(one.luma, one.windows, _PIXELS)
    windows = other.windows.copy()
    for _ in range(_STEPS):
        patch = _patch(other.luma, windows, _PIXELS)
        windows += _step(wanted, patch, windows)
    patch = _patch(other.luma, windows, _PIXELS)
    gain, offset = _brightness(wanted, patch)
    fitted = patch * gain[:, None, None] + offset[:, None, None]
    # Without the outermost places, which a frame or the edge of a crop may touch.
    apart = np.minimum(wanted, _OVEREXPOSED) - np.minimum(fitted, _OVEREXPOSED)
    allowed = _LEVELS * _tolerance(gain)[:, None, None] + _CONTRAST * _contrast(wanted)
    apart = apart[:, 1:-1, 1:-1]
    luma = _largest(np.abs(_smooth(apart)) / allowed[:, 2:-2, 2:-2])
    found = np.maximum(luma, _colour_distances(one, other, windows, gain))
    found = np.maximum(found, _unexplained(wanted, apart) / (_UNEXPLAINED * _tolerance(gain)))
    found /= np.clip((_busy(wanted) / _BUSY) ** 2, _LEAST_SHARE, 1)
    found = np.where((gain > _LEAST_GAIN) & (gain < _MOST_GAIN), found, np.inf).astype(np.float32)
    return Compared(found, gain, _shown(one.windows, windows), is_mirrored, is_turned)


def _turned(one: Integers, other: Integers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return of pairs [n], by their turns, whether one is mirrored, and whether one is turned."""
    (swapped, down, across) = (ORIENTATIONS[one] ^ ORIENTATIONS[other]).T
    return (swapped ^ down ^ across) == 1, (swapped | down) == 1


def _inset(seen: Seen) -> Seen:
    """Return the pictures without the outermost part of their windows, which an edge or a frame touches."""
    top, bottom, left, right = seen.windows.T
    down, across = (bottom - top) * _INSET, (right - left) * _INSET
    windows = np.stack([top + down, bottom - down, left + across, right - across], axis=1)
    return seen._replace(windows=windows.astype(np.float32))


def _shown(one: Floats, other: Floats) -> Floats:
    """Return [n, 4]: the window of the other picture that one shows, if its window `one` is `other` there."""
    ends = []
    for first, last in ((0, 1), (2, 3)):
        scale = (other[:, last] - other[:, first]) / (one[:, last] - one[:, first])
        start = other[:, first] - one[:, first] * scale
        ends += [start, start + scale]
    return np.stack(ends, axis=1)


def _spectrum(seen: Seen) -> Floats:
    found = frequencies(seen.luma, seen.windows, _FREQUENCIES)
    order = np.arange(_FREQUENCIES)
    swapped, flip_down, flip_across = ORIENTATIONS[seen.turns].T[:, :, None, None]
    found = found * (1 - 2 * ((order[:, None] * flip_down + order * flip_across) % 2))
    found = np.where(swapped == 1, found.transpose(0, 2, 1), found)
    weights = np.minimum(np.hypot(order[:, None], order), _MOST_WEIGHT)
    flat = (found * weights).reshape(len(found), -1)
    scaled: Floats = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-3)
    return scaled


def _upright(seen: Seen) -> Seen:
    """Turn the pictures and their windows into the orientation in which keys saw them."""
    luma, colours, windows = seen.luma.copy(), seen.colours.copy(), seen.windows.copy()
    for turn, (swapped, flip_down, flip_across) in enumerate(ORIENTATIONS):
        at = np.flatnonzero(seen.turns == turn)
        down, across = (-1 if flip_down else 1), (-1 if flip_across else 1)
        one, two = luma[at][:, ::down, ::across], colours[at][:, :, ::down, ::across]
        window = windows[at]
        if flip_down:
            window[:, :2] = 1 - window[:, 1::-1]
        if flip_across:
            window[:, 2:] = 1 - window[:, :1:-1]
        if swapped:
            one, two, window = one.transpose(0, 2, 1), two.transpose(0, 1, 3, 2), window[:, [2, 3, 0, 1]]
        luma[at], colours[at], windows[at] = one, two, window
    return Seen(luma, colours, windows, np.zeros_like(seen.turns))


def _patch(planes: Floats, windows: Floats, pixels: int) -> Floats:
    """Return [n, pixels, pixels] of planes [n, side, side] in windows, each the mean of places around it."""
    side = planes.shape[-1]
    down = _between(windows[:, 0], windows[:, 1], side, pixels)
    across = _between(windows[:, 2], windows[:, 3], side, pixels)
    found: Floats = down @ planes @ across.transpose(0, 2, 1)
    return found


def _between(first: Floats, last: Floats, side: int, pixels: int) -> Floats:
    middles = (np.arange(pixels, dtype=np.float32) + 0.5) / pixels
    places = (first[:, None] + (last - first)[:, None] * middles) * side - 0.5
    places = np.clip(places, 0, side - 1)
    away = np.abs(places[:, :, None] - np.arange(side, dtype=np.float32))
    weights = np.clip(1 - away / _REACH, 0, None)
    found: Floats = (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)
    return found


def _step(wanted: Floats, patch: Floats, windows: Floats) -> Floats:
    """Return how to move the ends of each window so that `patch` becomes more like `wanted`."""
    along = ((np.arange(_PIXELS) + 0.5) / _PIXELS).astype(np.float32)
    down, across = np.gradient(patch, axis=1) * _PIXELS, np.gradient(patch, axis=2) * _PIXELS
    far, right = along[:, None], along[None, :]
    terms = [down * (1 - far), down * far, across * (1 - right), across * right, patch, np.ones_like(patch)]
    counted = _is_exposed(wanted, patch)
    basis = (np.stack(terms, axis=1) * counted[:, None]).reshape(len(patch), 6, -1)
    goal = (wanted * counted).reshape(len(patch), -1, 1)
    square = basis @ basis.transpose(0, 2, 1) + np.eye(6, dtype=np.float32) * 1e-2
    found = np.linalg.solve(square, basis @ goal)[:, :, 0]
    moved = np.clip(found[:, :4] / np.maximum(found[:, 4:5], 0.2), -_LONGEST_STEP, _LONGEST_STEP)
    height, width = windows[:, 1] - windows[:, 0], windows[:, 3] - windows[:, 2]
    scaled: Floats = (moved * np.stack([height, height, width, width], axis=1)).astype(np.float32)
    return scaled


def _is_exposed(wanted: Floats, patch: Floats) -> Floats:
    """Return 1 where both have their details, 0 where one is overexposed; 1 everywhere if most of it is."""
    counted = ((wanted < _OVEREXPOSED) & (patch < _OVEREXPOSED)).astype(np.float32)
    few = counted.mean(axis=(1, 2)) < 0.1
    counted[few] = 1
    return counted


def _brightness(wanted: Floats, patch: Floats) -> tuple[Floats, Floats]:
    """Return gain [n] and offset [n] by which `patch` is most like `wanted`, by least squares."""
    counted = _is_exposed(wanted, patch)
    total = counted.sum(axis=(1, 2))
    first, second = (patch * counted).sum(axis=(1, 2)) / total, (wanted * counted).sum(axis=(1, 2)) / total
    one, two = patch - first[:, None, None], wanted - second[:, None, None]
    gain = ((one * two * counted).sum(axis=(1, 2)) + 100) / ((one**2 * counted).sum(axis=(1, 2)) + 100)
    return gain, second - gain * first


def _tolerance(gain: Floats, brighter: float = _BRIGHTER) -> Floats:
    """Return [n]: how much more pictures may differ if one is brighter and has lost highlights."""
    found: Floats = 1 + brighter * np.clip(
        np.abs(np.log(np.clip(gain, _LEAST_GAIN, _MOST_GAIN))) - 0.03, 0, 0.25
    )
    return found


def _unexplained(wanted: Floats, apart: Floats) -> Floats:
    """Return the part [n] of a picture's contrast that the other picture does not explain."""
    return np.asarray(_smooth(apart).std(axis=(1, 2)) / (_smooth(wanted).std(axis=(1, 2)) + 1), np.float32)


def _busy(wanted: Floats) -> Floats:
    """Return the part [n] of a picture that shows something: two things on white are alike in the white."""
    return np.asarray((_contrast(wanted) > _LEVELS).mean(axis=(1, 2)), np.float32)


def _colour_distances(one: Seen, other: Seen, windows: Floats, gain: Floats) -> Floats:
    found = np.zeros(len(gain), np.float32)
    for place in range(2):
        wanted = _patch(one.colours[:, place], one.windows, _COLOUR_PIXELS)
        patch = _patch(other.colours[:, place], windows, _COLOUR_PIXELS) * gain[:, None, None]
        apart = np.abs(_smooth((wanted - patch)[:, 1:-1, 1:-1]))
        allowed = _COLOUR_LEVELS * _tolerance(gain, _BRIGHTER_COLOUR)[
            :, None, None
        ] + _COLOUR_CONTRAST * _contrast(wanted)
        found = np.maximum(found, _largest(apart / allowed[:, 2:-2, 2:-2]))
    # A grey model's thumbnails have no colours to compare.
    grey = ~one.colours.any(axis=(1, 2, 3)) | ~other.colours.any(axis=(1, 2, 3))
    return np.where(grey, 0, found)


def _smooth(planes: Floats) -> Floats:
    """Return [n, side - 2, side - 2]: the means of 3 x 3 places, without the outermost."""
    rows = planes[:, :-2] + planes[:, 1:-1] + planes[:, 2:]
    found: Floats = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return found


def _contrast(planes: Floats) -> Floats:
    """Return the difference between the brightest and the darkest of the 3 x 3 places around each."""
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    high, low = np.maximum, np.minimum
    found = []
    for best in (high, low):
        rows = best(best(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:])
        found.append(best(best(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:]))
    spread: Floats = found[0] - found[1]
    return spread


def _largest(values: Floats) -> Floats:
    """Return the largest value of each [n, side, side]."""
    return np.asarray(values.max(axis=(1, 2)), np.float32)
