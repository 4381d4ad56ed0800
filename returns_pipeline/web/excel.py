"""Images as an Excel workbook: texts that are never formulas, dates, percentages, filters.

A workbook is for people: it speaks the language of the reader.

XlsxWriter writes each row to a file on disk, so memory stays flat; the workbook is sent when it is complete.
Its constant-memory mode: https://xlsxwriter.readthedocs.io/working_with_memory.html
"""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from returns_pipeline.languages import DEFAULT, current, gettext
from returns_pipeline.report.columns import Column, Record, values

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: Rows of a sheet, its header included. https://support.microsoft.com, "Excel specifications and limits"
MOST_ROWS = 1_048_576
#: Excel counts days from here: its year 1900 has a 29 February.
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet has wall times without a zone
_DAY_SECONDS = 86_400
#: How moments look, in the codes of Excel's file format.
_MOMENT = {"en": "yyyy-mm-dd hh:mm:ss", "de": "dd.mm.yyyy hh:mm:ss"}
#: Widths in characters: of a column of each type, and of those with long texts.
_WIDTHS = {int: 8, float: 12, datetime: 19, str: 16}
_LONG = {"filename": 40, "detail": 50, "details": 50}
_SENT_BYTES = 1 << 18
#: Unfinished workbooks lie in hidden folders of this name. One this old belongs to a process that was killed.
_PREFIX = ".workbook-"
_ABANDONED_SECONDS = 86_400
#: A name in a cell can begin with `=`: a sheet never computes, links or converts it.
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": True,
}


def workbook(
    columns: Sequence[Column],
    batches: Iterator[Sequence[Record]],
    zone: tzinfo,
    folder: Path,
    most_rows: int = MOST_ROWS,
    title: str = "",
    notes: Sequence[str] = (),
) -> Iterator[bytes]:
    """Yield the bytes of a workbook with a row for each record; moments are wall times of `zone`.

    Rows beyond `most_rows` go to further sheets, and `notes` to a first sheet of their own. The unfinished
    workbook takes about 700 MB below `folder` for a million images. While it grows, empty bytes are yielded:
    a client that has gone ends the work.
    """
    _remove_abandoned(folder)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as scratch:
        path = Path(scratch) / "workbook.xlsx"
        book = _Book(path, columns, zone, most_rows, title or gettext("Returns"), notes)
        for batch in batches:
            book.write(batch)
            yield b""
        book.close()
        with path.open("rb") as stream:
            while part := stream.read(_SENT_BYTES):
                yield part


class _Styles(NamedTuple):
    """The formats of a workbook's cells."""

    header: Format
    text: Format
    percent: Format
    moment: Format


class _Book:
    """A workbook that is written row by row."""

    def __init__(
        self,
        path: Path,
        columns: Sequence[Column],
        zone: tzinfo,
        most_rows: int,
        title: str,
        notes: Sequence[str],
    ) -> None:
        """Begin a workbook with a sheet of `notes`, if any, and one that has the `title` as its name."""
        self._book = Workbook(str(path), {**_OPTIONS, "tmpdir": str(path.parent)})
        self._columns, self._zone, self._most, self._title = columns, zone, most_rows, title
        self._styles = _Styles(
            self._book.add_format({"bold": True, "bottom": 1}),
            # Without the prefix, Excel makes a formula of such a text when a person edits its cell.
            self._book.add_format({"quote_prefix": True}),
            self._book.add_format({"num_format": "0.0%"}),
            self._book.add_format({"num_format": _MOMENT[current()]}),
        )
        if notes:
            sheet = self._book.add_worksheet(gettext("Left out"))
            for row, note in enumerate(notes):
                sheet.write_string(row, 0, note, self._styles.text)
        self._sheets = 0
        self._sheet = self._begin_sheet()

    def write(self, records: Sequence[Record]) -> None:
        """Write a row for each record."""
        found = [
            self._cells(*pair) for pair in zip(self._columns, values(self._columns, records), strict=True)
        ]
        kinds = [(place, *self._kind(column)) for place, column in enumerate(self._columns)]
        for cells in zip(*found, strict=True):
            if self._row == self._most:
                self._end_sheet()
                self._sheet = self._begin_sheet()
            sheet, row = self._sheet, self._row
            for (place, is_text, style), value in zip(kinds, cells, strict=True):
                if value is None or value == "":
                    continue
                if is_text:
                    sheet.write_string(row, place, value, style)
                else:
                    sheet.write_number(row, place, value, style)
            self._row += 1

    def close(self) -> None:
        """Complete the workbook's file."""
        self._end_sheet()
        self._book.close()

    def _begin_sheet(self) -> Worksheet:
        self._sheets += 1
        sheet = self._book.add_worksheet(
            self._title if self._sheets == 1 else f"{self._title} {self._sheets}"
        )
        for place, column in enumerate(self._columns):
            sheet.set_column(place, place, _LONG.get(column.name, _WIDTHS.get(column.type, _WIDTHS[str])))
            sheet.write_string(0, place, _heading(column), self._styles.header)
        sheet.freeze_panes(1, 0)
        self._row = 1
        return sheet

    def _end_sheet(self) -> None:
        self._sheet.autofilter(0, 0, self._row - 1, len(self._columns) - 1)

    def _cells(self, column: Column, found: Sequence[Any]) -> Sequence[Any]:
        if column.type is datetime:
            return [None if value is None else self._serial(value) for value in found]
        if current() == DEFAULT or not column.is_told:
            return found
        told = {value: column.text(value) for value in set(found)}
        return [told[value] for value in found]

    def _serial(self, moment: datetime) -> float:
        """Return a moment as Excel stores it: days, without a time zone."""
        wall = moment.astimezone(self._zone).replace(tzinfo=None, microsecond=0)
        return (wall - _DAY_ZERO).total_seconds() / _DAY_SECONDS

    def _kind(self, column: Column) -> tuple[bool, Format | None]:
        """Return whether a column has texts, and the format of its cells."""
        if column.type is int:
            return False, None
        if column.type is float:
            return False, self._styles.percent
        if column.type is datetime:
            return False, self._styles.moment
        return True, self._styles.text


def _heading(column: Column) -> str:
    """Return the heading of a column; in English its name, as in CSV, because programs read it."""
    return column.name if current() == DEFAULT else column.shown_heading


def _remove_abandoned(folder: Path) -> None:
    oldest = time.time() - _ABANDONED_SECONDS
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left)
