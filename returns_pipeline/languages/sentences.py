"""Sentences in the language that is spoken now.

A sentence is a literal in the code, with named fields like `{name}`. `gettext` shows it, `ngettext` chooses
the form that a number needs, and `N_` marks a literal that is shown later. The extraction finds these calls.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from returns_pipeline.languages.catalogue import catalogue, plural_translation, translation
from returns_pipeline.languages.current import DEFAULT, LANGUAGES, current
from returns_pipeline.languages.formats import filling, number

_FIELD = re.compile(r"\{(\w+)[^}]*\}")
#: A text that is a whole sentence, perhaps with another one in its last field.
_SENTENCE = re.compile(r"[.?!]( \{reason\})?$")


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Return a message as it is: it is marked for translation, and shown later by `gettext`."""
    return message


def gettext(message: str, /, **fields: object) -> str:
    """Return a message in the language that is spoken, with its fields filled."""
    text = translation(current(), message)
    return filling.vformat(text, (), fields) if fields else text


def ngettext(one: str, several: str, count: int, /, **fields: object) -> str:
    """Return the form of a message for a number; the field `{count}` is that number."""
    text = plural(one, several, count)
    return filling.vformat(text, (), {"count": number(count), **fields})


def plural(one: str, several: str, count: int, /) -> str:
    """Return the form of a message for a number, with its fields unfilled."""
    return plural_translation(current(), one, several, count)


def everywhere(message: str) -> set[str]:
    """Return a message in every language: a search accepts each, whatever its reader speaks."""
    return {translation(language, message) for language in LANGUAGES}


class Words(Mapping[str, str]):
    """Words for codes: a mapping whose values are translated when they are read."""

    def __init__(self, words: Mapping[str, str]) -> None:
        """Keep the words, which are English and marked by `N_`."""
        self._words = words

    def __getitem__(self, code: str) -> str:
        """Return the words of a code in the language that is spoken. Raises KeyError."""
        return gettext(self._words[code])

    def __iter__(self) -> Iterator[str]:
        """Yield each code."""
        return iter(self._words)

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._words)

    def everywhere(self, code: str) -> set[str]:
        """Return the words of a code in every language. Raises KeyError."""
        return everywhere(self._words[code])


def script_sentences() -> dict[str, str]:
    """Return the sentences of scripts in the language that is spoken, by the English ones."""
    language = current()
    if language == DEFAULT:
        return {}
    return {
        str(each.id): translation(language, str(each.id))
        for each in catalogue(language)
        if any(path.endswith(".js") for path, _ in each.locations)
    }


def retold(text: str) -> str:
    """Return a text that was stored in English in the language that is spoken.

    Its sentences are recognized by their templates. What is not recognized stays as it is: a name, or a
    sentence of another program.
    """
    language = current()
    if language == DEFAULT or not text:
        return text
    told, rest = [], text
    while rest:
        found = _recognized(language, rest)
        if found is None:
            told.append(rest)
            break
        sentence, rest = found
        told.append(sentence)
    return " ".join(told)


def _recognized(language: str, text: str) -> tuple[str, str] | None:
    """Return the translation of the sentence that a text begins with, and the rest; None if it is unknown."""
    whole = catalogue(language).get(text)
    if whole is not None and isinstance(whole.string, str) and whole.string:
        return whole.string, ""
    for pattern, message in _templates(language):
        match = pattern.match(text)
        if match is None:
            continue
        fields = {name: _field(value) for name, value in match.groupdict().items() if value is not None}
        translated = _FIELD.sub(lambda field: fields.get(field[1], field[0]), translation(language, message))  # noqa: B023
        return translated, text[match.end() :].lstrip()
    return None


def _field(value: str) -> str:
    """Return the text of a field: a number or a sentence in the language, a name as it is."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+", value):
        return number(int(value.replace(",", "")))
    return retold(value) if value.endswith(".") or " " in value else value


@cache
def _templates(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Return a pattern for each sentence, those with the most fixed letters first."""
    messages = [
        each.id
        for each in catalogue(language)
        if isinstance(each.id, str) and _SENTENCE.search(each.id) and "python-format" not in each.flags
    ]
    fixed: Callable[[str], int] = lambda message: len(_FIELD.sub("", message))  # noqa: E731
    return [(_pattern(each), each) for each in sorted(messages, key=fixed, reverse=True)]


def _pattern(message: str) -> re.Pattern[str]:
    parts, seen, at = [], set[str](), 0
    for field in _FIELD.finditer(message):
        parts.append(re.escape(message[at : field.start()]))
        name = field[1]
        # A field that ends a message holds the rest of the text: other sentences.
        any_text = ".+" if field.end() == len(message) else ".+?"
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{any_text})")
        seen.add(name)
        at = field.end()
    parts.append(re.escape(message[at:]))
    return re.compile("".join(parts) + r"(?=\s|$)", re.DOTALL)
