"""Reads a feed line by line: CSV, a workbook, Parquet, JSON lines, or a list of JSON objects."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from returns_pipeline.errors import RefusedError
from returns_pipeline.feeds.addresses import checked, parts_of
from returns_pipeline.feeds.columns import columns_of, recognised
from returns_pipeline.languages import N_
from returns_pipeline.records.feeds import ListedAddress
from returns_pipeline.records.returns import RefusedLine, return_number
from returns_pipeline.records.text import printable
from returns_pipeline.tabular_files.json_objects import open_json
from returns_pipeline.tabular_files.lines import Table
from returns_pipeline.tabular_files.reading import open_table

_MOST_OF_OBJECT = 1 << 20
#: Addresses of one line.
_MOST_OF_LINE = 100
_NO_ADDRESS = N_("The line has no address.")
_NO_NUMBER = N_("The number of the return has no character, more than 100, or one that cannot be printed.")
_TOO_MANY = N_("The line has more than 100 addresses.")


class Found(list[ListedAddress]):
    """The addresses of one line."""


def read_feed(path: Path) -> Iterator[Found | RefusedLine]:
    """Yield the addresses of each line of a feed.

    Raises RefusedError if the file cannot be read or no column has addresses.
    """
    objects: list[Iterator[Any]] = []

    def open_objects(path: Path) -> Table:
        found, encoding = open_json(path, _MOST_OF_OBJECT)
        objects.append(found)
        return Table(iter(()), encoding)

    table = open_table(path, _Columns(), open_objects)
    for line in table.lines:
        yield line if isinstance(line, RefusedLine) else _found(line.number, *line.values)
    has_any, fault = False, None
    for each in objects[0] if objects else ():
        if isinstance(each, RefusedLine):
            yield each
            continue
        number, value = each
        try:
            address, of_return = columns_of(list(value))
        except RefusedError as error:
            fault = fault or error
            yield RefusedLine(number, "", _NO_ADDRESS)
            continue
        has_any = True
        yield _found(number, value[address], value[of_return] if of_return else None)
    if fault and not has_any:
        raise fault


class _Columns:
    """The columns of addresses and of returns; see `tabular_files.lines.Schema`."""

    def recognised(self, header: Sequence[str]) -> int:
        return recognised(header)

    def places(self, header: Sequence[str]) -> list[int | None]:
        return [None if name is None else list(header).index(name) for name in columns_of(header)]

    def cell(self, value: Any) -> Any:
        return value


def _found(line: int, address: Any, number: Any) -> Found | RefusedLine:
    of_return = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    shown = printable(number)[:100] if isinstance(number, (str, int)) else ""
    if shown.strip():
        of_return = return_number(str(number))
        if of_return is None:
            return RefusedLine(line, shown, _NO_NUMBER)
    texts = address if isinstance(address, list) else [address]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        return RefusedLine(line, shown, _NO_ADDRESS)
    if len(texts) > _MOST_OF_LINE:
        return RefusedLine(line, shown, _TOO_MANY)
    try:
        every = list(map(checked, texts))
    except RefusedError as error:
        return RefusedLine(line, shown, error.message)
    return Found(ListedAddress(each, parts_of(each).host, of_return) for each in every)
