"""Excel workbooks and Parquet files."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.tabular_files.lines import InexactError, Line, Schema, Table

#: Most bytes of a workbook when it is unpacked, and of its texts, which are kept in memory.
_MOST_UNPACKED = 2 << 30
_MOST_TEXTS = 256 << 20
#: Empty rows after which a sheet counts as ended.
_MOST_EMPTY = 10_000
#: Lines of a Parquet file that are read together.
_TOGETHER = 10_000
_INEXACT = N_("A number has more than 15 digits, so Excel has rounded it. Format the column as text.")
_NOT_FLAT = N_("The line is not a JSON object whose values are texts or numbers.")

#: The value of a field whose column the file does not have.
ABSENT = object()


def open_workbook(path: Path, schema: Schema) -> Table:
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
    places = schema.places(["" if value is None else str(value).strip() for value in header])
    return Table(_rows(rows, places, book, schema))


def _require_size(sizes: Mapping[str, int]) -> None:
    if sum(sizes.values()) > _MOST_UNPACKED or sizes.get("xl/sharedStrings.xml", 0) > _MOST_TEXTS:
        raise RefusedError("The workbook is too large.", "Save it as CSV.")


def _rows(
    rows: Iterator[Sequence[Any]], places: list[int | None], book: Any, schema: Schema
) -> Iterator[Line | RefusedLine]:
    empty = 0
    try:
        for number, row in enumerate(rows, 2):
            if not any(value is not None for value in row):
                empty += 1
                if empty > _MOST_EMPTY:
                    return
                continue
            empty = 0
            found = [ABSENT if p is None else row[p] if p < len(row) else "" for p in places]
            yield line_of(number, found, schema)
    except (zipfile.BadZipFile, SyntaxError, ValueError, KeyError, EOFError, OSError) as error:
        raise RefusedError("The workbook is damaged: its rows end early.") from error
    finally:
        book.close()


def line_of(number: int, values: Sequence[Any], schema: Schema) -> Line | RefusedLine:
    """Return a line; a refused one if a value cannot be. A value that is missing is ABSENT."""
    try:
        return Line(number, tuple(None if value is ABSENT else schema.cell(value) for value in values))
    except InexactError:
        return RefusedLine(number, "", _INEXACT)
    except TypeError:
        return RefusedLine(number, "", _NOT_FLAT)


def open_parquet(path: Path, schema: Schema) -> Table:
    """Return the rows of a Parquet file. Raises RefusedError if it cannot be read or has no numbers."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        header = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError("The file is not a Parquet file that can be read.") from error
    places = schema.places(header)
    read = [place for place in range(len(header)) if place in places]
    places = [None if place is None else read.index(place) for place in places]
    return Table(_batches(file, [header[place] for place in read], places, schema))


def _batches(
    file: Any, columns: list[str], places: list[int | None], schema: Schema
) -> Iterator[Line | RefusedLine]:
    import pyarrow as pa

    number = 0
    try:
        with file:
            for batch in file.iter_batches(_TOGETHER, columns=columns):
                of_columns = [batch.column(name).to_pylist() for name in columns]
                for row in zip(*of_columns, strict=True):
                    number += 1
                    yield line_of(number, [ABSENT if p is None else row[p] for p in places], schema)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError("The Parquet file is damaged: its rows end early.") from error
