"""Prices, numbers, stocks and texts as they are written. A wrong one is a ValueError with a sentence."""

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from returns_pipeline.languages import N_
from returns_pipeline.records.catalogue import PATH_SEPARATOR, AttributeValue
from returns_pipeline.records.text import label_key

_MOST_PRICE = Decimal("9999999999.99")
_MOST_OF_PRICE = 60
_MOST_COUNT = 2**31 - 1
#: Most parts of a list that is an attribute.
_MOST_LISTED = 200

_LONG = N_("{field} has more than {most} characters.")
_ODD = N_("{field} has a character that cannot be stored.")
_PRICE = N_("{value} is not a price like 12.99 or 1.299,00 €.")
_CURRENCY = N_("{value} is not a currency like EUR or €.")
_RATING = N_("{value} is not a rating from 0 to 5.")
_COUNT = N_("{field} is not a whole number: {value}.")
_MANY = N_("{field} has more than {most} values.")

_CURRENCIES = {
    "€": "EUR",
    "euro": "EUR",
    "$": "USD",
    "us$": "USD",
    "£": "GBP",
    "¥": "JPY",
    "zł": "PLN",
    "₹": "INR",
}
_CODE = re.compile(r"[A-Za-z]{3}")
_AMOUNT = re.compile(
    r"(?P<before>[^0-9.,+-]*)(?P<number>[0-9][0-9.,'\u2019\s]*?)(?:[.,][-\u2013\u2014]+)?(?P<after>[^0-9.,'\u2019+-]*)"
)
_GROUPED = {each: re.compile(rf"[0-9]{{1,3}}(?:{re.escape(each)}[0-9]{{3}})+") for each in ".,"}
_OF_FIVE = re.compile(r"(.+?)\s*(?:/|von|of|out of)\s*5(?:\.0)?")
#: Between the parts of a path. Only the first that a text has counts.
_SEPARATORS = (">", "»", "|", "\\", PATH_SEPARATOR)
_NOT_AVAILABLE = frozenset(
    [
        "out of stock",
        "outofstock",
        "sold out",
        "soldout",
        "unavailable",
        "discontinued",
        "no",
        "false",
        "ausverkauft",
        "nicht auf lager",
        "nicht verfügbar",
        "nicht lieferbar",
        "nein",
    ]
)
_AVAILABLE = frozenset(
    [
        "in stock",
        "instock",
        "available",
        "low stock",
        "limited availability",
        "limitedavailability",
        "preorder",
        "pre order",
        "backorder",
        "yes",
        "true",
        "auf lager",
        "verfügbar",
        "lieferbar",
        "sofort lieferbar",
        "ja",
    ]
)


def text(field: str, value: Any, most: int, *, is_long: bool = False) -> str | None:
    """Return a value as a text of at most `most` characters; None if it is empty.

    Only a text that `is_long` keeps its line breaks. Characters that are not shown are left out.
    """
    found = _plain(value)
    if not found.isascii():
        found = unicodedata.normalize("NFC", found)
        if not found.isprintable():
            found = "".join(c for c in found if unicodedata.category(c) != "Cf")
    lines = found.splitlines() if is_long else [found]
    found = "\n".join(" ".join(line.split()) for line in lines).strip()
    if len(found) > most:
        raise ValueError(_LONG.format(field=field, most=f"{most:,}"))
    odd = found.replace("\n", "")
    # What is printable has no such character: most texts need no look at each.
    if not odd.isprintable() and any(unicodedata.category(c) in {"Cc", "Cs"} for c in odd):
        raise ValueError(_ODD.format(field=field))
    return found or None


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)


def money(value: Any) -> tuple[Decimal | None, str | None]:
    """Return an amount, rounded to two decimals, and the currency that stands beside it, if any.

    One separator before exactly three digits separates thousands: `1.299` is 1299. A number of JSON or of a
    workbook is read as it is.
    """
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        amount, currency = Decimal(str(value)), None
    else:
        written = _plain(value).strip()
        if not written:
            return None, None
        found = _AMOUNT.fullmatch(written) if len(written) <= _MOST_OF_PRICE else None
        number = _decimal(found["number"], thousands=True) if found else None
        if found is None or number is None:
            raise ValueError(_PRICE.format(value=written[:40]))
        beside = [each.strip() for each in (found["before"], found["after"]) if each.strip()]
        if len(beside) > 1:
            raise ValueError(_PRICE.format(value=written[:40]))
        amount, currency = number, currency_of(beside[0]) if beside else None
    if not amount.is_finite() or not 0 <= amount <= _MOST_PRICE:
        raise ValueError(_PRICE.format(value=str(value)[:40]))
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP), currency


def currency_of(value: Any) -> str | None:
    """Return the code of a currency by its code or its sign; None for an empty value."""
    written = _plain(value).strip()
    known = _CURRENCIES.get(written.lower())
    if known or not written:
        return known
    if _CODE.fullmatch(written):
        return written.upper()
    raise ValueError(_CURRENCY.format(value=written[:40]))


def rating_of(value: Any) -> float | None:
    """Return a mean rating from 0 to 5; None for an empty value."""
    written = _plain(value).strip() if not isinstance(value, float) else repr(value)
    if not written:
        return None
    of_five = _OF_FIVE.fullmatch(written)
    found = _decimal(of_five[1] if of_five else written, thousands=False)
    if found is None or not 0 <= found <= 5:
        raise ValueError(_RATING.format(value=written[:40]))
    return float(found)


def count_of(field: str, value: Any) -> int | None:
    """Return a whole number that is not negative; None for an empty value."""
    written = _plain(value).strip()
    if not written:
        return None
    found = _decimal(written, thousands=True)
    if found is None or found != found.to_integral_value() or not 0 <= found <= _MOST_COUNT:
        raise ValueError(_COUNT.format(field=field, value=written[:40]))
    return int(found)


def stock_of(value: Any) -> int | None:
    """Return a stock: 0 also for `out of stock`, None for an unknown number, as of `in stock`.

    Less than nothing, which some programs write for what is ordered and missing, is 0.
    """
    written = _plain(value).strip()
    word = label_key(written.rpartition("/")[2])
    if word in _AVAILABLE:
        return None
    if word in _NOT_AVAILABLE:
        return 0
    if written.startswith(("-", "\u2212")):
        count_of("stock", written[1:])
        return 0
    return count_of("stock", value)


def path_of(values: Sequence[Any], most: int) -> str | None:
    """Return the path of a category from its levels; a level may be a path itself."""
    parts: list[str] = []
    for value in values:
        if isinstance(value, list):
            levels = [_plain(each) for each in value]
        else:
            written = _plain(value)
            separator = next((each for each in _SEPARATORS if each in written), None)
            levels = written.split(separator) if separator else [written]
        for level in levels:
            # Within a part, the separator of paths would be another level.
            part = text("category", level.replace(PATH_SEPARATOR, " & "), most)
            if part and parts[-1:] != [part]:
                parts.append(part)
    return text("category", PATH_SEPARATOR.join(parts), most)


def attribute(name: str, value: Any, most: int) -> AttributeValue | None:
    """Return the value of an attribute: text, number, true or false, or a list of these. None: empty."""
    if isinstance(value, list):
        if len(value) > _MOST_LISTED:
            raise ValueError(_MANY.format(field=name, most=_MOST_LISTED))
        found = [attribute(name, each, most) for each in value]
        return [each for each in found if each is not None and not isinstance(each, list)] or None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(_ODD.format(field=name))
    if isinstance(value, int) and abs(value) > 2**53:
        value = str(value) if abs(value) < 10**30 else "9" * (most + 1)
    return value if isinstance(value, (bool, int, float)) else text(name, value, most, is_long=True)


def _decimal(written: str, *, thousands: bool) -> Decimal | None:
    """Return the number of a text, with either separator of decimals; None if it is none."""
    digits = re.sub(r"(?<=[0-9])['\u2019\s](?=[0-9]{3})", "", written.strip())
    marks = [each for each in digits if each in ".,"]
    if len(set(marks)) == 2:
        last = marks[-1]
        other = "," if last == "." else "."
        whole, _, rest = digits.rpartition(last)
        if not _GROUPED[other].fullmatch(whole):
            return None
        digits = f"{whole.replace(other, '')}.{rest}"
    elif marks:
        is_grouped = _GROUPED[marks[0]].fullmatch(digits) is not None
        if len(marks) > 1 and not (thousands and is_grouped):
            return None
        if thousands and is_grouped and not digits.startswith("0"):
            digits = digits.replace(marks[0], "")
        else:
            digits = digits.replace(marks[0], ".")
    return Decimal(digits) if re.fullmatch(r"[0-9]{1,20}(?:\.[0-9]{1,20})?", digits) else None
