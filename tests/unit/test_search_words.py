"""What a person types into the search box has one meaning, and special characters have none."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from returns_pipeline.languages import use
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.search import Flag, Search, Term
from returns_pipeline.records.text import fold
from returns_pipeline.usecases.search import Known, parse
from returns_pipeline.usecases.search_dates import days_of

BERLIN = ZoneInfo("Europe/Berlin")
#: A Thursday.
TODAY = date(2026, 11, 26)
KNOWN = Known(("Bag", "T-shirt/top", "Ankle boot"), ("anna", "bert"), tuple(ReviewOutcome), TODAY, BERLIN)


def _meaning(text: str) -> Search:
    return parse(text, KNOWN)._replace(meanings=())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Search()),
        ("  \t ", Search()),
        ("return", Search(terms=(Term("return"),))),
        ("4711", Search(terms=(Term("4711", 4711),))),
        ("MÜLLER straße", Search(terms=(Term("muller"), Term("strasse")))),
        ('"Ankle boot"', Search(terms=(Term("ankle boot"),))),
        ('"open quote', Search(terms=(Term("open quote"),))),
        ("name:bag", Search(terms=(Term("bag"),))),
        ("100%_*?[]", Search(terms=(Term("100%_*?[]"),))),
        ("bag", Search(labels=("Bag",))),
        ("ankle BOOT 4711", Search(terms=(Term("4711", 4711),), labels=("Ankle boot",))),
        ("ankle", Search(terms=(Term("ankle"),))),
        ("t-shirt/top", Search(labels=("T-shirt/top",))),
        ("category:coat", Search(labels=("",))),
        ("run 12", Search(runs=(12,))),
        ("run:12", Search(runs=(12,))),
        ("run 99999999999", Search(terms=(Term("run"), Term("99999999999", 99999999999)))),
        ("photo 7", Search(images=(7,))),
        ("#7", Search(images=(7,))),
        ("#x", Search(terms=(Term("#x"),))),
        ("anna", Search(reviewers=("anna",))),
        ("reviewed by Anna", Search(reviewers=("anna",))),
        ("by:carl", Search(reviewers=("",))),
        ("unusable", Search(states=(ImageState.QUARANTINED,))),
        ("unsure reviewed", Search(flags=(Flag.UNSURE, Flag.REVIEWED))),
        ("none of these", Search(outcomes=("none_of_these",))),
        ("photograph again", Search(outcomes=("retake",))),
        ("http://x:y", Search(terms=(Term("http://x:y"),))),
    ],
)
def test_words_have_the_meaning_of_this_installation(text: str, expected: Search) -> None:
    """Categories, reviewers, states and numbers are known words; everything else is part of a name."""
    assert _meaning(text) == expected


@pytest.mark.parametrize(
    ("text", "first", "days"),
    [
        ("today", date(2026, 11, 26), 1),
        ("yesterday", date(2026, 11, 25), 1),
        ("last week", date(2026, 11, 16), 7),
        ("this week", date(2026, 11, 23), 4),
        ("last month", date(2026, 10, 1), 31),
        ("monday", date(2026, 11, 23), 1),
        ("friday", date(2026, 11, 20), 1),
        ("2026-11-20", date(2026, 11, 20), 1),
        ("2026-02", date(2026, 2, 1), 28),
        ("20.11.2026", date(2026, 11, 20), 1),
        ("24.12.", date(2025, 12, 24), 1),
        ("2026-11-20..2026-11-22", date(2026, 11, 20), 3),
    ],
)
def test_days_begin_at_midnight_of_the_shop(text: str, first: date, days: int) -> None:
    """A day lies between two midnights in the time zone of the settings."""
    between = days_of(text, TODAY, BERLIN)
    assert between is not None
    since, until = between
    assert since == datetime(first.year, first.month, first.day, tzinfo=BERLIN)
    assert until.date() == first + timedelta(days=days)
    assert until.utcoffset() == until.replace(tzinfo=BERLIN).utcoffset()


@pytest.mark.parametrize("text", ["2026-02-30", "0000-01-01", "99.99.2026", "2026-13", "9999-12-31", "29.2."])
def test_a_day_that_is_none_is_part_of_a_name(text: str) -> None:
    """An impossible day is searched for in names."""
    assert days_of(text, TODAY, ZoneInfo("UTC")) is None
    assert parse(text, KNOWN).terms == (Term(text),)


def test_two_days_must_both_fit() -> None:
    """Words narrow a search: a week and a day in it are the day."""
    found = parse("last week 2026-11-20", KNOWN)
    assert found.since == datetime(2026, 11, 19, 23, tzinfo=UTC)
    assert found.until == datetime(2026, 11, 20, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "\ud800", "\U0010ffff" * 300, '"' * 50, ":" * 9, "by ", "run ", "#"]
)
def test_any_text_has_a_meaning(text: str) -> None:
    """No text is refused, and none holds a character that a database refuses."""
    found = parse(text, KNOWN)
    assert all("\0" not in term.text for term in found.terms)
    assert len(found.terms) <= 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rücksendung", "RU\u0308CKSENDUNG"),
        ("STRASSE", "straße"),
        ("Éclair", "eclair"),
        ("ﬁn", "FIN"),
        ("İ", "i"),
    ],
)
def test_case_and_accents_do_not_count(one: str, other: str) -> None:
    """Names are found however their letters are composed."""
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("german", "english"),
    [
        ("gestern", "yesterday"),
        ("Heute", "today"),
        ("letzte Woche", "last week"),
        ("diesen Monat", "this month"),
        ("letzte nacht", "last night"),
        ("Montag", "monday"),
        ("2026-11-01 bis 2026-11-03", "2026-11-01 to 2026-11-03"),
        ("unbrauchbar", "unusable"),
        ("eingeordnet", "classified"),
        ("unsicher", "unsure"),
        ("GEPRÜFT", "reviewed"),
        ("keine davon", "none of these"),
        ("von anna", "by anna"),
        ("korrigiert von bert", "corrected by bert"),
        ("kategorie:bag", "category:bag"),
        ("lauf 7", "run 7"),
        ("foto 12", "photo 12"),
        ("datum:gestern", "date:yesterday"),
    ],
)
def test_german_words_mean_the_same_whatever_the_page_speaks(german: str, english: str) -> None:
    """A clerk may type either language on a page of either."""
    expected = _meaning(english)
    assert expected.terms == ()
    for language in ("en", "de"):
        with use(language):
            assert _meaning(german) == expected
            assert _meaning(english) == expected


def test_a_category_is_found_by_its_name_in_another_language() -> None:
    """The bundle's names are words of the search; the label is what is looked for."""
    with use("en", lambda: {"de": {"Bag": "Tasche", "Ankle boot": "Hoher Schuh"}}):
        assert _meaning("tasche") == Search(labels=("Bag",))
        assert _meaning("hoher schuh gestern").labels == ("Ankle boot",)
        assert _meaning("bag") == Search(labels=("Bag",))
