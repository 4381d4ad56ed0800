"""Days as people write them: `yesterday`, `last week`, `monday`, `2026-11-20`, `20.11.2026`, `2026-11`.

German words count beside the English ones, whatever language the page has.
"""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_ISO_DAY = r"(\d{4})-(\d{1,2})-(\d{1,2})"
_DAY = re.compile(_ISO_DAY)
_RANGE = re.compile(rf"({_ISO_DAY})(?:\.\.| to | bis | - )({_ISO_DAY})")
_GERMAN = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})?")
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")
_ENGLISH = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DEUTSCH = ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag")
_WEEKDAYS = {name: day for names in (_ENGLISH, _DEUTSCH) for day, name in enumerate(names)} | {"sonnabend": 5}
#: The English words for German ones.
_IN_ENGLISH = {
    "letzte nacht": "last night",
    "heute": "today",
    "gestern": "yesterday",
    "vorgestern": "the day before yesterday",
    "diese woche": "this week",
    "letzte woche": "last week",
    "vorige woche": "last week",
    "vergangene woche": "last week",
    "dieser monat": "this month",
    "diesen monat": "this month",
    "letzter monat": "last month",
    "letzten monat": "last month",
    "voriger monat": "last month",
    "vorigen monat": "last month",
}


def days_of(text: str, today: date, timezone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Return the moments between which a text in lower case lies, the second exclusive; None for others."""
    try:
        text = _IN_ENGLISH.get(text, text)
        if text == "last night":
            noon = datetime.combine(today, time(12), timezone)
            return noon - timedelta(days=1), noon
        days = _days(text, today)
        if days is None:
            return None
        first, last = days
        return (
            datetime.combine(first, time(), timezone),
            datetime.combine(last + timedelta(days=1), time(), timezone),
        )
    except (ValueError, OverflowError):
        # There is no such day.
        return None


def _days(text: str, today: date) -> tuple[date, date] | None:
    """Return the first and the last day that a text names. Raises ValueError for a day that is none."""
    monday, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    day = timedelta(days=1)
    named = {
        "today": (today, today),
        "yesterday": (today - day, today - day),
        "the day before yesterday": (today - 2 * day, today - 2 * day),
        "this week": (monday, today),
        "last week": (monday - 7 * day, monday - day),
        "this month": (month, today),
        "last month": ((month - day).replace(day=1), month - day),
    }
    if text in named:
        return named[text]
    if text in _WEEKDAYS:
        one = today - timedelta(days=(today.weekday() - _WEEKDAYS[text]) % 7)
        return one, one
    if match := _RANGE.fullmatch(text):
        return _iso(match[1]), _iso(match[5])
    if _DAY.fullmatch(text):
        return _iso(text), _iso(text)
    if match := _MONTH.fullmatch(text):
        first = date(int(match[1]), int(match[2]), 1)
        return first, (first + timedelta(days=31)).replace(day=1) - day
    if match := _GERMAN.fullmatch(text):
        one = date(int(match[3] or today.year), int(match[2]), int(match[1]))
        if match[3] is None and one > today:
            one = one.replace(year=one.year - 1)
        return one, one
    return None


def _iso(text: str) -> date:
    year, month, day = map(int, text.split("-"))
    return date(year, month, day)
