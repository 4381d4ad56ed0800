"""Opens a manifest: the columns that are fields of a return, as texts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.manifests import columns
from returns_pipeline.manifests.columns import FIELDS, fields_of
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.tabular_files.csv_lines import encoding_of
from returns_pipeline.tabular_files.json_objects import json_lines
from returns_pipeline.tabular_files.lines import InexactError, Line, Table
from returns_pipeline.tabular_files.other_lines import ABSENT, line_of
from returns_pipeline.tabular_files.reading import open_table

_MOST_OF_LINE = 1 << 16
#: Excel keeps 15 digits of a number.
_MOST_OF_EXACT = 10**15


class _Fields(NamedTuple):
    """The columns of a manifest: FIELDS, in their order; see `tabular_files.lines.Schema`."""

    mapping: Mapping[str, str]

    def recognised(self, header: Sequence[str]) -> int:
        return columns.recognised(header, self.mapping)

    def places(self, header: Sequence[str]) -> list[int | None]:
        fields = fields_of(header, self.mapping)
        return [fields.index(field) if field in fields else None for field in FIELDS]

    def cell(self, value: Any) -> str:
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
        raise InexactError
    return str(int(value))


def open_manifest(path: Path, mapping: Mapping[str, str]) -> Table:
    """Return the lines of a CSV file, a workbook, a file of JSON lines or a Parquet file.

    Raises RefusedError if the file cannot be opened, is none of these, or its columns are not known.
    """
    return open_table(path, _Fields(mapping), lambda path: _open_json_lines(path, mapping))


def _open_json_lines(path: Path, mapping: Mapping[str, str]) -> Table:
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
    return Table(_objects(path, encoding, mapping), encoding.removesuffix("-sig"))


def _objects(path: Path, encoding: str, mapping: Mapping[str, str]) -> Iterator[Line | RefusedLine]:
    known: dict[tuple[str, ...], list[int | None]] = {}
    for each in json_lines(path, encoding, _MOST_OF_LINE):
        if isinstance(each, RefusedLine):
            yield each
            continue
        number, value = each
        keys = tuple(value)
        present = _Fields({field: column for field, column in mapping.items() if column in value})
        try:
            places = known[keys] if keys in known else present.places(keys)
        except RefusedError as error:
            yield RefusedLine(number, "", error.message)
            continue
        if len(known) < 1000:
            known[keys] = places
        values = list(value.values())
        found = [ABSENT if place is None else values[place] for place in places]
        yield line_of(number, found, present)
