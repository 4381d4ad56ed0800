"""Keys of a picture that an index finds again after it was cropped, framed, turned, mirrored or saved again.

A key is the signs of 33 low frequencies of the picture's discrete cosine transform, after the perceptual hash
of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010). Three things make it
find more:

- **Windows.** The transform is taken over parts of the picture too, as if it were cropped, and over the part
  inside a plain frame. A crop has the key that was stored for its part of the picture.
- **One orientation.** Mirroring and turning by 90 degrees change signs and places of the frequencies and
  nothing else. A picture is brought to the orientation in which its two lowest frequencies are positive and
  the vertical one is the larger.
- **Several probes.** A search also asks for the keys, and the orientations, that differ in the signs of small
  frequencies, the most probable first: Lv et al., "Multi-Probe LSH" (VLDB 2007).
"""

import itertools
from typing import NamedTuple

import numpy as np

from returns_pipeline.photos.likeness.thumbnails import SIDE, Floats, Integers

_FREQUENCIES = 8
_LEAST_SUM, _MOST_SUM = 2, 7
#: The frequencies of a key, [(vertical, horizontal)], and where each is after the axes are swapped.
_PLACES = [
    (down, across)
    for down in range(_FREQUENCIES)
    for across in range(_FREQUENCIES)
    if _LEAST_SUM <= down + across <= _MOST_SUM
]
_DOWN, _ACROSS = np.array(_PLACES).T
_SWAPPED = np.array([_PLACES.index((across, down)) for down, across in _PLACES])
_BITS = np.int64(1) << np.arange(len(_PLACES))

#: The eight orientations: (axes swapped, flipped vertically, flipped horizontally).
ORIENTATIONS = np.array(list(itertools.product((0, 1), repeat=3)))
#: A frequency changes by about this part of the mean frequency in a copy.
_NOISE = 0.12
#: Signs that a probe may change, and every choice of them.
_DOUBTED = 6
_CHOICES = np.array(list(itertools.product((0, 1), repeat=_DOUBTED)))

_WHOLE = (0.0, 1.0, 0.0, 1.0)
_CENTRES = [(edge, 1 - edge, edge, 1 - edge) for edge in (0.025, 0.05)]
_CORNERS = [(top, top + 0.95, left, left + 0.95) for top in (0, 0.05) for left in (0, 0.05)]
_SIDES = [(0.0, 0.95, 0.0, 1.0), (0.05, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, 0.95), (0.0, 1.0, 0.05, 1.0)]
#: A frame of equal width takes another part of the height than of the width.
_UNEQUAL = [(0.0135, 0.9865, 0.0, 1.0), (0.0, 1.0, 0.0135, 0.9865)]


class _View(NamedTuple):
    """A window, as (top, bottom, left, right) from 0 to 1, of the picture or of what is inside its frame."""

    window: tuple[float, float, float, float]
    is_inside_frame: bool
    probes: int = 1


#: The views whose keys are stored. The number of a view is part of stored rows: only add at the end.
_STORED = [
    *(_View(window, False) for window in (_WHOLE, *_CENTRES, *_CORNERS, *_SIDES)),
    *(_View(window, True) for window in (_WHOLE, _CENTRES[0])),
]
_SEARCHED = [
    _View(_WHOLE, False, 96),
    *(_View(window, False, 8) for window in (*_CENTRES, *_CORNERS)),
    _View(_WHOLE, True, 96),
    _View(_CENTRES[0], True, 12),
    *(_View(window, True, 48) for window in _UNEQUAL),
]
#: Levels of 255 by which the lines of a frame may differ, and the most lines of a frame on each side.
_PLAIN, _MOST_LINES = 6.0, 5


class Keys(NamedTuple):
    """Keys of pictures, one place for each: `pictures` positions, `windows` float32 [n, 4], `turns` 0 to 7.

    A window is seen in the orientation `ORIENTATIONS[turn]`. `views` are the numbers of stored views.
    """

    keys: Integers
    pictures: Integers
    views: Integers
    windows: Floats
    turns: Integers


def stored_keys(luma: Floats) -> Keys:
    """Return the keys to store for pictures, float32 [n, 32, 32]: about eleven for each."""
    return _keys(luma, _STORED)


def searched_keys(luma: Floats) -> Keys:
    """Return the keys to search for: about a hundred for each picture, float32 [n, 32, 32]."""
    return _keys(luma, _SEARCHED)


def stored_views(luma: Floats, views: Integers) -> tuple[Floats, Integers]:
    """Return the windows [n, 4] and turns [n] of stored views, one view for each picture."""
    framed = _inside_frames(luma)
    windows = np.empty((len(luma), 4), np.float32)
    for number, view in enumerate(_STORED):
        at = np.flatnonzero(views == number)
        windows[at] = _windows(framed[at], view)
    turns = np.empty(len(luma), np.int64)
    for start in range(0, len(luma), 4096):
        part = slice(start, start + 4096)
        turns[part] = _probes(frequencies(luma[part], windows[part], _FREQUENCIES), 1)[1][:, 0]
    return windows, turns


def frequencies(planes: Floats, windows: Floats, count: int) -> Floats:
    """Return the cosine transform [n, count, count] of each plane [n, side, side] over its window [n, 4]."""
    side = planes.shape[-1]
    down = _waves(windows[:, 0], windows[:, 1], side, count)
    across = _waves(windows[:, 2], windows[:, 3], side, count)
    found: Floats = down @ planes @ across.transpose(0, 2, 1)
    return found


def _waves(first: Floats, last: Floats, pixels: int, count: int) -> Floats:
    """Return [n, count, pixels]: the integral of each cosine of a window over each pixel of the picture."""
    edges = np.linspace(0, 1, pixels + 1, dtype=np.float32)
    length = (last - first)[:, None]
    inside = (np.clip(edges, first[:, None], last[:, None]) - first[:, None]) / length
    waves = np.arange(1, count, dtype=np.float32)[:, None] * np.float32(np.pi)
    sines = np.sin(waves * inside[:, None]) / waves * np.float32(np.sqrt(2))
    return np.concatenate([np.diff(inside)[:, None], np.diff(sines)], axis=1)


def _keys(luma: Floats, views: list[_View]) -> Keys:
    framed = _inside_frames(luma)
    with_frame = np.flatnonzero((framed != _WHOLE).any(axis=1))
    everything = np.arange(len(luma))
    parts = []
    for number, view in enumerate(views):
        pictures = with_frame if view.is_inside_frame else everything
        windows = _windows(framed[pictures], view)
        keys, turns = _probes(frequencies(luma[pictures], windows, _FREQUENCIES), view.probes)
        many = view.probes
        numbers = np.full(len(pictures) * many, number)
        parts.append(
            Keys(
                keys.ravel(),
                np.repeat(pictures, many),
                numbers,
                np.repeat(windows, many, axis=0),
                turns.ravel(),
            )
        )
    return Keys(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _windows(framed: Floats, view: _View) -> Floats:
    base = framed if view.is_inside_frame else np.broadcast_to(np.array(_WHOLE, np.float32), framed.shape)
    top, bottom, left, right = view.window
    height, width = base[:, 1] - base[:, 0], base[:, 3] - base[:, 2]
    ends = [base[:, 0] + height * top, base[:, 0] + height * bottom]
    return np.stack([*ends, base[:, 2] + width * left, base[:, 2] + width * right], axis=1).astype(np.float32)


def _probes(found: Floats, count: int) -> tuple[Integers, Integers]:
    """Return the `count` most probable keys [n, count] and their orientations [n, count].

    The cost of a changed sign is the square of the frequency over that of its noise.
    """
    values = found[:, _DOWN, _ACROSS]
    noise = (_NOISE * np.sqrt((values**2).mean(axis=1)) + 1e-6) ** 2
    down, across = found[:, 1, 0], found[:, 0, 1]
    is_upright = np.abs(down) >= np.abs(across)
    to_swap = (np.abs(down) - np.abs(across)) ** 2 / 2 / noise
    doubts = values**2 / noise[:, None]
    keys, costs = [], []
    for swapped, flip_down, flip_across in ORIENTATIONS:
        cost = np.where(is_upright == (swapped == 0), 0, to_swap)
        cost = cost + np.where((down > 0) == (flip_down == 0), 0, down**2 / noise)
        cost += np.where((across > 0) == (flip_across == 0), 0, across**2 / noise)
        turned = values * (1 - 2 * ((_DOWN * flip_down + _ACROSS * flip_across) % 2))
        doubt = doubts
        if swapped:
            turned, doubt = turned[:, _SWAPPED], doubts[:, _SWAPPED]
        key = (turned > 0) @ _BITS
        if count == 1:
            keys.append(key[:, None])
            costs.append(cost[:, None])
            continue
        least = np.argpartition(doubt, _DOUBTED, axis=1)[:, :_DOUBTED]
        keys.append(key[:, None] ^ (_BITS[least] @ _CHOICES.T))
        costs.append(cost[:, None] + np.take_along_axis(doubt, least, axis=1) @ _CHOICES.T)
    every, cost = np.concatenate(keys, axis=1), np.concatenate(costs, axis=1)
    best = cost.argmin(axis=1)[:, None] if count == 1 else np.argpartition(cost, count, axis=1)[:, :count]
    return np.take_along_axis(every, best, axis=1), best // (every.shape[1] // len(ORIENTATIONS))


def _inside_frames(luma: Floats) -> Floats:
    """Return [n, 4]: the window inside the plain frame of each picture; the whole picture if it has none.

    A line that is partly frame counts with the part that explains it as a mixture of the frame and the line
    after it.
    """
    lines = np.zeros((len(luma), 4), np.float32)
    every = np.arange(len(luma))
    sides = (luma, luma[:, ::-1], luma.transpose(0, 2, 1), luma[:, :, ::-1].transpose(0, 2, 1))
    for place, side in enumerate(sides):
        outer = side[:, :_MOST_LINES]
        level = outer.mean(axis=2)
        is_plain = (outer.std(axis=2) < _PLAIN) & (np.abs(level - level[:, :1]) < _PLAIN)
        plain = np.cumprod(is_plain, axis=1).sum(axis=1)
        mixed, after = side[every, plain], side[every, plain + 1]
        step = level[:, :1] - after
        part = ((mixed - after) * step).sum(axis=1) / ((step**2).sum(axis=1) + 1)
        lines[:, place] = np.where(plain > 0, plain + np.clip(part, 0, 1), 0) / SIDE
    return np.stack([lines[:, 0], 1 - lines[:, 1], lines[:, 2], 1 - lines[:, 3]], axis=1)
