"""Bar charts as inline SVG in the colours of the page; a table beside each has the same numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _FOOT, _HEAD = 800.0, 190.0, 34.0, 8.0
_LETTERS = 12


class Column(NamedTuple):
    """One bar of height `value`: the lowest `part` is red; `usual` is a line across, None for no line."""

    label: str
    value: float
    title: str
    usual: float | None = None
    part: float = 0.0


def columns(name: str, data: Sequence[Column]) -> Markup:
    """Return a bar chart; `name` is its description for screen readers."""
    highest = max([*(column.value for column in data), *(column.usual or 0.0 for column in data)], default=0)
    scale = (_HEIGHT - _FOOT - _HEAD) / (highest or 1)
    step = _WIDTH / max(len(data), 8)
    parts = [
        Markup('<svg class="plot" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">').format(
            _WIDTH, _HEIGHT, name
        )
    ]
    base = _HEIGHT - _FOOT
    # Label only every n-th bar if there is no room for more.
    every = -(-len(data) * 34 // int(_WIDTH))
    for number, column in enumerate(data):
        left, width = number * step + step * 0.15, step * 0.7
        height, bad = column.value * scale, column.part * scale
        parts.append(Markup("<g><title>{}</title>").format(column.title))
        parts.append(_rect("bar", left, base - height, width, height - bad))
        if bad:
            parts.append(_rect("bad", left, base - bad, width, bad))
        if column.usual is not None:
            at = base - column.usual * scale
            parts.append(
                Markup('<line class="usual" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                    left - 3, left + width + 3, at, at
                )
            )
        if number % every == 0:
            text = column.label if len(column.label) <= _LETTERS else column.label[: _LETTERS - 1] + "…"
            parts.append(
                Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
                    left + width / 2, base + 18, text
                )
            )
        parts.append(Markup("</g>"))
    parts.append(
        Markup('<line class="axis" x1="0" x2="{:.0f}" y1="{}" y2="{}"/></svg>').format(_WIDTH, base, base)
    )
    return Markup("").join(parts)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"/>').format(
        escape(kind), x, y, width, max(height, 0.0)
    )
