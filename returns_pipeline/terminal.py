"""What a terminal shows: the only place that makes a Rich console, a table or a column of a progress bar.

Text from outside (names of files, labels, errors of other programs) is shown with escapes in place of
characters that cannot be printed: no name starts a new line, reverses the writing direction or controls the
terminal. Nothing in it is taken for markup or for an emoji. A style that a command chooses is a `Text`.
"""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.progress import TextColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from returns_pipeline.records.text import printable

#: The least width of a column whose values may be folded. A value that is shorter needs less.
_FOLDED_WIDTH = 8
_ANY_WIDTH = 1_000_000


class Terminal(Console):
    """A console that shows text as it is, with escapes in place of what cannot be printed."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Write to standard output, or to standard error."""
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text from a string, as Rich does for each string that it is given."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; a text that was not made by `render_str` is escaped too."""
        if isinstance(renderable, Text) and not renderable.plain.isprintable():
            renderable = Text(printable(renderable.plain), style=renderable.style, end=renderable.end)
        return super().render(renderable, options)

    def print_line(self, *parts: RenderableType) -> None:
        """Print one line, which a terminal may wrap."""
        self.print(*parts, soft_wrap=True)

    def print_table(self, table: Table) -> None:
        """Print a table. In a terminal that is too narrow for it, its lines wrap; no value is cut off."""
        frame = 1 + 3 * len(table.columns) if table.box else (len(table.columns) - 1) * int(table.padding[1])
        self.width = max(self.width, frame + sum(map(self._least_width, table.columns)))
        self.print(table)

    def _least_width(self, column: Column) -> int:
        if column.width is not None:
            return column.width
        options = self.options.update(max_width=_ANY_WIDTH)
        found = [Measurement.get(self, options, cell) for cell in (column.header, *column.cells)]
        if column.no_wrap:
            return max(each.maximum for each in found)
        least = max(each.minimum for each in found)
        return min(least, _FOLDED_WIDTH) if column.overflow == "fold" else least


def plain_table(gap: int = 2) -> Table:
    """Return a table without a frame, for long or wide lists, with `gap` spaces between its columns."""
    return Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")


def framed_table(title: str | None = None) -> Table:
    """Return a table with a frame, for a few values."""
    return Table(title=title, title_justify="left", box=box.HEAVY_HEAD)


def plain_column(template: str) -> TextColumn:
    """Return a column of a progress bar that takes nothing in its values for markup."""
    return TextColumn(template, markup=False)
