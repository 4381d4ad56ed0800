"""JSON: an object in each line, or a list of objects, alone or as in `{"products": [...]}`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.returns import RefusedLine
from returns_pipeline.tabular_files.csv_lines import encoding_of

#: An object with its line, or its place in the list, from 1.
Numbered: TypeAlias = tuple[int, dict[str, Any]]

NOT_AN_OBJECT = N_("The line is not a JSON object whose values are texts or numbers.")
_TOO_LONG = N_("The line has more than {most} characters.")
#: Names under which an object has the list that a file is about.
_LISTS = frozenset({"products", "items", "data", "results", "produkte", "artikel"})
_READ_CHARACTERS = 1 << 20


def has_list(path: Path, encoding: str, most: int) -> bool:
    """Whether a JSON file is one list, and not an object in each line."""
    with path.open(encoding=encoding, errors="replace") as stream:
        for _ in range(2):
            found = _decoded(stream.readline(most))
            if isinstance(found, dict):
                return any(isinstance(found.get(name), list) for name in _LISTS)
    return True


def json_lines(path: Path, encoding: str, most: int) -> Iterator[Numbered | RefusedLine]:
    """Yield the objects of a file that has one in each line; no line has more than `most` characters."""
    with path.open(encoding=encoding, errors="replace") as stream:
        number = 0
        while text := stream.readline(most):
            number += 1
            if len(text) >= most:
                while text and not text.endswith("\n"):
                    text = stream.readline(most)
                yield RefusedLine(number, "", _TOO_LONG.format(most=f"{most:,}"))
            elif text.strip():
                yield _checked(number, _decoded(text))


def json_list(path: Path, encoding: str, most: int) -> Iterator[Numbered | RefusedLine]:
    """Yield the objects of a file that is a list, or an object with a list; memory is constant.

    No object has more than `most` characters. Raises RefusedError where the file is no list or is damaged.
    """
    with path.open(encoding=encoding, errors="replace") as stream:
        values = _Values(stream, most)
        if not values.find_list():
            raise RefusedError(
                "The file has no list of products.", 'Send `[...]`, `{{"products": [...]}}` or JSON lines.'
            )
        number = 0
        while not values.take("]"):
            number += 1
            try:
                yield _checked(number, values.next())
                values.end_item()
            except ValueError as error:
                raise RefusedError(
                    "The list is damaged at its product {number}: the rest was not read.", number=number
                ) from error


def open_json(path: Path, most: int) -> tuple[Iterator[Numbered | RefusedLine], str]:
    """Return the objects of a JSON file of either form, and its encoding."""
    encoding = encoding_of(path)
    read = json_list if has_list(path, encoding, most) else json_lines
    return read(path, encoding, most), encoding.removesuffix("-sig")


class _Values:
    """The values of a JSON text, decoded one by one from a part of it."""

    def __init__(self, stream: TextIO, most: int) -> None:
        self._stream, self._most = stream, most
        self._text, self._at = "", 0
        self._decoder = json.JSONDecoder()

    def find_list(self) -> bool:
        """Go into the list of the file; return whether there is one."""
        if self.take("["):
            return True
        try:
            is_open = self.take("{")
            while is_open and self.peek() == '"':
                name = self.next()
                if not self.take(":"):
                    return False
                if name in _LISTS and self.take("["):
                    return True
                self.next()
                is_open = self.take(",")
        except ValueError:
            pass
        return False

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._read():
                return ""

    def take(self, character: str) -> bool:
        """Step over a character; return whether it is the next one."""
        is_next = self.peek() == character
        self._at += is_next
        return is_next

    def end_item(self) -> None:
        """Step over the comma behind an item of a list. Raises ValueError if it does not end there."""
        if not self.take(",") and self.peek() != "]":
            raise ValueError

    def next(self) -> Any:
        """Return the next value. Raises ValueError if there is none, or if it is too long."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise ValueError from error
            except ValueError:
                if len(self._text) - self._at > self._most or not self._read():
                    raise
            else:
                if end < len(self._text) or not self._read():  # a number at the end may go on
                    self._at = end
                    return value

    def _read(self) -> bool:
        part = self._stream.read(_READ_CHARACTERS)
        self._text, self._at = self._text[self._at :] + part, 0
        return bool(part)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _checked(number: int, value: Any) -> Numbered | RefusedLine:
    return (number, value) if isinstance(value, dict) else RefusedLine(number, "", NOT_AN_OBJECT)
