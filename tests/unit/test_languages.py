"""Languages: which one is spoken, how its numbers and dates look, and that no sentence is missing."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

import returns_pipeline
from returns_pipeline import languages
from returns_pipeline.errors import FaultCode, ImageFault, NotFoundError
from returns_pipeline.languages import LANGUAGES, gettext, negotiated, ngettext, retold, use
from returns_pipeline.languages.catalogue import catalogue, path_of
from returns_pipeline.languages.extraction import messages, update
from returns_pipeline.records.access import Role
from returns_pipeline.records.runs import LeftBehind
from returns_pipeline.report import words
from returns_pipeline.report.html import template_environment

MESSAGES = list(messages())
OTHERS = [language for language in LANGUAGES if language != languages.DEFAULT]


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_of_the_code_is_translated(language: str) -> None:
    """No sentence is missing, in doubt or only half there: a reader never gets two languages."""
    found = catalogue(language)
    missing = []
    for message in MESSAGES:
        entry = found.get(message.forms[0])
        strings = (
            () if entry is None else entry.string if isinstance(entry.string, tuple) else (entry.string,)
        )
        if entry is None or entry.fuzzy or len(strings) < len(message.forms) or not all(strings):
            missing.append((message.place, message.forms[0]))
    assert missing == []


@pytest.mark.parametrize("language", OTHERS)
def test_the_file_of_a_language_is_what_the_extraction_writes(language: str) -> None:
    """It has no sentence that the code does not have, and `make messages` changes nothing."""
    assert path_of(language).read_text(encoding="utf-8") == update(language)


def _fields(text: str) -> set[str]:
    """Return the fields of a sentence: `{name:,}` of Python and of scripts, `%(name)s` of templates."""
    braces = [] if '{"' in text else [(name, form) for _, name, form, _ in Formatter().parse(text) if name]
    return {f"{name}:{form}" for name, form in braces} | set(re.findall(r"%\(\w+\)s", text))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_fields_of_its_sentence(language: str) -> None:
    """No field is lost, renamed or written in another form; a form for one may leave out the number."""
    wrong = []
    for message in catalogue(language):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        for one, other in zip(map(str, ids), map(str, strings), strict=True):
            if _fields(one) != _fields(other):
                wrong.append((one, other))
    assert wrong == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, de;q=0.9", "de"),
        ("de;q=0.5, en", "en"),
        ("fr, de;q=0.1", "de"),
        ("fr-CA, es", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("de;q=zero", "en"),
        ("DE", "de"),
        ("*", "en"),
        ("", "en"),
        (";;;,,,=", "en"),
        ("de," * 1000, "en"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    """The highest weight wins; a language that does not exist, or a broken header, gives the fallback."""
    assert negotiated(header) == language
    assert negotiated("fr", "de") == "de"


def test_a_users_setting_wins_over_the_browser_for_its_request_only() -> None:
    """It reaches the threads of the request; an unknown or missing setting changes nothing."""
    with use("en"):
        copy_context().run(languages.prefer, "de")
        assert languages.current() == "de"
        for unknown in (None, "xx", 5, ""):
            languages.prefer(unknown)
        assert languages.current() == "de"
    assert languages.current() == "en"
    languages.prefer("de")
    assert languages.current() == "en"


def test_two_languages_at_the_same_time_never_mix() -> None:
    """Threads that speak different languages, started from each other, each keep their own."""

    def speak(number: int) -> bool:
        language = ("en", "de")[number % 2]
        with use(language):
            return all(gettext("Log in") == {"en": "Log in", "de": "Anmelden"}[language] for _ in range(500))

    with use("de"), ThreadPoolExecutor(8) as pool:
        assert all(pool.map(speak, range(64)))
        assert gettext("Log in") == "Anmelden"


def test_numbers_and_dates_are_written_as_in_the_language() -> None:
    """German separates thousands by points and decimals by commas, and begins dates with the day."""
    moment, zone = datetime(2026, 11, 26, 23, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin")

    def written() -> list[str]:
        return [
            languages.number(1234567),
            languages.decimal(1234.56),
            languages.decimal(0.5, sign=True),
            languages.percent(0.998),
            languages.date_text(date(2026, 11, 26)),
            languages.moment_text(moment, zone),
            languages.moment_text(moment, zone, "long"),
            gettext("{count:,} of {share:.1%}", count=1234, share=0.1234),
        ]

    assert written() == [
        "1,234,567",
        "1,234.6",
        "+0.5",
        "99.8 %",
        "2026-11-26",
        "2026-11-27 00:30",
        "Friday 27 November 2026, 00:30",
        "1,234 of 12.3%",
    ]
    with use("de"):
        assert written() == [
            "1.234.567",
            "1.234,6",
            "+0,5",
            "99,8 %",
            "26.11.2026",
            "27.11.2026, 00:30",
            "Freitag, 27. November 2026, 00:30",
            "1.234 of 12,3 %",
        ]


def test_plurals_and_codes_follow_the_language() -> None:
    """A number chooses the form of its noun, and a code's words are translated when they are read."""
    left = LeftBehind(still_changing=1, skipped=1200)
    assert words.counted(1, "photo") == "1 photo"
    with use("de"):
        assert [words.counted(count, "photo") for count in (0, 1, 1200)] == [
            "0 Fotos",
            "1 Foto",
            "1.200 Fotos",
        ]
        assert words.left_behind(left)[1] == "1.200 andere Dateien oder Ordner wurden ausgelassen."
        assert dict(words.IMAGE_STATES.items())["quarantined"] == "unbrauchbar"
        assert words.run_state("running", 1200, 3000) == "in Arbeit: 1.200 von 3.000 Fotos"
        assert words.unusable("empty_file")[0].startswith("Die Datei ist leer")
        assert [words.role(role) for role in Role][:3] == ["Einsicht", "Prüfung", "Systembetreuung"]


def test_an_error_is_english_in_the_log_and_german_on_a_page() -> None:
    """Text that is stored stays English; what a page shows has the reader's language and numbers."""
    fault = NotFoundError("There is no run {run_id}.", "Try again later.", run_id=7)
    big = ImageFault(
        FaultCode.TOO_LARGE,
        "The file has {size:,} bytes; at most {max_bytes:,} are accepted.",
        size=2_000_000,
        max_bytes=1_000_000,
    )
    with use("de"):
        assert str(fault) == "There is no run 7. Try again later."
        assert fault.shown == "Es gibt keinen Lauf 7. Versuchen Sie es später noch einmal."
        assert big.detail == "The file has 2,000,000 bytes; at most 1,000,000 are accepted."
        assert big.shown == "Die Datei hat 2.000.000 Bytes; höchstens 1.000.000 werden angenommen."
        assert FaultCode.EMPTY_FILE.sentence == "The file has no content."
        assert FaultCode.EMPTY_FILE.shown == "Die Datei hat keinen Inhalt."


@pytest.mark.parametrize(
    ("stored", "german"),
    [
        (
            "There is no run 7. Try again later.",
            "Es gibt keinen Lauf 7. Versuchen Sie es später noch einmal.",
        ),
        (
            "The file has 2,000,000 bytes; at most 1,000,000 are accepted.",
            "Die Datei hat 2.000.000 Bytes; höchstens 1.000.000 werden angenommen.",
        ),
        (
            "/a (b)/c.png cannot be read: Is a directory.",
            "/a (b)/c.png kann nicht gelesen werden: Is a directory.",
        ),
        ("A sentence of another program.", "A sentence of another program."),
        (
            "The photo cannot be read. The file has no content.",
            "Das Foto kann nicht gelesen werden. Die Datei hat keinen Inhalt.",
        ),
        ("", ""),
    ],
)
def test_a_stored_sentence_is_told_in_the_language(stored: str, german: str) -> None:
    """It is recognized by its template, with names as they are; another program's text stays as it is."""
    assert retold(stored) == stored
    with use("de"):
        assert retold(stored) == german


def test_every_error_without_fields_can_be_told_again() -> None:
    """A sentence is never recognized as another one whose fields would swallow it."""
    with use("de"):
        for message in MESSAGES:
            text = message.forms[0]
            if len(message.forms) == 1 and "{" not in text and "%" not in text:
                assert retold(text) == gettext(text), text


def test_a_sentence_of_a_template_escapes_its_values() -> None:
    """Neither markup nor a character that reverses the writing direction comes out of a value."""
    environment = template_environment("returns_pipeline.web")
    source = (
        "{% trans name=name %}Photo <b>{{ name }}</b>{% endtrans %}|{{ _('Log in') }}|"
        "{% trans count=count %}{{ count }} photo{% pluralize %}{{ count }} photos, 5 %{% endtrans %}"
    )
    shown = environment.from_string(source).render(name="<i>\u202egnp", count=1200)
    assert shown == "Photo <b>&lt;i&gt;\\u202egnp</b>|Log in|1,200 photos, 5 %"
    with use("de"):
        assert "|Anmelden|1.200 photos" in environment.from_string(source).render(name="", count=1200)


#: Words that are the same in every language: names of formats and of the program, units, keys.
_SAME = {
    "CSV",
    "Excel",
    "F1",
    "REST",
    "JSON",
    "Parquet",
    "Returns",
    "returns",
    "returns-pipeline",
    "s",
    "Enter",
    "Space",
}
_PACKAGE = Path(returns_pipeline.__file__).parent
# The page of the OpenAPI document is English, as the document is.
_TEMPLATES = sorted(
    each
    for part in ("report", "web")
    for each in (_PACKAGE / part).rglob("templates/*.html")
    if each.name != "docs.html"
)


@pytest.mark.parametrize("template", _TEMPLATES, ids=lambda path: path.stem)
def test_a_template_has_no_words_beside_its_sentences(template: Path) -> None:
    """Text of elements and of attributes that people read is inside of `_()` or `{% trans %}`."""
    text = re.sub(
        r"{#.*?#}|{% *trans.*?endtrans *%}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    text = re.sub(r"{{.*?}}|{%.*?%}", "\0", text, flags=re.DOTALL)
    text = re.sub(r"<(script|style|kbd)\b.*?</\1>|<!.*?>", "", text, flags=re.DOTALL)
    shown = re.findall(r'\b(?:aria-label|alt|title|placeholder|label)="([^"]*)"', text)
    shown.append(re.sub(r"<[^>]*>|&\w+;", " ", text))
    words_found = {word for each in shown for word in re.findall(r"[^\W\d_][\w-]*", each)}
    assert words_found - _SAME == set()


def test_ngettext_says_the_number_once() -> None:
    """English needs no file, and its forms are those of the code."""
    assert [ngettext("1 day", "{count} days", count) for count in (1, 2)] == ["1 day", "2 days"]
