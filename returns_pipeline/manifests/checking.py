"""Checks one line of a manifest: a value that is wrong refuses its line with a sentence."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

from returns_pipeline.languages import N_
from returns_pipeline.manifests.columns import FIELDS
from returns_pipeline.records.returns import MOST_OF_NUMBER, Announcement, RefusedLine, return_number
from returns_pipeline.records.text import label_key
from returns_pipeline.records.verdicts import Expected, ExpectedKind
from returns_pipeline.tabular_files.lines import Line

_MOST = {"order": 100, "product": 100, "title": 300, "customer": 100, "note": 2000}
#: Characters that every field may have.
_SHORT = min(MOST_OF_NUMBER, *_MOST.values())
#: Dates outside of these years are typing errors.
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_SUGGESTIONS = 3

_NO_NUMBER = N_("The line has no number of a return.")
_ODD_NUMBER = N_("The number has more than 100 characters, or one that cannot be printed.")
_LONG = N_("{field} has more than {most} characters.")
_ODD = N_("{field} has a character that cannot be read or stored.")
_DATE = N_("{value} is not a date like 2026-11-30 or 30.11.2026.")
_LABEL = N_("{value} is no category of the model.")
_NEAREST = N_("{value} is no category of the model. Similar: {similar}.")
_MAIN = N_("{value} is no main category of the model.")
_CONTRADICT = N_("{label} does not belong to the main category {main}.")


class Labels(NamedTuple):
    """What a line may expect: labels and main categories by their keys, and the mains of each label."""

    labels: Mapping[str, str]
    mains: Mapping[str, str]
    mains_of: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, spaces: Iterable[tuple[Iterable[str], Iterable[str]]], names: Mapping[str, str]) -> "Labels":
        """Return those of several models: pairs of labels and of the main category of each.

        `names` are names of labels and main categories in other languages, by the name.
        """
        labels: dict[str, str] = {}
        mains: dict[str, str] = {}
        mains_of: dict[str, frozenset[str]] = {}
        for of_model, of_labels in spaces:
            for label, main in zip(of_model, of_labels, strict=True):
                labels.setdefault(label_key(label), label)
                mains.setdefault(label_key(main), main)
                mains_of[label] = mains_of.get(label, frozenset()) | {main}
        for name, label in names.items():
            for known in (labels, mains):
                if label_key(label) in known:
                    known.setdefault(label_key(name), known[label_key(label)])
        return cls(labels, mains, mains_of)


class Checker:
    """Checks lines against the categories of the models."""

    def __init__(self, labels: Labels) -> None:
        """Remember the `labels`; what was checked before is found again."""
        self._labels = labels
        self._expected: dict[tuple[str, str], Expected | str] = {}

    def check(self, line: Line) -> "tuple[Announcement, tuple[bool, ...]] | RefusedLine":
        """Return an announcement and which of its fields the line has, or why it is refused."""
        raw = line.values
        values = [value.strip() if value else "" for value in raw]
        number, order, label, main, product, title, customer, day, note = values
        if not number:
            return RefusedLine(line.number, "", _NO_NUMBER)
        is_plain = _is_plain(values)
        known = number if is_plain else return_number(number)
        if known is None:
            return RefusedLine(line.number, number[:100], _ODD_NUMBER)
        if not is_plain:
            for field, value in zip(FIELDS, values, strict=True):
                if field in _MOST and (reason := _fault(field, value)):
                    return RefusedLine(line.number, known, reason)
        expected: Expected | None = None
        if label or main:
            resolved = self._resolve(label, main)
            if isinstance(resolved, str):
                return RefusedLine(line.number, known, resolved)
            expected = resolved
        announced = None
        if day and (announced := _date(day)) is None:
            return RefusedLine(line.number, known, _DATE.format(value=day[:40]))
        kind = expected.kind if expected else None
        announcement = Announcement(
            known,
            order or None,
            expected.name if expected and kind is ExpectedKind.LABEL else None,
            expected.name if expected and kind is ExpectedKind.MAIN else None,
            product or None,
            title or None,
            customer or None,
            announced,
            note or None,
        )
        return announcement, _present(tuple([value is not None for value in raw]), bool(day))

    def _resolve(self, label: str, main: str) -> Expected | str:
        key = (label, main)
        if key not in self._expected:
            if len(self._expected) > 10_000:
                self._expected.clear()
            self._expected[key] = self._look_up(label, main)
        return self._expected[key]

    def _look_up(self, label: str, main: str) -> Expected | str:
        labels, mains = self._labels.labels, self._labels.mains
        of_main = mains.get(label_key(main)) if main else None
        if main and of_main is None:
            return self._unknown(_MAIN, main, mains)
        if not label:
            return Expected(ExpectedKind.MAIN, of_main or main)
        found = labels.get(label_key(label))
        if found is None:
            other = mains.get(label_key(label))
            if other is None:
                return self._unknown(_LABEL, label, {**mains, **labels})
            return Expected(ExpectedKind.MAIN, other)
        if of_main is not None and of_main not in self._labels.mains_of[found]:
            return _CONTRADICT.format(label=found, main=of_main)
        return Expected(ExpectedKind.LABEL, found)

    def _unknown(self, plain: str, value: str, known: Mapping[str, str]) -> str:
        near = difflib.get_close_matches(label_key(value)[:100], list(known), _SUGGESTIONS)
        shown = value[:100]
        if not near or plain == _MAIN:
            return plain.format(value=shown)
        return _NEAREST.format(value=shown, similar=", ".join(dict.fromkeys(known[key] for key in near)))


@lru_cache(maxsize=1024)
def _present(raw: tuple[bool, ...], has_date: bool) -> tuple[bool, ...]:
    """Return which fields of an Announcement a line has. An empty date keeps the one that is known."""
    number, order, label, main, product, title, customer, _, note = raw
    expects = label or main
    return (number, order, expects, expects, product, title, customer, has_date, note)


def _is_plain(values: Sequence[str]) -> bool:
    """Whether the characters and lengths of all values are right, by a quick check that most lines pass."""
    text = "".join(values)
    return text.isascii() and text.isprintable() and max(map(len, values)) <= _SHORT


def _fault(field: str, value: str) -> str | None:
    most = _MOST[field]
    if len(value) > most:
        return _LONG.format(field=field, most=f"{most:,}")
    if value.isascii() and value.isprintable():
        return None
    if "\x00" in value or "�" in value or any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        return _ODD.format(field=field)
    if field in {"title", "note"}:
        return None
    return None if value.isprintable() else _ODD.format(field=field)


@lru_cache(maxsize=4096)
def _date(text: str) -> date | None:
    if "T" in text or " " in text or len(text) == 8:
        text = text.replace("T", " ").split(" ")[0]
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%Y%m%d", "%Y/%m/%d"):
        try:
            found = datetime.strptime(text, form).date()  # noqa: DTZ007 - a day
        except ValueError:
            continue
        return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None
    return None
