"""CSV files: any delimiter, UTF-8, UTF-16 or Windows-1252, and lines with stray quotation marks."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.tabular_files.lines import Line, Schema, Table

_DELIMITERS = (",", ";", "\t", "|")
#: Most characters of one line; a note has 2,000.
_MOST_OF_LINE = 1 << 16
#: Most lines that one value in quotation marks may go over.
_MOST_JOINED = 50
_READ_BYTES = 1 << 20
_TOO_LONG = N_("The line has more than {most} characters.").format(most=f"{_MOST_OF_LINE:,}")
_NOT_CLOSED = N_("A quotation mark in this line is not closed.")
_TOO_MANY = N_("The line has more values than the first line has columns.")


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: by its mark, else UTF-8 if it is valid, else Windows-1252."""
    with path.open("rb") as stream:
        head = stream.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while part := stream.read(_READ_BYTES):
                decoder.decode(part)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def open_csv(path: Path, schema: Schema) -> Table:
    """Return the lines of a CSV file. Raises RefusedError if its first line does not name the columns."""
    encoding = encoding_of(path)
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        header = stream.readline(_MOST_OF_LINE).strip("\r\n")
    if not header.strip():
        raise RefusedError("The file has no first line that names its columns.")
    choices = [next(csv.reader([header], delimiter=each), []) for each in _DELIMITERS]
    best = max(range(len(choices)), key=lambda place: schema.recognised(choices[place]))
    names = [name.strip() for name in choices[best]]
    lines = _lines(path, encoding, _DELIMITERS[best], schema.places(names), len(names))
    return Table(lines, encoding.removesuffix("-sig"))


def _lines(
    path: Path, encoding: str, delimiter: str, places: list[int | None], columns: int
) -> Iterator[Line | RefusedLine]:
    is_whole = places == list(range(len(places)))
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        records = _Records(stream, delimiter, columns)
        for number, row in records:
            if isinstance(row, str):
                yield RefusedLine(number, "", row)
            elif len(row) > columns and any(value.strip() for value in row[columns:]):
                yield RefusedLine(number, "", _TOO_MANY)
            elif any(row):
                if len(row) < columns:
                    row += [""] * (columns - len(row))
                values = row if is_whole else [None if place is None else row[place] for place in places]
                yield Line(number, tuple(values))


class _Records:
    """Yields (line, values), or (line, reason) for a line that cannot be read; the header is left out.

    A value in quotation marks may go over several lines, if the record then has as many values as there are
    columns. Else the quotation mark is a mistake: its line alone is refused and the next ones are read.
    """

    def __init__(self, stream: TextIO, delimiter: str, columns: int) -> None:
        self._stream, self._delimiter, self._columns = stream, delimiter, columns
        self._again: list[str] = []
        self._taken: list[str] = []

    def __iter__(self) -> "Iterator[tuple[int, list[str] | str]]":
        number = 1
        self._stream.readline(_MOST_OF_LINE)
        while True:
            for row in csv.reader(self._physical(), delimiter=self._delimiter):
                taken, self._taken = self._taken, []
                first, number = number + 1, number + len(taken)
                if len(taken) == 1:
                    if len(taken[0]) >= _MOST_OF_LINE:
                        self._skip(taken[0])
                        yield first, _TOO_LONG
                    elif taken[0].count('"') % 2 and _is_open(taken[0], self._delimiter):
                        yield first, _NOT_CLOSED
                    else:
                        yield first, row
                elif self._is_one(taken, row):
                    yield first, row
                else:
                    self._again = taken[1:] + self._again
                    number = first
                    yield first, _NOT_CLOSED
                    break  # the reader is inside of a quotation
            else:
                return

    def _is_one(self, taken: list[str], row: list[str]) -> bool:
        """Whether several lines are one record: it has the right number of values, and ends properly."""
        return (
            len(row) == self._columns
            and len(taken) < _MOST_JOINED
            and not _is_open("".join(taken), self._delimiter)
        )

    def _physical(self) -> Iterator[str]:
        while len(self._taken) < _MOST_JOINED:
            line = self._again.pop(0) if self._again else self._stream.readline(_MOST_OF_LINE)
            if not line:
                return
            self._taken.append(line)
            yield line

    def _skip(self, line: str) -> None:
        """Read on to the end of a line that is too long."""
        while line and not line.endswith("\n"):
            line = self._stream.readline(_MOST_OF_LINE)


def _is_open(text: str, delimiter: str) -> bool:
    """Whether a quotation in a record does not end there, or ends within a value."""
    try:
        next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True), None)
    except csv.Error:
        return True
    return False
