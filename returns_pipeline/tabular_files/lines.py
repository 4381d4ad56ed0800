"""What a file of lines gives, whatever its form, and what its reader must know."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from returns_pipeline.records.returns import RefusedLine


class Line(NamedTuple):
    """One line, unchecked. `number` counts the lines of the file from 1."""

    number: int
    #: In the order that `Schema.places` says; None for a column that the line does not have.
    values: tuple[Any, ...]


class Table(NamedTuple):
    """A file that is open: `lines` is read once. `encoding` is that of a text file, empty for others."""

    lines: Iterator[Line | RefusedLine]
    encoding: str = ""


class Schema(Protocol):
    """Which columns are read, and what a value may be."""

    def recognised(self, header: Sequence[str]) -> int:
        """Return how many columns have a known name; it tells which character separates them."""

    def places(self, header: Sequence[str]) -> list[int | None]:
        """Return the places of the wanted columns. Raises RefusedError if one is missing."""

    def cell(self, value: Any) -> Any:
        """Return a value of a workbook or a Parquet file as a line has it.

        Raises TypeError for one that cannot be, InexactError for a number that has lost digits.
        """


class InexactError(ValueError):
    """A number that has lost digits."""
