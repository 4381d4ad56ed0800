"""What a file of announcements gives, whatever its form."""

from collections.abc import Iterator
from typing import NamedTuple

from returns_pipeline.manifests.columns import FIELDS
from returns_pipeline.records.returns import RefusedLine

#: Values by the order of FIELDS; None for a column that the line does not have.
Values = tuple[str | None, ...]


class Line(NamedTuple):
    """One line, unchecked. `number` counts the lines of the file from 1."""

    number: int
    values: Values


class Manifest(NamedTuple):
    """A file that is open: `lines` is read once. `encoding` is that of a text file, empty for others."""

    lines: Iterator[Line | RefusedLine]
    encoding: str = ""


def places_of(fields: list[str | None]) -> list[int | None]:
    """Return for each of FIELDS the place of its column, None without one."""
    return [fields.index(field) if field in fields else None for field in FIELDS]
