"""docs/settings.md agrees with the settings."""

from pathlib import Path

import pytest

from returns_pipeline.settings import PREFIX, PROJECT_ROOT, Settings
from returns_pipeline.settings.reference import markdown

PAGE = PROJECT_ROOT / "docs" / "settings.md"


def rows() -> list[list[str]]:
    """Return the cells of the page's rows, without the heading."""
    lines = [line for line in markdown().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_is_what_is_generated() -> None:
    """The committed page is the one that the settings of the same commit generate."""
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run `make docs`"


def test_every_setting_is_a_whole_row_in_the_order_of_the_class() -> None:
    """Every setting is listed once, with a default, the allowed values and a sentence."""
    assert [row[0] for row in rows()] == [f"`{PREFIX}{name.upper()}`" for name in Settings.model_fields]
    for name, default, allowed, sentence in rows():
        assert default.strip("`"), name
        assert allowed, name
        assert sentence.endswith("."), name


def test_the_page_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The page contains no value of the environment and no path of the machine."""
    before = markdown()
    monkeypatch.setenv("RETURNS_CHUNK_SIZE", "7")
    monkeypatch.chdir(tmp_path)
    assert markdown() == before
    for path in (PROJECT_ROOT, Path.home(), tmp_path):
        assert str(path) not in before


def test_the_defaults_of_the_page_are_those_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Setting every default that the page shows as a value changes no setting."""
    monkeypatch.chdir(tmp_path)
    for row in rows():
        if row[1].startswith("`"):
            monkeypatch.setenv(row[0].strip("`"), row[1].strip("`"))
    shown = Settings()
    for row in rows():
        monkeypatch.delenv(row[0].strip("`"), raising=False)
    assert shown == Settings()
