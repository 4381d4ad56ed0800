"""Patterns for numbers: what they find, and that no text takes them long."""

import time

import pytest

from returns_pipeline.records.number_patterns import NumberPattern


@pytest.mark.parametrize(
    "pattern", [r"(?:(?:a+)+)+(b)", r"^(?:a|aa)+(b)$", r"(?:.*a){30}(b)", r"(?:a?){200}a{200}(b)"]
)
def test_no_text_takes_a_pattern_long(pattern: str) -> None:
    """Patterns for which an engine that backtracks needs years give up a long text in no time."""
    compiled = NumberPattern(pattern)
    began = time.process_time()
    for _ in range(20):
        assert compiled.find("a" * 7_000) is None
        assert compiled.find_whole("a" * 7_000) is None
    assert time.process_time() - began < 5


def test_numbers_are_found_in_names_of_any_characters() -> None:
    """Anywhere or in the whole text, with letters of any script and bytes that are no text."""
    compiled = NumberPattern("(RMA-[0-9]+)")
    assert compiled.find("größe_RMA-1_\udce9.jpg") == "RMA-1"
    assert compiled.find_whole("RMA-1") == "RMA-1"
    assert compiled.find_whole("RMA-1 ") is None
    assert NumberPattern("^(.+)_").find("Größe_1") == "Größe"
    assert NumberPattern("^(x?)").find("RMA-1") is None


def test_a_pattern_that_grows_too_large_is_refused() -> None:
    """Few characters may stand for a program of any size."""
    with pytest.raises(ValueError, match="RE2"):
        NumberPattern(r"((?:\pL{50}){20})")
