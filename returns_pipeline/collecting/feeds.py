"""Reads files of picture addresses: CSV, JSON, and JSON lines."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from returns_pipeline.collecting.job import Rules
from returns_pipeline.errors import RefusedError
from returns_pipeline.feeds.columns import ADDRESSES

#: Names of columns, without capitals and separators, the usual ones first.
_CATEGORY = (
    "category",
    "label",
    "class",
    "producttype",
    "articletype",
    "subcategory",
    "maincategory",
    "type",
)
_PAGE = ("page", "pageurl", "producturl", "productlink")
_LICENCE = ("licence", "license", "rights")
_SEPARATORS = re.compile(r"[\s_.-]+")
_DELIMITERS = ",;\t|"


class Line(NamedTuple):
    """One picture of a file: its address, and its page, category and licence, each perhaps empty."""

    address: str
    page: str
    category: str
    licence: str


def read_lines(content: bytes, rules: Rules) -> Iterator[Line]:
    """Yield the pictures of a file. Raises RefusedError if it has no column of addresses, or is damaged."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    try:
        rows = _json_rows(text) if text.lstrip()[:1] in {"[", "{"} else _csv_rows(text)
        first = next(rows, None)
        if first is None:
            raise RefusedError("The file of addresses has no lines.")
        image = rules.image or _column(first, ADDRESSES)
        if not image:
            raise RefusedError(
                "The file has no column of picture addresses.",
                advice="Name it: `--image COLUMN`. Its columns are {columns}.",
                columns=", ".join(map(str, first))[:500],
            )
        names = (
            image,
            rules.category or _column(first, _CATEGORY),
            *(_column(first, each) for each in (_PAGE, _LICENCE)),
        )
        yield from _lines_of(first, names, rules)
        for row in rows:
            yield from _lines_of(row, names, rules)
    except (ValueError, csv.Error, RecursionError) as error:
        raise RefusedError(
            "The file of addresses cannot be read: {reason}.",
            advice="It must be CSV, JSON or JSON lines.",
            reason=str(error)[:200],
        ) from error


def _lines_of(row: Mapping[str, Any], names: Sequence[str], rules: Rules) -> Iterator[Line]:
    image, category, page, licence = (_value(row, name) for name in names)
    for address in _texts(image):
        yield Line(
            address,
            next(_texts(page), ""),
            rules.label or next(_texts(category), ""),
            next(_texts(licence), "") or rules.licence,
        )


def _json_rows(text: str) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        # Several values: one on each line.
        content = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = lists[0] if len(lists) == 1 and not _column(content, ADDRESSES) else [content]
    return (row for row in content if isinstance(row, dict))


def _csv_rows(text: str) -> Iterator[dict[str, Any]]:
    header = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=header.count)
    return iter(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def _column(row: Mapping[str, Any], usual: Sequence[str]) -> str:
    found = {_SEPARATORS.sub("", name).lower(): name for name in row if isinstance(name, str)}
    return next((found[name] for name in usual if name in found), "")


def _value(row: Mapping[str, Any], name: str) -> object:
    """Return the value of a column, or of a path into nested objects, like `media.main`."""
    if not name or name in row:
        return row.get(name)
    value: object = row
    for part in name.split("."):
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: object) -> Iterator[str]:
    """Yield the texts of a value: itself, or those of a list, or the address of an object."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Mapping):
        yield from _texts(next((value[key] for key in ("url", "src", "name") if key in value), None))
    elif isinstance(value, str | int | float) and str(value).strip():
        yield str(value).strip()
