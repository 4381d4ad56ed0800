"""Patterns that find the number of a return in a text. Matching takes time in proportion to the text.

By RE2, which does not backtrack: names and codes come from outside, and Python's `re` may take hours for one.
"""

from functools import lru_cache
from typing import Any

#: Bytes of a compiled pattern. A larger one takes too long on each text.
_MOST_MEMORY = 1 << 20
#: Characters of a pattern.
_LONGEST = 500


class NumberPattern:
    """A regular expression in RE2's syntax with one group, the number."""

    def __init__(self, pattern: str) -> None:
        """Raise ValueError for an invalid regular expression, or for another number of groups."""
        if len(pattern) > _LONGEST:
            raise ValueError(f"should have at most {_LONGEST} characters")
        self._compiled = _compiled(pattern)
        if self._compiled.groups != 1:
            raise ValueError("should have one group, the number of the return, like (RMA-[0-9]{8})")

    def find(self, text: str) -> str | None:
        """Return the number in a text, which the pattern may match anywhere; None without one."""
        return _group(self._compiled.search(_bytes(text)))

    def find_whole(self, text: str) -> str | None:
        """Return the number in a text that the pattern matches from end to end; None if it does not."""
        return _group(self._compiled.fullmatch(_bytes(text)))


@lru_cache(maxsize=8)
def _compiled(pattern: str) -> Any:
    import re2  # only if there is a pattern

    options = re2.Options()
    options.log_errors, options.max_mem = False, _MOST_MEMORY
    try:
        return re2.compile(_bytes(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace")
        raise ValueError(f"should be a regular expression in RE2's syntax: {reason}") from None


def _bytes(text: str) -> bytes:
    # A name whose bytes are no text has surrogates. They are no part of a number.
    return text.encode("utf-8", "replace")


def _group(match: Any) -> str | None:
    found = match and match[1]
    return found.decode("utf-8", "replace") if found else None
