"""Bars, and shares with their intervals, as SVG with axes and numbers; a table beside each has the same.

Widths are shares of the page, heights and letters are pixels: a chart is as readable on a phone as at a desk.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from returns_pipeline import languages
from returns_pipeline.languages import short

#: Pixels: the height of upright bars, of a row of lying bars, and of the lines of text below them.
_HEIGHT, _FOOT, _ROW, _THICK = 170.0, 38.0, 28.0, 14.0
_LETTERS = 17
#: Labels below upright bars; on a phone a third of them.
_MOST_LABELS, _FEW_LABELS = 20, 7

Format = Callable[[float], str]


class Bar(NamedTuple):
    """One bar of the length `value`: the first `part` of it is red; `usual` is a line across, None for none.

    `title` is shown for the pointer.
    """

    label: str
    value: float
    title: str
    usual: float | None = None
    part: float = 0.0


class Interval(NamedTuple):
    """A share, 0 to 1, None if it is not known, and the interval that holds it."""

    label: str
    value: float | None
    low: float
    high: float
    title: str


def number(value: float) -> str:
    """Return a number of an axis."""
    return short(value)


def percent(value: float) -> str:
    """Return a share as a percentage of an axis."""
    return f"{short(100 * value)} %"


def share(value: float) -> str:
    """Return a share as a percentage beside its bar."""
    return languages.percent(value)


def ticks(highest: float, most: int = 5) -> list[float]:
    """Return at most `most` round values from 0 to one that is not below `highest`.

    The steps are 1, 2 or 5 times a power of ten.
    """
    least = (highest or 1.0) / (most - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= least * (1 - 1e-9))
    return [count * step for count in range(math.ceil((highest or 1.0) / step - 1e-9) + 1)]


def lying(name: str, bars: Sequence[Bar], value: Format, axis: Format) -> Markup:
    """Return bars below each other with their names and values; `name` describes the chart."""
    marks = ticks(_highest(bars))
    end, height = marks[-1], _ROW * len(bars)
    inside = [_across(100 * mark / end, height) for mark in marks]
    names, values = [], []
    for row, bar in enumerate(bars):
        top = row * _ROW
        middle = top + _ROW / 2 + 4
        shapes = [_lying_rect("bar", 0, bar.value / end, top)]
        if bar.part:
            shapes.append(_lying_rect("bad", 0, bar.part / end, top))
        if bar.usual is not None:
            at = 100 * bar.usual / end
            # The halo sets the line off from the bar that it crosses.
            shapes += [_mark(kind, at, top) for kind in ("halo", "usual")]
        inside.append(
            Markup('<g class="hit"><title>{}</title>{}</g>').format(bar.title, Markup().join(shapes))
        )
        names.append(
            Markup('<text class="name" x="0" y="{:.0f}">{}</text>').format(middle, _short(bar.label))
        )
        values.append(
            Markup('<text class="value" x="100%" y="{:.0f}" text-anchor="end">{}</text>').format(
                middle, value(bar.value)
            )
        )
    for count, mark in enumerate(marks):
        kind = "wide" if count % 2 else ""
        inside.append(
            Markup('<text class="{}" x="{:.2f}%" y="{:.0f}" text-anchor="middle">{}</text>').format(
                kind, 100 * mark / end, height + 16, axis(mark)
            )
        )
    inside.append(Markup('<line class="axis" x1="0" x2="0" y1="0" y2="{:.0f}"/>').format(height))
    return _chart("lying", name, height + 24, names, inside, values)


def upright(name: str, bars: Sequence[Bar], axis: Format, unit: str) -> Markup:
    """Return bars beside each other; `unit` names what their heights count."""
    marks = ticks(_highest(bars))
    end, step = marks[-1], 100 / max(len(bars), 8)
    every = math.ceil(len(bars) / _MOST_LABELS)
    on_phone = every * math.ceil(len(bars) / _FEW_LABELS / every) if bars else 1
    inside, beside = [], []
    for mark in marks:
        at = _HEIGHT * (1 - mark / end)
        kind = "tick" if mark else "axis"
        inside.append(
            Markup('<line class="{}" x1="0" x2="100%" y1="{:.1f}" y2="{:.1f}"/>').format(kind, at, at)
        )
        beside.append(
            Markup('<text x="100%" y="{:.1f}" text-anchor="end">{}</text>').format(at + 4, axis(mark))
        )
    for index, bar in enumerate(bars):
        left, width = index * step + step * 0.15, step * 0.7
        shapes = [_upright_rect("bar", left, width, bar.part / end, bar.value / end)]
        if bar.part:
            shapes.append(_upright_rect("bad", left, width, 0, bar.part / end))
        from_end = len(bars) - 1 - index
        if from_end % every == 0:
            kind = "wide" if from_end % on_phone else ""
            shapes.append(
                Markup('<text class="{}" x="{:.2f}%" y="{:.0f}" text-anchor="middle">{}</text>').format(
                    kind, left + width / 2, _HEIGHT + 16, _short(bar.label)
                )
            )
        inside.append(
            Markup('<g class="hit"><title>{}</title>{}</g>').format(bar.title, Markup().join(shapes))
        )
    inside.append(
        Markup('<text class="unit" x="100%" y="{:.0f}" text-anchor="end">{}</text>').format(
            _HEIGHT + 34, unit
        )
    )
    return _chart("upright", name, _HEIGHT + _FOOT, beside, inside, [])


def intervals(name: str, points: Sequence[Interval], unit: str) -> Markup:
    """Return shares beside each other, each a point with a line from `low` to `high`; `unit` is below them.

    The axis ends at 1 and begins at a tenth below everything that is shown.
    """
    lowest = min((point.low for point in points), default=0.0)
    start = max(0.0, math.floor(10 * lowest - 1e-9) / 10)
    step = next(each for each in (0.02, 0.05, 0.1, 0.2, 0.25) if (1 - start) / each < 6)

    def at(value: float) -> float:
        return _HEIGHT * (1 - value) / (1 - start)

    inside, beside = [], []
    for count in range(math.floor((1 - start) / step + 1e-9) + 1):
        mark = 1 - count * step
        inside.append(
            Markup('<line class="tick" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(at(mark))
        )
        beside.append(
            Markup('<text x="100%" y="{:.1f}" text-anchor="end">{}</text>').format(
                at(mark) + 4, percent(round(mark, 4))
            )
        )
    width = 100 / max(len(points), 8)
    every = math.ceil(len(points) / _FEW_LABELS)
    for index, point in enumerate(points):
        middle = (index + 0.5) * width
        shapes = [
            Markup('<line class="whisker" x1="{0:.2f}%" x2="{0:.2f}%" y1="{1:.1f}" y2="{2:.1f}"/>').format(
                middle, at(point.low), at(point.high)
            )
        ]
        if point.value is not None:
            shapes.append(
                Markup('<circle class="bar" cx="{:.2f}%" cy="{:.1f}" r="4"/>').format(middle, at(point.value))
            )
        from_end = len(points) - 1 - index
        if from_end % every == 0:
            kind = "wide" if from_end % (3 * every) else ""
            shapes.append(
                Markup('<text class="{}" x="{:.2f}%" y="{:.0f}" text-anchor="middle">{}</text>').format(
                    kind, middle, _HEIGHT + 16, _short(point.label)
                )
            )
        inside.append(
            Markup('<g class="hit"><title>{}</title>{}</g>').format(point.title, Markup().join(shapes))
        )
    inside.append(
        Markup('<text class="unit" x="100%" y="{:.0f}" text-anchor="end">{}</text>').format(
            _HEIGHT + 34, unit
        )
    )
    return _chart("upright", name, _HEIGHT + _FOOT, beside, inside, [])


def _highest(bars: Sequence[Bar]) -> float:
    return max([*(bar.value for bar in bars), *(bar.usual or 0.0 for bar in bars)], default=0.0)


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _across(at: float, height: float) -> Markup:
    return Markup('<line class="tick" x1="{:.2f}%" x2="{:.2f}%" y1="0" y2="{:.0f}"/>').format(at, at, height)


def _mark(kind: str, at: float, top: float) -> Markup:
    return Markup('<line class="{}" x1="{:.2f}%" x2="{:.2f}%" y1="{:.0f}" y2="{:.0f}"/>').format(
        kind, at, at, top + 3, top + _ROW - 3
    )


def _lying_rect(kind: str, start: float, end: float, top: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" y="{:.0f}" height="{:.0f}" rx="3"/>').format(
        kind, 100 * start, 100 * max(end - start, 0), top + (_ROW - _THICK) / 2, _THICK
    )


def _upright_rect(kind: str, left: float, width: float, start: float, end: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" y="{:.1f}" height="{:.1f}" rx="2"/>').format(
        kind, left, width, _HEIGHT * (1 - end), _HEIGHT * max(end - start, 0)
    )


def _chart(
    kind: str,
    name: str,
    height: float,
    before: Sequence[Markup],
    inside: Sequence[Markup],
    after: Sequence[Markup],
) -> Markup:
    """Return a chart: its area between two columns of text, whose widths the style sheet says."""
    part = Markup('<svg class="{}" height="{:.0f}" aria-hidden="true">{}</svg>')
    parts = [
        part.format(place, height, Markup().join(drawn))
        for place, drawn in (("before", before), ("area", inside), ("after", after))
        if drawn
    ]
    return Markup('<div class="plot {}" role="img" aria-label="{}">{}</div>').format(
        kind, name, Markup().join(parts)
    )
