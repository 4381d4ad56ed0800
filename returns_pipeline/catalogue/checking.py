"""Checks one line of a catalogue: a value that is wrong refuses its line with a sentence."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from returns_pipeline.catalogue import values
from returns_pipeline.catalogue.lines import ProductLine
from returns_pipeline.catalogue.pictures import Picture, picture_of
from returns_pipeline.languages import N_
from returns_pipeline.records.catalogue import AttributeValue, RefusedProduct

_MOST = {"title": 300, "brand": 100, "category": 300, "description": 50_000}
_MOST_OF_ATTRIBUTE = 2000
_MOST_ATTRIBUTES, _MOST_OF_ATTRIBUTES = 200, 50_000
_MOST_OF_NAME = 100
_MOST_PICTURES = 50

_TOO_MANY = N_("The product has more than {most} attributes.")
_TOO_LARGE = N_("The attributes have more than {most} characters together.")
_NAME = N_("The name of an attribute has more than {most} characters, or one that cannot be stored.")
_PICTURES = N_("The product has more than {most} pictures.")
_CONTRADICT = N_("The price is in {found}, and the currency is {currency}.")

#: Between the pictures of one value. A comma may be a part of an address.
_BETWEEN = re.compile(r"[|;\n]|,\s+|,(?=https?://)")


class CheckedProduct(NamedTuple):
    """A line that may be stored. What it does not have stays as it is; what it has as None is emptied.

    `fields` are by the names of columns of `products`. An attribute that is None is removed.
    """

    line: int
    product_id: str
    digest: bytes
    fields: Mapping[str, Any]
    attributes: Mapping[str, AttributeValue | None]
    pictures: tuple[Picture, ...] | None


class Checker:
    """Checks the lines of one file."""

    def __init__(self, folders: tuple[Path, ...], currency: str | None, pictures: Mapping[str, str]) -> None:
        """Remember the folders of pictures, and the currency of prices that name none.

        `pictures` are paths by the id of their product, for lines without a column of pictures.
        """
        self._folders, self._currency, self._pictures = folders, currency, pictures

    def check(self, source: str, line: ProductLine) -> CheckedProduct | RefusedProduct:
        """Return the product of a line, or why it is refused."""
        try:
            fields = self._fields(line)
            attributes = _attributes(line)
            pictures = self._pictures_of(line)
        except ValueError as error:
            return RefusedProduct(source, line.number, line.product_id, str(error))
        return CheckedProduct(line.number, line.product_id, line.digest, fields, attributes, pictures)

    def _fields(self, line: ProductLine) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, places in line.naming.places.items():
            value = line.values[places[0]]
            match field:
                case "title" | "brand" | "description":
                    is_long = field == "description"
                    found[field] = values.text(field, value, _MOST[field], is_long=is_long)
                case "category":
                    found[field] = values.path_of([line.values[place] for place in places], _MOST[field])
                case "price":
                    found[field], found["currency"] = values.money(value)
                case "rating":
                    found[field] = values.rating_of(value)
                case "ratings":
                    found[field] = values.count_of(field, value)
                case "stock":
                    found[field] = values.stock_of(value)
        self._add_currency(line, found)
        return found

    def _add_currency(self, line: ProductLine, found: dict[str, Any]) -> None:
        """Add the currency of its own column; the one beside the price is there already."""
        beside = found.pop("currency", None)
        named = None
        if "currency" in line.naming.places:
            named = values.currency_of(line.values[line.naming.places["currency"][0]])
            if named and beside and named != beside:
                raise ValueError(_CONTRADICT.format(found=beside, currency=named))
        known = beside or named
        if found.get("price") is not None:
            known = known or self._currency
        # A daily file with prices alone does not take the currency away.
        if known or "currency" in line.naming.places:
            found["currency"] = known

    def _pictures_of(self, line: ProductLine) -> tuple[Picture, ...] | None:
        places = line.naming.places.get("images")
        if places is None:
            beside = self._pictures.get(line.product_id)
            listed = [beside] if beside else None
        else:
            listed = [each for place in places for each in _listed(line.values[place])]
        if listed is None:
            return None
        found = dict.fromkeys(picture for each in listed if (picture := picture_of(each, self._folders)))
        if len(found) > _MOST_PICTURES:
            raise ValueError(_PICTURES.format(most=_MOST_PICTURES))
        return tuple(found)


def _listed(value: Any) -> list[str]:
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    return _BETWEEN.split(value) if isinstance(value, str) else []


def _attributes(line: ProductLine) -> dict[str, AttributeValue | None]:
    if len(line.naming.attributes) > _MOST_ATTRIBUTES:
        raise ValueError(_TOO_MANY.format(most=_MOST_ATTRIBUTES))
    found: dict[str, AttributeValue | None] = {}
    for name, place in line.naming.attributes:
        if not 0 < len(name) <= _MOST_OF_NAME or not name.isprintable():
            raise ValueError(_NAME.format(most=_MOST_OF_NAME))
        found[name] = values.attribute(name, line.values[place], _MOST_OF_ATTRIBUTE)
    if len(json.dumps(found)) > _MOST_OF_ATTRIBUTES:
        raise ValueError(_TOO_LARGE.format(most=f"{_MOST_OF_ATTRIBUTES:,}"))
    return found
