"""Whether two thumbnails show one picture: aligned, brought to one brightness, and compared place by place.

Keys find pictures that are alike in their low frequencies, and so do two ties on white. This comparison moves
the window of one picture until both agree best, in steps of least squares (Lucas and Kanade, "An Iterative
Image Registration Technique", 1981), and then looks at the place where they differ most.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.photos.likeness.brightness import OVEREXPOSED, equally_bright, is_exposed
from returns_pipeline.photos.likeness.keys import ORIENTATIONS, frequencies
from returns_pipeline.photos.likeness.thumbnails import Floats, Integers
from returns_pipeline.records.likeness import PhotoChange

#: From this distance on, two pictures are different.
DIFFERENT = 0.62
#: Pixels of the aligned pictures on each side.
_PIXELS = 24
#: Frequencies of the first comparison, and the largest weight that a high one has.
_FREQUENCIES, _MOST_WEIGHT = 14, 6.0
#: The least correlation of the first comparison. Copies have 0.75 and more before they are aligned.
_LEAST_CORRELATION = 0.75
_STEPS, _LONGEST_STEP = 7, 0.04
#: Levels by which a place may differ, and the part of the contrast around it by which it may differ besides.
_LEVELS, _CONTRAST, _COLOUR_LEVELS, _COLOUR_CONTRAST = 6.0, 0.25, 5.5, 0.25
#: The part of the contrast that may stay unexplained.
_UNEXPLAINED = 0.135
#: How much more a brighter copy may differ, for each factor e of brightness, in luma and in colour.
_BRIGHTER, _BRIGHTER_COLOUR = 5.0, 10.0
#: The part of a picture that shows something from which the limits hold, and the least share of the limits.
_BUSY, _LEAST_SHARE = 0.7, 0.04
#: Levels by which a detail differs from its surroundings, and the least part of a picture with details.
_DETAIL, _LEAST_DETAIL = 2.0, 0.03
#: The brightness of a copy as a multiple of the other picture's.
_LEAST_RATIO, _MOST_RATIO = 0.7, 1.45
#: The part of a window that is left out on each side.
_INSET = 0.02
#: Pixels around a place whose mean is compared: details that a scaled copy has lost count less.
_REACH = 1.8
#: From these on, a copy is called cropped or framed, and brighter or darker.
_EDGE, _OTHER_RATIO = 0.02, 1.08


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

    `ratio` [n] is the brightness of the first one as a multiple of the other's; `shown` [n, 4] is the part of
    the other one that it shows, as (top, bottom, left, right) in the orientation of the keys, all of it from
    0 to 1. `is_mirrored` and `is_turned` [n] say how the first one lies.
    """

    distances: Floats
    ratio: Floats
    shown: Floats
    is_mirrored: NDArray[np.bool_]
    is_turned: NDArray[np.bool_]

    def changes(self, place: int, *, is_later: bool) -> tuple[PhotoChange, ...]:
        """Return how the later picture of a pair differs; `is_later`: the first one of the pair is it."""
        ratio = float(self.ratio[place])
        inner = max(self.shown[place, [0, 2]].max(), 1 - self.shown[place, [1, 3]].min())
        outer = max(-self.shown[place, [0, 2]].min(), self.shown[place, [1, 3]].max() - 1)
        if not is_later:
            ratio, inner, outer = 1 / ratio, outer, inner
        found = {
            PhotoChange.MIRRORED: self.is_mirrored[place],
            PhotoChange.TURNED: self.is_turned[place],
            PhotoChange.CROPPED: inner > _EDGE,
            PhotoChange.FRAMED: outer > _EDGE,
            PhotoChange.BRIGHTER: ratio > _OTHER_RATIO,
            PhotoChange.DARKER: ratio < 1 / _OTHER_RATIO,
        }
        return tuple(change for change, is_so in found.items() if is_so)


def compare(one: Seen, other: Seen) -> Compared:
    """Align pairs, and measure how much they differ where they differ most.

    Copies that were saved again have distances up to 0.3, most crops and frames up to 0.5.
    """
    is_mirrored, is_turned = _turned(one.turns, other.turns)
    one, other = _inset(_upright(one)), _inset(_upright(other))
    windows = _aligned(one, other)
    wanted, patch, ratio = equally_bright(_picture(one, one.windows), _picture(other, windows))
    found = np.maximum(
        _luma_distances(wanted[..., 0], patch[..., 0], ratio),
        np.where(_are_coloured(one, other), _colour_distances(wanted[..., 1:], patch[..., 1:], ratio), 0),
    )
    found /= np.clip((_busy(wanted[..., 0]) / _BUSY) ** 2, _LEAST_SHARE, 1)
    says_something = _detailed(wanted[..., 0]) >= _LEAST_DETAIL
    is_similar = says_something & (ratio > _LEAST_RATIO) & (ratio < _MOST_RATIO)
    found = np.where(is_similar, found, np.inf).astype(np.float32)
    return Compared(found, ratio, _shown(one.windows, windows), is_mirrored, is_turned)


def _aligned(one: Seen, other: Seen) -> Floats:
    """Return the windows [n, 4] of the other pictures that show what the windows of the first ones show."""
    wanted = _patch(one.luma, one.windows, _PIXELS)
    windows = other.windows.copy()
    for _ in range(_STEPS):
        windows += _step(wanted, _patch(other.luma, windows, _PIXELS), windows)
    return windows


def _picture(seen: Seen, windows: Floats) -> Floats:
    """Return [n, pixels, pixels, 3]: luma and both colour differences in windows."""
    planes = [seen.luma, seen.colours[:, 0], seen.colours[:, 1]]
    return np.stack([_patch(plane, windows, _PIXELS) for plane in planes], axis=-1)


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
    counted = is_exposed(wanted, patch)
    basis = (np.stack(terms, axis=1) * counted[:, None]).reshape(len(patch), 6, -1)
    goal = (wanted * counted).reshape(len(patch), -1, 1)
    square = basis @ basis.transpose(0, 2, 1) + np.eye(6, dtype=np.float32) * 1e-2
    found = np.linalg.solve(square, basis @ goal)[:, :, 0]
    moved = np.clip(found[:, :4] / np.maximum(found[:, 4:5], 0.2), -_LONGEST_STEP, _LONGEST_STEP)
    height, width = windows[:, 1] - windows[:, 0], windows[:, 3] - windows[:, 2]
    scaled: Floats = (moved * np.stack([height, height, width, width], axis=1)).astype(np.float32)
    return scaled


def _luma_distances(wanted: Floats, patch: Floats, ratio: Floats) -> Floats:
    """Return [n]: the largest difference of a place, or what the other picture leaves unexplained."""
    # Without the outermost places, which a frame or the edge of a crop may touch.
    apart = (np.minimum(wanted, OVEREXPOSED) - np.minimum(patch, OVEREXPOSED))[:, 1:-1, 1:-1]
    tolerance = _tolerance(ratio, _BRIGHTER)
    allowed = _LEVELS * tolerance[:, None, None] + _CONTRAST * _contrast(wanted)
    largest = _largest(np.abs(_smooth(apart)) / allowed[:, 2:-2, 2:-2])
    unexplained = _smooth(apart).std(axis=(1, 2)) / (_smooth(wanted).std(axis=(1, 2)) + 1)
    found: Floats = np.maximum(largest, unexplained / (_UNEXPLAINED * tolerance))
    return found


def _colour_distances(wanted: Floats, patch: Floats, ratio: Floats) -> Floats:
    """Return [n]: the largest difference of a place in one of the two colour differences."""
    allowed = _COLOUR_LEVELS * _tolerance(ratio, _BRIGHTER_COLOUR)[:, None, None]
    found = np.zeros(len(wanted), np.float32)
    for plane in range(2):
        mine, theirs = _halved(wanted[..., plane]), _halved(patch[..., plane])
        apart = np.abs(_smooth((mine - theirs)[:, 1:-1, 1:-1]))
        by_place = allowed + _COLOUR_CONTRAST * _contrast(mine)
        found = np.maximum(found, _largest(apart / by_place[:, 2:-2, 2:-2]))
    return found


def _are_coloured(one: Seen, other: Seen) -> NDArray[np.bool_]:
    """Whether both pictures [n] have colours: the thumbnails of a grey model have none to compare."""
    return np.asarray(one.colours.any(axis=(1, 2, 3)) & other.colours.any(axis=(1, 2, 3)))


def _tolerance(ratio: Floats, brighter: float) -> Floats:
    """Return [n]: how much more pictures may differ if one is brighter and has lost highlights."""
    found: Floats = 1 + brighter * np.clip(
        np.abs(np.log(np.clip(ratio, _LEAST_RATIO, _MOST_RATIO))) - 0.03, 0, 0.25
    )
    return found


def _busy(wanted: Floats) -> Floats:
    """Return the part [n] of a picture that shows something: two things on white are alike in the white."""
    return np.asarray((_contrast(wanted) > _LEVELS).mean(axis=(1, 2)), np.float32)


def _detailed(wanted: Floats) -> Floats:
    """Return the part [n] of a picture with details, which a plain wall in uneven light has not."""
    apart = np.abs(wanted[:, 1:-1, 1:-1] - _smooth(wanted))
    return np.asarray((apart > _DETAIL).mean(axis=(1, 2)), np.float32)


def _halved(planes: Floats) -> Floats:
    """Return [n, side / 2, side / 2]: the means of 2 x 2 places."""
    count, side = planes.shape[:2]
    found: Floats = planes.reshape(count, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    return found


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
