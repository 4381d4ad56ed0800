"""Numbers, shares and moments as a reader of a language writes them. English dates are ISO 8601."""

from datetime import date, datetime, tzinfo
from string import Formatter
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_decimal

from returns_pipeline.languages.current import DEFAULT, current

#: The patterns of moments: https://unicode.org/reports/tr35/tr35-dates.html#Date_Format_Patterns
_MOMENTS = {
    "en": {
        "day": "yyyy-MM-dd",
        "minute": "yyyy-MM-dd HH:mm",
        "second": "yyyy-MM-dd HH:mm:ss",
        "long": "EEEE d MMMM yyyy, HH:mm",
    },
    "de": {
        "day": "dd.MM.yyyy",
        "minute": "dd.MM.yyyy, HH:mm",
        "second": "dd.MM.yyyy, HH:mm:ss",
        "long": "EEEE, d. MMMM yyyy, HH:mm",
    },
}


def number(value: int) -> str:
    """Return a whole number with separators of thousands: `1,234`, in German `1.234`."""
    return f"{value:,}" if current() == DEFAULT else str(format_decimal(value, locale=current()))


def decimal(value: float, digits: int = 1, sign: bool = False) -> str:
    """Return a number with `digits` decimals: `1,234.5`, in German `1.234,5`."""
    text = f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"
    return text if current() == DEFAULT else _swapped(text)


def short(value: float) -> str:
    """Return a number with the decimals that it has: `12,000`, `0.5`, in German `12.000`, `0,5`."""
    text = f"{value:,.10g}"
    return text if current() == DEFAULT else _swapped(text)


def percent(share: float, digits: int = 1) -> str:
    """Return a share of 1 in percent: `99.8 %`, in German `99,8 %`."""
    return f"{decimal(100 * share, digits)} %"


def moment_text(value: datetime, zone: tzinfo, form: str = "minute") -> str:
    """Return an aware moment in a time zone; `form` is day, minute, second or long."""
    language = current()
    return str(format_datetime(value.astimezone(zone), _MOMENTS[language][form], locale=language))


def date_text(value: date) -> str:
    """Return a day: `2026-11-26`, in German `26.11.2026`."""
    return value.isoformat() if current() == DEFAULT else value.strftime("%d.%m.%Y")


class _Filling(Formatter):
    """str.format with the numbers, shares and dates of the language that is spoken."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a field's text."""
        if isinstance(value, datetime) and format_spec:
            return _date_in(value, format_spec)
        text = format(value, format_spec)
        if current() == DEFAULT or isinstance(value, str) or not format_spec:
            return text
        if format_spec.endswith("%"):
            return f"{_swapped(text[:-1])} %"
        return _swapped(text) if format_spec[-1] in ",fg" or "," in format_spec else text


def _date_in(value: datetime, form: str) -> str:
    if current() != DEFAULT:
        form = form.replace("%Y-%m-%d", "%d.%m.%Y")
    return value.strftime(form)


def _swapped(text: str) -> str:
    return text.translate({ord(","): ".", ord("."): ","})


#: Fills the fields of a sentence: `filling.vformat(sentence, (), fields)`.
filling = _Filling()
