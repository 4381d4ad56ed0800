"""Parsers of the settings of codes in photos."""

import re
import warnings
from typing import Any

from returns_pipeline.records.codes import CodeFormat

#: Characters of a pattern.
_LONGEST_PATTERN = 500


def parse_formats(value: Any) -> tuple[CodeFormat, ...]:
    """Return the formats of `NAME,NAME`, each once. Raises ValueError for an unknown name."""
    names = value.split(",") if isinstance(value, str) else tuple(value)
    known = {each.value: each for each in CodeFormat}
    chosen = dict.fromkeys(known.get(name.strip().lower()) for name in names if name.strip())
    if None in chosen:
        raise ValueError(f"should be names of formats, separated by commas: {', '.join(known)}")
    return tuple(each for each in chosen if each)


def parse_code_pattern(value: str) -> str:
    """Return a regular expression as it is. Raises ValueError for an invalid one, or without one group."""
    if not value:
        return value
    if len(value) > _LONGEST_PATTERN:
        raise ValueError(f"should have at most {_LONGEST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python will read differently
            groups = re.compile(value).groups
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise ValueError(f"should be a regular expression of Python: {error}") from None
    if groups != 1:
        raise ValueError("should have one group, the number of the return, like (RMA-[0-9]{8})")
    return value
