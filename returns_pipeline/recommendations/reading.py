"""Reads files of events: CSV, Excel workbooks, JSON and Parquet, line by line."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.catalogue import product_id_of
from returns_pipeline.records.recommendations import Event, EventKind
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.records.text import label_key
from returns_pipeline.tabular_files.json_objects import open_json
from returns_pipeline.tabular_files.lines import InexactError, Line, Table
from returns_pipeline.tabular_files.reading import open_table

#: The fields of an event; a line has all of them.
FIELDS = ("customer", "product", "kind", "at")
#: Names of columns that are recognised; case, `_`, `-` and spaces do not matter.
_NAMES = {
    "customer": "customer|customer id|customer number|customer reference|user|user id|kunde|kundennummer",
    "product": "product|product id|product number|sku|item|item id|article|article number|produkt|artikel|"
    "artikelnummer|produktnummer",
    "kind": "kind|event|event type|event kind|type|action|art|ereignis|aktion",
    "at": "at|time|timestamp|moment|date|when|zeit|zeitpunkt|datum",
}
_FIELD_OF = {label_key(name): field for field, names in _NAMES.items() for name in names.split("|")}
_KINDS = {
    EventKind.KEPT: "kept|keep|bought|purchase|purchased|behalten|gekauft",
    EventKind.RETURNED: "returned|return|zurückgeschickt|zurückgegeben|retourniert|retoure",
    EventKind.VIEWED: "viewed|view|seen|angesehen|gesehen",
}
_KIND_OF = {label_key(word): kind for kind, words in _KINDS.items() for word in words.split("|")}
_MOST_OF_CUSTOMER = 100
_MOST_OF_OBJECT = 1 << 16
#: Excel keeps 15 digits of a number.
_MOST_OF_EXACT = 10**15
_FIRST_YEAR, _LAST_YEAR = 1990, 2100

_MISSING = N_("The line has no {field}.")
_CUSTOMER = N_("The customer has more than 100 characters, or one that cannot be printed.")
_PRODUCT = N_("The product has more than 100 characters, or one that cannot be printed.")
_KIND = N_("{value} is no kind of event. There are kept, returned and viewed.")
_AT = N_("{value} is no moment like 2026-11-30T08:15:00Z or 2026-11-30.")


class _Columns:
    """The columns of a file of events: FIELDS, in their order; see `tabular_files.lines.Schema`."""

    def recognised(self, header: Sequence[str]) -> int:
        return sum(label_key(name) in _FIELD_OF for name in header)

    def places(self, header: Sequence[str]) -> list[int | None]:
        found = [_FIELD_OF.get(label_key(name)) for name in header]
        for field in FIELDS:
            if found.count(field) != 1:
                raise RefusedError(
                    "{count} columns can be {field}. The file has: {found}.",
                    "It needs one column each for customer, product, kind and at.",
                    count=found.count(field),
                    field=field,
                    found=", ".join(name[:40] for name in header[:20]),
                )
        return [found.index(field) for field in FIELDS]

    def cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, (datetime, date)):
            return value.isoformat()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and abs(value) >= _MOST_OF_EXACT:
            raise InexactError
        if isinstance(value, (str, int, float)):
            return str(value)
        raise TypeError(type(value))


class OpenEvents(NamedTuple):
    """A file that is open: `lines` is read once. `encoding` is that of a text file, empty for others."""

    lines: Iterator[Event | RefusedLine]
    encoding: str


def open_events(path: Path) -> OpenEvents:
    """Open a file of events. A line that is wrong is yielded as refused.

    Raises RefusedError if the file cannot be read or lacks a column, there or when its lines are read.
    """
    columns = _Columns()

    def open_objects(path: Path) -> Table:
        objects, encoding = open_json(path, _MOST_OF_OBJECT)
        return Table((_of_object(columns, each) for each in objects), encoding)

    table = open_table(path, columns, open_objects)
    return OpenEvents((_checked(line) for line in table.lines), table.encoding)


def _of_object(columns: _Columns, found: RefusedLine | tuple[int, dict[str, Any]]) -> Line | RefusedLine:
    if isinstance(found, RefusedLine):
        return found
    number, values = found
    try:
        places = columns.places(list(values))
        given = list(values.values())
        return Line(number, tuple(columns.cell(given[place]) for place in places if place is not None))
    except RefusedError as error:
        return RefusedLine(number, "", error.message)
    except (TypeError, InexactError):
        return RefusedLine(number, "", N_("A value is no text and no number."))


def _checked(line: Line | RefusedLine) -> Event | RefusedLine:
    if isinstance(line, RefusedLine):
        return line
    found = check(dict(zip(FIELDS, line.values, strict=True)))
    return found if isinstance(found, Event) else RefusedLine(line.number, "", found)


def check(values: Mapping[str, str | None]) -> Event | str:
    """Return the event of some values, or why they are none.

    A moment without a time zone is one of UTC, a day is its midnight.
    """
    given = {field: (values.get(field) or "").strip() for field in FIELDS}
    for field, value in given.items():
        if not value:
            return _MISSING.format(field=field)
    customer = unicodedata.normalize("NFC", given["customer"])
    if len(customer) > _MOST_OF_CUSTOMER or not customer.isprintable():
        return _CUSTOMER
    product = product_id_of(given["product"])
    if product is None:
        return _PRODUCT
    kind = _KIND_OF.get(label_key(given["kind"]))
    if kind is None:
        return _KIND.format(value=given["kind"][:40])
    moment = _moment(given["at"])
    return Event(customer, product, kind, moment) if moment else _AT.format(value=given["at"][:40])


def _moment(written: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(written)
        moment = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _FIRST_YEAR <= moment.year <= _LAST_YEAR else None
