"""Manifests as Excel workbooks, JSON lines and Parquet files."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.manifests.columns import fields_of
from returns_pipeline.manifests.csv_lines import encoding_of
from returns_pipeline.manifests.lines import Line, Manifest, places_of
from returns_pipeline.records.returns import RefusedLine

_MOST_OF_LINE = 1 << 16
#: Most bytes of a workbook when it is unpacked, and of its texts, which are kept in memory.
_MOST_UNPACKED = 2 << 30
_MOST_TEXTS = 256 << 20
#: Excel keeps 15 digits of a number.
_MOST_OF_EXACT = 10**15
#: Empty rows after which a sheet counts as ended.
_MOST_EMPTY = 10_000
#: Lines of a Parquet file that are read together.
_TOGETHER = 10_000
_INEXACT = N_("A number has more than 15 digits, so Excel has rounded it. Format the column as text.")
_NOT_FLAT = N_("The line is not a JSON object whose values are texts or numbers.")
_TOO_LONG = N_("The line has more than {most} characters.").format(most=f"{_MOST_OF_LINE:,}")

#: The value of a field whose column the file does not have.
_ABSENT = object()


class _InexactError(ValueError):
    """A number that has lost digits."""


def open_workbook(path: Path, mapping: Mapping[str, str]) -> Manifest:
    """Return the rows of the first sheet of an Excel workbook (.xlsx), row by row.

    Raises RefusedError for a file that is no workbook, that is too large when unpacked, or whose first row
    does not name the columns.
    """
    from openpyxl import load_workbook  # takes 0.3 s

    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
        _require_size(sizes)
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        # Some programs write a wrong size of the sheet.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(values_only=True)
        header = next(rows, ())
    except RefusedError:
        raise
    except Exception as error:  # openpyxl raises whatever a damaged file leads to
        raise RefusedError("The file is not a workbook that can be read.", "Save it as CSV.") from error
    fields = fields_of([_text(value) or "" for value in header], mapping)
    return Manifest(_rows(rows, fields, book))


def _require_size(sizes: Mapping[str, int]) -> None:
    if sum(sizes.values()) > _MOST_UNPACKED or sizes.get("xl/sharedStrings.xml", 0) > _MOST_TEXTS:
        raise RefusedError("The workbook is too large.", "Save it as CSV.")


def _rows(rows: Iterator[Sequence[Any]], fields: list[str | None], book: Any) -> Iterator[Line | RefusedLine]:
    places, empty = places_of(fields), 0
    try:
        for number, row in enumerate(rows, 2):
            if not any(value is not None for value in row):
                empty += 1
                if empty > _MOST_EMPTY:
                    return
                continue
            empty = 0
            yield _line(number, [_ABSENT if p is None else row[p] if p < len(row) else "" for p in places])
    except (zipfile.BadZipFile, SyntaxError, ValueError, KeyError, EOFError, OSError) as error:
        raise RefusedError("The workbook is damaged: its rows end early.") from error
    finally:
        book.close()


def _line(number: int, values: Sequence[Any]) -> Line | RefusedLine:
    try:
        return Line(number, tuple(None if value is _ABSENT else _text(value) for value in values))
    except _InexactError:
        return RefusedLine(number, "", _INEXACT)
    except TypeError:
        return RefusedLine(number, "", _NOT_FLAT)


def _text(value: Any) -> str | None:
    """Return a cell as text. Raises _InexactError, and TypeError for a value that is none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return _digits(value)
    if isinstance(value, (int, Decimal)):
        return str(value)
    raise TypeError(type(value))


def _digits(value: float) -> str:
    if not value.is_integer():
        return repr(value)
    if abs(value) >= _MOST_OF_EXACT:
        raise _InexactError
    return str(int(value))


def open_json_lines(path: Path, mapping: Mapping[str, str]) -> Manifest:
    """Return the objects of a file of JSON lines. A key that a line does not have changes nothing.

    Raises RefusedError if no key of the first line is the number's.
    """
    encoding = encoding_of(path)
    with path.open(encoding=encoding, errors="replace") as stream:
        first = stream.readline(_MOST_OF_LINE)
    try:
        header = json.loads(first)
    except (ValueError, RecursionError):
        header = None
    if isinstance(header, dict):
        fields_of(list(header), mapping)
    elif first.lstrip().startswith("["):
        raise RefusedError("The file is a JSON array.", "Write one object in each line.")
    return Manifest(_objects(path, encoding, mapping), encoding.removesuffix("-sig"))


def _objects(path: Path, encoding: str, mapping: Mapping[str, str]) -> Iterator[Line | RefusedLine]:
    known: dict[tuple[str, ...], list[int | None]] = {}
    with path.open(encoding=encoding, errors="replace") as stream:
        number = 0
        while text := stream.readline(_MOST_OF_LINE):
            number += 1
            if len(text) >= _MOST_OF_LINE:
                while text and not text.endswith("\n"):
                    text = stream.readline(_MOST_OF_LINE)
                yield RefusedLine(number, "", _TOO_LONG)
                continue
            if not text.strip():
                continue
            yield _object(number, text, mapping, known)


def _object(
    number: int, text: str, mapping: Mapping[str, str], known: dict[tuple[str, ...], list[int | None]]
) -> Line | RefusedLine:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return RefusedLine(number, "", _NOT_FLAT)
    keys = tuple(value)
    places = known.get(keys)
    if places is None:
        present = {field: column for field, column in mapping.items() if column in value}
        try:
            places = places_of(fields_of(keys, present))
        except RefusedError as error:
            return RefusedLine(number, "", error.message)
        if len(known) < 1000:
            known[keys] = places
    values = list(value.values())
    return _line(number, [_ABSENT if place is None else values[place] for place in places])


def open_parquet(path: Path, mapping: Mapping[str, str]) -> Manifest:
    """Return the rows of a Parquet file. Raises RefusedError if it cannot be read or has no numbers."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        header = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError("The file is not a Parquet file that can be read.") from error
    fields = fields_of(header, mapping)
    wanted = [name for name, field in zip(header, fields, strict=True) if field]
    places = places_of([field for field in fields if field])
    return Manifest(_batches(file, wanted, places))


def _batches(file: Any, columns: list[str], places: list[int | None]) -> Iterator[Line | RefusedLine]:
    import pyarrow as pa

    number = 0
    try:
        with file:
            for batch in file.iter_batches(_TOGETHER, columns=columns):
                of_columns = [batch.column(name).to_pylist() for name in columns]
                for row in zip(*of_columns, strict=True):
                    number += 1
                    yield _line(number, [_ABSENT if p is None else row[p] for p in places])
    except (pa.ArrowException, OSError) as error:
        raise RefusedError("The Parquet file is damaged: its rows end early.") from error
