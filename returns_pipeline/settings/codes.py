"""Parsers of the settings of codes in photos."""

from typing import Any

from returns_pipeline.records.codes import CodeFormat
from returns_pipeline.records.number_patterns import NumberPattern


def parse_formats(value: Any) -> tuple[CodeFormat, ...]:
    """Return the formats of `NAME,NAME`, each once. Raises ValueError for an unknown name."""
    names = value.split(",") if isinstance(value, str) else tuple(value)
    known = {each.value: each for each in CodeFormat}
    chosen = dict.fromkeys(known.get(name.strip().lower()) for name in names if name.strip())
    if None in chosen:
        raise ValueError(f"should be names of formats, separated by commas: {', '.join(known)}")
    return tuple(each for each in chosen if each)


def parse_number_pattern(value: str) -> str:
    """Return a pattern for numbers as it is; empty for none. Raises ValueError for an invalid one."""
    if value:
        NumberPattern(value)
    return value
