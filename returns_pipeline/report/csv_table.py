"""Images as CSV: one row for each image that was seen. A sheet computes nothing in it."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TextIO

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.text import iso
from returns_pipeline.report.columns import Column, Output, Record, columns_of, values

#: Where a sheet would find a formula: at the start of a cell, also after spaces and quotation marks, and
#: after a character that separates cells in some countries. OWASP, "CSV Injection"; the wide forms are those
#: of East Asian keyboards.
_FORMULA = r"""(?=[\s'"\u200b\ufeff]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"""
#: In characters. A line of pixels has 4 for each.
_LONGEST_LINE = 2**25
_BARE = re.compile(rf"(^|[;\t]){_FORMULA}")
_QUOTED = re.compile(rf"(^|[;\t])'{_FORMULA}")


def as_text(value: str) -> str:
    """Return a cell that a sheet takes for text: a single quote precedes what could be a formula."""
    # Almost every value ends here: the pattern costs 5 µs, and a run may have a million rows.
    if (value[:1].isalnum() or value[:1] in {"/", ""}) and ";" not in value and "\t" not in value:
        return value
    return _BARE.sub(r"\1'", value)


def from_text(cell: str) -> str:
    """Return the value of a cell that `as_text` made."""
    return _QUOTED.sub(r"\1", cell) if "'" in cell else cell


def lines_of(stream: TextIO) -> Iterator[str]:
    """Yield the lines of a CSV file for `csv.reader`. Raises csv.Error for one that would fill the memory."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error("a line is too long")
        yield line


def writer(
    stream: TextIO, output: Output, zone: tzinfo | None = None
) -> Callable[[Sequence[ImageResult]], None]:
    """Write the header of an output to `stream`; return the function that writes the rows of some images.

    The column `prediction` is the class index. Without a prediction it is empty and `code` says why.
    """
    return table_writer(stream, columns_of(output), zone)


def table_writer(
    stream: TextIO, columns: Sequence[Column], zone: tzinfo | None = None
) -> Callable[[Sequence[Record]], None]:
    """Write the header of columns to `stream`; return the function that writes the rows of some records.

    Numbers and codes stay as they are; other texts are written by `as_text`. Moments are ISO 8601 in UTC;
    with `zone` they are its wall times, in the form that sheets take for dates.
    """
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(column.name for column in columns)
    probabilities = [place for place, column in enumerate(columns) if column.type is float]
    moments = [place for place, column in enumerate(columns) if column.type is datetime]
    # The codes are this program's own words.
    texts = [place for place, column in enumerate(columns) if column.type is str and column.words is None]

    def write(records: Sequence[Record]) -> None:
        found = values(columns, records)
        for place in probabilities:
            found[place] = ["" if value is None else f"{value:.6f}" for value in found[place]]
        for place in moments:
            found[place] = _moments(found[place], zone)
        for place in texts:
            found[place] = _as_texts(found[place])
        out.writerows(zip(*found, strict=True))

    return write


def _as_texts(column: Sequence[str | None]) -> Sequence[str | None]:
    """Return a column with its cells as `as_text` writes them."""
    return [value and as_text(value) for value in column]


def _moments(column: Sequence[datetime | None], zone: tzinfo | None) -> Sequence[str]:
    """Return a column of moments as texts. Photos of one chunk came in at one moment."""
    texts = {value: _moment(value, zone) for value in set(column) if value is not None}
    return ["" if value is None else texts[value] for value in column]


def _moment(value: datetime, zone: tzinfo | None) -> str:
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}" if zone else iso(value)
