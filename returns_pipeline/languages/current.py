"""The language that is spoken now: of the request that is served, or of the report that is written.

It is a context variable: each request has its own, and a thread that works for a request takes it over.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from babel import negotiate_locale

#: Each language that exists, by its code, with its name in itself. The first one is that of the code.
LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"
#: A header is at most this long; a longer one counts as absent.
_MOST_LETTERS = 1000

#: For each language the names of categories, by their labels.
CategoryNames = Mapping[str, Mapping[str, str]]


def _no_names() -> CategoryNames:
    return {}


@dataclass(slots=True)
class _Spoken:
    """The language of one request. All threads of the request share it, so `prefer` reaches each."""

    language: str = DEFAULT
    names: Callable[[], CategoryNames] = _no_names


_spoken: ContextVar[_Spoken | None] = ContextVar("language", default=None)
_CODE_LANGUAGE = _Spoken()


def current() -> str:
    """Return the code of the language that is spoken now; outside of `use` it is English."""
    return (_spoken.get() or _CODE_LANGUAGE).language


def names_now() -> CategoryNames:
    """Return the names of categories that were given to `use`."""
    return (_spoken.get() or _CODE_LANGUAGE).names()


@contextmanager
def use(language: str, names: Callable[[], CategoryNames] = _no_names) -> Iterator[None]:
    """Speak a language inside of the block, with these names of categories. An unknown code is English."""
    token = _spoken.set(_Spoken(language if language in LANGUAGES else DEFAULT, names))
    try:
        yield
    finally:
        _spoken.reset(token)


def prefer(language: object) -> None:
    """Change the language of the present `use`: a user's setting is known after the request has begun.

    Anything but a known code changes nothing.
    """
    spoken = _spoken.get()
    if spoken is not None and isinstance(language, str) and language in LANGUAGES:
        spoken.language = language


def negotiated(header: str, fallback: str = DEFAULT) -> str:
    """Return the language that a header `Accept-Language` prefers (RFC 9110, 12.5.4), else `fallback`.

    `de-AT` is German, and `q=0` refuses a language. `*` is any language, so it is the fallback.
    """
    wanted: list[tuple[float, str]] = []
    for part in header[:_MOST_LETTERS].split(",") if len(header) <= _MOST_LETTERS else ():
        tag, _, parameters = part.strip().partition(";")
        weight = _weight(parameters)
        if weight > 0 and tag:
            wanted.append((-weight, fallback if tag.strip() == "*" else tag.strip().lower()))
    preferred = [tag for _, tag in sorted(wanted, key=lambda each: each[0])]
    return negotiate_locale(preferred, list(LANGUAGES), sep="-") or fallback


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
