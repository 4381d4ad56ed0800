"""The translations of a language, read from its file when it is first needed: LANGUAGE.po in this folder.

The file itself is read, so nothing compiled can be older than it. It takes about 10 ms, once in a process.
"""

from collections.abc import Callable
from functools import cache
from gettext import c2py
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from returns_pipeline.languages.current import DEFAULT

_FOLDER = Path(__file__).parent


def path_of(language: str) -> Path:
    """Return the file of a language's translations."""
    return _FOLDER / f"{language}.po"


@cache
def catalogue(language: str) -> Catalog:
    """Return the translations of a language."""
    with path_of(language).open("rb") as stream:
        return read_po(stream, locale=language)


def translation(language: str, message: str) -> str:
    """Return a message in a language; the message itself if it has no translation that counts."""
    if language == DEFAULT or not message:
        return message
    found = catalogue(language).get(message)
    text = found.string if found and not found.fuzzy else ""
    return (text if isinstance(text, str) else "") or message


def plural_translation(language: str, one: str, several: str, count: int) -> str:
    """Return the form of a message that a number takes in a language."""
    plain = one if count == 1 else several
    if language == DEFAULT:
        return plain
    found = catalogue(language).get(one)
    forms: object = found.string if found and not found.fuzzy else None
    if not isinstance(forms, tuple | list):
        return plain
    return str(forms[_plural_rule(language)(count)]) or plain


@cache
def _plural_rule(language: str) -> Callable[[int], int]:
    """Return the function that gives the place of the form for a number, from the file's Plural-Forms."""
    rule: Callable[[int], int] = c2py(catalogue(language).plural_expr)
    return rule
