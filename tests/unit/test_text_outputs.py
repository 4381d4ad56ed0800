"""Text from outside leaves the program as text: in cells, on pages, in log lines, in whole files."""

import io
import logging
import re
from pathlib import Path

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from returns_pipeline.errors import TransientFault
from returns_pipeline.logs import configure_logging
from returns_pipeline.report.csv_table import as_text, from_text
from returns_pipeline.report.html import template_environment
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.settings import load_settings

_NAME = "a\x1b[31mb\n2026 fake\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}[red]"
_SHOWN = r"a\x1b[31mb\n2026 fake\u202e\u200b[red]"
#: What a sheet may take for the start of a formula, and what it skips before that.
_STARTS = "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}"


@given(st.text(alphabet=_STARTS + " ;,'\"a1\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}", max_size=12))
@example("'=1")
@example("a;=1")
@example(' "=1')
def test_a_cell_starts_no_formula_and_keeps_its_value(value: str) -> None:
    """Every text comes back as it was; no cell, nor a part after `;` or a tab, starts with a formula."""
    cell = as_text(value)
    assert from_text(cell) == value
    for part in re.split("[;\t]", cell):
        assert part.lstrip(' "\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}')[:1] not in set(_STARTS), cell


@pytest.mark.parametrize("value", ["", "IMG_1.png", "/in/a-b=c@d+e.png", "'quoted'", "a; b", "größe"])
def test_an_ordinary_cell_is_not_changed(value: str) -> None:
    """Only what could be a formula gets a quote."""
    assert as_text(value) == from_text(value) == value


def test_a_page_shows_escapes_and_a_form_sends_the_exact_value() -> None:
    """A name cannot reverse the writing direction of a page; a hidden value stays as it is."""
    template = template_environment("returns_pipeline.report").from_string("{{ name }}|{{ name|exact }}")
    shown, exact = template.render(name=_NAME + "<b>").split("|")
    assert shown == _SHOWN.replace(r"\n", "\n") + "&lt;b&gt;"
    assert exact == _NAME + "&lt;b&gt;"


def _fail() -> None:
    raise ValueError(_NAME)


def test_a_log_line_for_people_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name neither starts a line of the log nor controls a terminal; a traceback keeps its lines."""
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    try:
        configure_logging(load_settings(log_format="console"))
        structlog.get_logger("own").warning(_NAME, **{_NAME: "x"}, word="\N{RIGHT-TO-LEFT OVERRIDE}")
        logging.getLogger("library").warning("found %s", _NAME)
        lines = stream.getvalue().splitlines()
        try:
            _fail()
        except ValueError:
            logging.getLogger("library").exception("failed")
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        structlog.reset_defaults()
    assert len(lines) == 2
    assert all(_SHOWN in line and line.isprintable() for line in lines)
    assert "Traceback" in stream.getvalue()
    assert all(line.isprintable() for line in stream.getvalue().split("\n"))


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """A full disk is a sentence; the old file is whole, and no part of a new one stays."""
    path = tmp_path / "page.html"
    path.write_text("old")
    full = pytest.raises(TransientFault, match=r"page.html cannot be written: No space left")
    with full, whole_file(path) as new:
        new.symlink_to("/dev/full")
        new.write_text("half" * 10_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(TransientFault, match="cannot be written"), whole_file(Path("/dev/full/page.html")):
        pass
