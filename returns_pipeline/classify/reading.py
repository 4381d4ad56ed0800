"""Reads files of a bundle that may be anything: large, a pipe, a device, JSON of any shape."""

import json
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

#: Integers that SQLite, PostgreSQL and JSON readers store exactly.
_LARGEST_INTEGER = 2**63 - 1
#: Brackets inside brackets. A bundle.json has 4 levels; the configuration of nested networks about 20.
_MOST_LEVELS = 100


def open_file(path: Path, most_bytes: int) -> BufferedReader:
    """Open a regular file of at most `most_bytes`. Raises OSError if it cannot be opened, else ValueError.

    A pipe without a writer would block a plain `open` forever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    fault = ""
    if not stat.S_ISREG(facts.st_mode):
        fault = "it is not a regular file"
    elif facts.st_size > most_bytes:
        fault = f"it has {facts.st_size:,} bytes, and at most {most_bytes:,} are read"
    if fault:
        os.close(descriptor)
        raise ValueError(fault)
    return os.fdopen(descriptor, "rb")


def parse_json(text: bytes) -> Any:
    """Return the content of a JSON text in UTF-8.

    Raises ValueError for what two readers may read differently, or what cannot be stored: a key that occurs
    twice, an integer that is too large, half of a surrogate pair, brackets nested too deeply. NaN and
    Infinity are read.
    """
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_object, parse_int=_integer)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None
    for value in _strings(content):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("it holds half of a surrogate pair, like \\ud800") from None
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def _integer(digits: str) -> int:
    # The length first: Python refuses thousands of digits with another error.
    if len(digits) > 20 or abs(int(digits)) > _LARGEST_INTEGER:
        raise ValueError("a number is too large")
    return int(digits)


def _strings(content: Any) -> Iterator[str]:
    """Yield every string, keys too, without recursion. Raises ValueError below _MOST_LEVELS."""
    waiting = [(content, 0)]
    while waiting:
        node, level = waiting.pop()
        if level > _MOST_LEVELS:
            raise ValueError("its brackets are nested too deeply")
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from node
            waiting += [(value, level + 1) for value in node.values()]
        elif isinstance(node, list):
            waiting += [(value, level + 1) for value in node]
