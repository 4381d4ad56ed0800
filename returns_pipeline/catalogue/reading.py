"""Opens a file of products: CSV, a workbook, Parquet, JSON lines, or a list of JSON objects."""

import math
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.catalogue.columns import ColumnMapping, naming_of, recognised
from returns_pipeline.catalogue.lines import Lines, ProductLine
from returns_pipeline.catalogue.pictures import ENDINGS
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.catalogue import RefusedProduct
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.records.text import printable
from returns_pipeline.tabular_files.json_objects import open_json
from returns_pipeline.tabular_files.lines import Table
from returns_pipeline.tabular_files.reading import SUFFIXES, open_table

#: Most characters of one product in a JSON file.
_MOST_OF_OBJECT = 1 << 20
#: Folder beside a products file with pictures that are named by the ids of their products.
_IMAGES = "images"


class OpenCatalogue(NamedTuple):
    """A file that is open: `lines` is read once. `encoding` is that of a text file, empty for others."""

    lines: Iterator[ProductLine | RefusedProduct]
    encoding: str


def open_catalogue(path: Path, mapping: ColumnMapping, context: Sequence[object]) -> OpenCatalogue:
    """Open a file of products; `context` as in `lines.Lines`.

    Raises RefusedError if it cannot be read or has no ids, there or when its lines are read.
    """
    source = printable(path.name)
    columns = _Columns(mapping)
    lines = Lines(source, mapping, context)
    objects: list[Any] = []

    def open_objects(path: Path) -> Table:
        found, encoding = open_json(path, _MOST_OF_OBJECT)
        objects.append(found)
        return Table(iter(()), encoding)

    table = open_table(path, columns, open_objects)
    found = _of_objects(source, lines, objects[0]) if objects else _of_table(source, lines, columns, table)
    return OpenCatalogue(found, table.encoding)


class _Columns:
    """Every column of a file; see `tabular_files.lines.Schema`."""

    def __init__(self, mapping: ColumnMapping) -> None:
        self._mapping = mapping
        self.header: tuple[str, ...] = ()

    def recognised(self, header: Sequence[str]) -> int:
        return recognised(header, self._mapping)

    def places(self, header: Sequence[str]) -> list[int | None]:
        naming_of(header, self._mapping)
        self.header = tuple(header)
        return list(range(len(header)))

    def cell(self, value: Any) -> Any:
        if isinstance(value, float) and math.isnan(value):
            return None
        if value is None or isinstance(value, (str, int, float, Decimal, dict, list)):
            return value
        if isinstance(value, date):
            return value.isoformat()
        raise TypeError(type(value))


def _of_table(
    source: str, lines: Lines, columns: _Columns, table: Table
) -> Iterator[ProductLine | RefusedProduct]:
    for line in table.lines:
        if isinstance(line, RefusedLine):
            yield RefusedProduct(source, line.line, "", line.reason)
        elif any(isinstance(value, (dict, list)) for value in line.values):
            yield lines.of_object(line.number, dict(zip(columns.header, line.values, strict=True)))
        else:
            yield lines.of_values(line.number, columns.header, line.values)


def _of_objects(source: str, lines: Lines, objects: Iterator[Any]) -> Iterator[ProductLine | RefusedProduct]:
    for each in objects:
        if isinstance(each, RefusedLine):
            yield RefusedProduct(source, each.line, "", each.reason)
        else:
            yield lines.of_object(*each)


def files_of(path: Path) -> list[Path]:
    """Return the file itself, or the files of products in a folder, by name.

    Raises RefusedError for a folder without one.
    """
    if not path.is_dir():
        return [path]
    found = sorted(
        each
        for each in path.iterdir()
        if each.suffix.lower() in SUFFIXES
        and each.suffix.lower() != ".txt"
        and not each.name.startswith(".")
        and not each.is_symlink()
        and each.is_file()
    )
    if not found:
        raise RefusedError(
            "The folder {path} has no file of products.",
            "Their names end with: {endings}.",
            path=path,
            endings=", ".join(each for each in SUFFIXES if each != ".txt"),
        )
    return found


def pictures_beside(folder: Path) -> dict[str, str]:
    """Return the pictures `images/ID.jpg` of a folder, by id."""
    images = folder / _IMAGES
    if not images.is_dir():
        return {}
    return {
        each.stem: f"{_IMAGES}/{each.name}" for each in images.iterdir() if each.suffix.lower() in ENDINGS
    }
