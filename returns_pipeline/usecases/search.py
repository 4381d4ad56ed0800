"""The search box: what a person types becomes a Search, and its photos are found."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from returns_pipeline.languages import N_, category_names, everywhere
from returns_pipeline.records.images import Filter, ImageState
from returns_pipeline.records.reviews import ReviewOutcome
from returns_pipeline.records.search import Flag, Found, Place, Search, Term
from returns_pipeline.records.text import fold
from returns_pipeline.report import words
from returns_pipeline.settings import Settings
from returns_pipeline.store import search, search_index, search_words
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.search_dates import days_of

#: Characters of a search, and words in it, that count; the rest is ignored.
MOST_CHARACTERS, _MOST_WORDS = 200, 16
#: Seconds of one sweep for the index of names: about 100,000 photos.
INDEX_SECONDS = 2.0
#: Words that name a thing together, like a category of three words.
_MOST_TOGETHER = 4
_RUN_END, _IMAGE_END = 2**31, 2**63
#: The names of the flags for people.
_FLAG_NAMES = {
    Flag.UNSURE: N_("unsure"),
    Flag.REVIEWED: N_("reviewed"),
    Flag.CORRECTED: N_("corrected"),
    Flag.UNFAMILIAR: N_("unfamiliar"),
}
_WORD = re.compile(r'(?:([A-Za-z]+):)?"([^"]*)"?|(\S+)')
_STATES: Mapping[str, ImageState] = {
    "unusable": ImageState.QUARANTINED,
    **{state: ImageState(state) for state in ImageState.written()},
    **{
        fold(word): ImageState(state)
        for state in words.IMAGE_STATES
        if state != ImageState.UNKNOWN
        for word in words.IMAGE_STATES.everywhere(state)
    },
}

#: The words of the flags in every language.
_FLAGS = {fold(word): flag for flag, name in _FLAG_NAMES.items() for word in {flag.value, *everywhere(name)}}
#: German keys and prepositions beside the English ones. A key stands before a colon.
_KEYS = {
    "lauf": "run",
    "foto": "photo",
    "bild": "photo",
    "nummer": "photo",
    "kategorie": "category",
    "von": "by",
    "status": "state",
    "zustand": "state",
    "datum": "date",
    "am": "date",
}
_BY = re.compile(r"(?:(reviewed|corrected|geprüft|korrigiert)\s+)?(?:by|von)\s+(.+)", re.IGNORECASE)


class Known(NamedTuple):
    """Words that have a meaning in this installation, and its calendar."""

    labels: Sequence[str] = ()
    reviewers: Sequence[str] = ()
    outcomes: Sequence[str] = ()
    today: date = date(2000, 1, 1)
    timezone: ZoneInfo = ZoneInfo("UTC")


def find_images(
    db: Database,
    settings: Settings,
    text: str,
    limit: int,
    *,
    also: Filter = Filter(),  # noqa: B008 - a tuple, never changed
    oldest_first: bool = False,
    place: Place | None = None,
    now: datetime | None = None,
) -> tuple[Search, Found]:
    """Return what was understood of a text, and a page of the images that it finds, newest first."""
    wanted = understood(db, settings, text, now)
    found = search.find(
        db, wanted, limit, also=also, roots=roots_of(settings), oldest_first=oldest_first, place=place
    )
    return wanted, found


def understood(db: Database, settings: Settings, text: str, now: datetime | None = None) -> Search:
    """Return the meaning of a text today, with the words of this installation."""
    timezone = ZoneInfo(settings.timezone)
    known = Known(
        search_words.labels(db),
        search_words.reviewers(db),
        (*ReviewOutcome, *settings.review_outcomes),
        (now or utc_now()).astimezone(timezone).date(),
        timezone,
    )
    return parse(text, known)


def index_names(db: Database, settings: Settings) -> int:
    """Add new images to the index of names for about INDEX_SECONDS; return how many."""
    return search_index.index(db, roots_of(settings), INDEX_SECONDS)


def roots_of(settings: Settings) -> tuple[str, ...]:
    """Return the folders below which `search_index.searchable` finds the names of images.

    They are those of intakes, with symbolic links and without.
    """
    folders = [*(intake.folder for intake in settings.every_intake), settings.spool_dir]
    return tuple(dict.fromkeys(str(path) for each in folders for path in (each, each.resolve())))


def parse(text: str, known: Known) -> Search:
    """Return the meaning of a text.

    Words that are a category, a reviewer, a state or a day have that meaning, up to four words together; a
    word after `run` or `photo` is a number. Every other word, and a text in quotes, is a part of a file name
    or folder. `name:`, `category:`, `by:`, `state:`, `date:`, `run:` and `photo:` before a word say which
    meaning it has.
    """
    found = _Meanings(known)
    tokens = [
        (match[1] or "", match[2], match[3])
        for match in _WORD.finditer(text[:MOST_CHARACTERS].replace("\0", " "))
    ][:_MOST_WORDS]
    at = 0
    while at < len(tokens):
        key, quoted, word = tokens[at]
        if word is None:
            found.keyed(key.lower(), quoted)
            at += 1
            continue
        together = [each[2] for each in tokens[at : at + _MOST_TOGETHER]]
        if None in together:
            together = together[: together.index(None)]
        at += found.words(together)
    return found.search()


#: Returns the names by which a word is found.
Names = Callable[[str], Iterable[str]]


def _itself(word: str) -> Iterable[str]:
    return (word,)


def _outcome_words(code: str) -> set[str]:
    """Return the words for an outcome in every language, folded; one of the shop's own has only its code."""
    names = words.REVIEW_OUTCOMES.everywhere(code) if code in words.REVIEW_OUTCOMES else set()
    return {fold(word) for word in {code, *names}}


@dataclass
class _Meanings:
    """Collects the meanings of words."""

    known: Known
    terms: list[Term] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    states: list[ImageState] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    days: list[tuple[datetime, datetime]] = field(default_factory=list)
    meanings: list[tuple[str, str]] = field(default_factory=list)

    def words(self, together: Sequence[str]) -> int:
        """Take the longest run of words with a meaning, else the first word as a name; return how many."""
        first = together[0]
        key, colon, value = first.partition(":")
        if colon and value and self._by_key(key.lower(), value):
            return 1
        for count in range(len(together), 0, -1):
            phrase = " ".join(together[:count])
            if self._phrase(phrase):
                return count
        self.name(first)
        return 1

    def keyed(self, key: str, value: str) -> None:
        """Take a text in quotes: a part of a name, or what its key says."""
        if not self._by_key(key, value):
            self.name(value)

    def _by_key(self, key: str, value: str) -> bool:
        """Take a value whose meaning is given; return whether there is such a key and value."""
        takers: Mapping[str, Callable[[str], bool]] = {
            "name": self.name,
            "run": self._run,
            "photo": self._image,
            "image": self._image,
            "id": self._image,
            "category": lambda text: self._label(text) or self._nothing(self.labels, "category", text),
            "label": lambda text: self._label(text) or self._nothing(self.labels, "category", text),
            "by": lambda text: self._reviewer(text) or self._nothing(self.reviewers, "reviewer", text),
            "reviewer": lambda text: self._reviewer(text) or self._nothing(self.reviewers, "reviewer", text),
            "state": self._state,
            "date": self._date,
            "on": self._date,
        }
        key = _KEYS.get(key, key)
        return key in takers and takers[key](value)

    def _phrase(self, phrase: str) -> bool:
        key, _, value = phrase.partition(" ")
        key = _KEYS.get(key.lower(), key.lower())
        if value and key in {"run", "photo", "image"} and self._by_key(key, value):
            return True
        if phrase.startswith("#"):
            return self._image(phrase[1:])
        by = _BY.fullmatch(phrase)
        if by and self._reviewer(by[2]):
            if fold(by[1] or "") in _FLAGS and _FLAGS[fold(by[1])] is Flag.CORRECTED:
                self._state(by[1])
            return True
        return self._label(phrase) or self._state(phrase) or self._date(phrase) or self._reviewer(phrase)

    def name(self, text: str) -> bool:
        """Take a part of a file name or folder."""
        folded = fold(text)
        if folded:
            number = int(folded) if folded.isascii() and folded.isdecimal() and len(folded) < 20 else None
            kind = "name" if len(folded) > 2 else "start"
            if number is not None:
                kind = "number" if kind == "name" else "start_number"
            self.terms.append(Term(folded, number))
            self.meanings.append((kind, text))
        return True

    def _image(self, text: str) -> bool:
        return self._number(text, _IMAGE_END, self.images, "photo")

    def _run(self, text: str) -> bool:
        return self._number(text, _RUN_END, self.runs, "run")

    def _number(self, text: str, end: int, to: list[int], kind: str) -> bool:
        if not text.isascii() or not text.isdecimal() or len(text) > 19 or not 0 < int(text) < end:
            return False
        to.append(int(text))
        self.meanings.append((kind, str(int(text))))
        return True

    def _label(self, text: str) -> bool:
        return self._one_of(text, self.known.labels, self.labels, "category", category_names)

    def _reviewer(self, text: str) -> bool:
        return self._one_of(text, self.known.reviewers, self.reviewers, "reviewer")

    def _one_of(
        self, text: str, known: Iterable[str], to: list[str], kind: str, names_of: Names = _itself
    ) -> bool:
        """Take every known word of which a name equals the text but for case and accents."""
        folded = fold(text)
        same = [each for each in known if folded in {fold(name) for name in names_of(each)}]
        to += same
        self.meanings += [(kind, same[0])] if same else []
        return bool(same)

    def _nothing(self, to: list[str], kind: str, text: str) -> bool:
        """Take a category or reviewer that no image has: nothing is found."""
        to.append("")
        self.meanings.append((kind, text))
        return True

    def _state(self, text: str) -> bool:
        word = fold(text)
        outcome = next((code for code in self.known.outcomes if word in _outcome_words(code)), None)
        if word in _STATES:
            self.states.append(_STATES[word])
        elif word in _FLAGS:
            self.flags.append(_FLAGS[word])
        elif outcome and outcome != ReviewOutcome.LABEL:
            self.outcomes.append(outcome)
        else:
            return False
        self.meanings.append(("state", words.outcome(outcome) if outcome else word))
        return True

    def _date(self, text: str) -> bool:
        between = days_of(text.lower(), self.known.today, self.known.timezone)
        if between is None:
            return False
        self.days.append(between)
        self.meanings.append(("date", text))
        return True

    def search(self) -> Search:
        """Return everything that was taken."""
        return Search(
            tuple(self.terms),
            tuple(self.images),
            tuple(self.runs),
            tuple(self.labels),
            tuple(self.reviewers),
            tuple(self.states),
            tuple(self.outcomes),
            tuple(dict.fromkeys(self.flags)),
            max((since for since, _ in self.days), default=None),
            min((until for _, until in self.days), default=None),
            tuple(self.meanings),
        )
