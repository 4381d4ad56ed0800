"""Odd files that people have: each has the result that docs/faults.md promises."""

import re
from pathlib import Path

import numpy as np
import pytest

from returns_pipeline.errors import ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import SKIP_PATTERNS
from tests.unit.odd_files import KINDS, SKIPPED, UPRIGHT_SIZE, encoded, photo

WANT = ImageInput(64, 64, 3)
LIMITS = Limits(max_bytes=10_000_000, max_pixels=1_000_000)
_TABLE = Path(__file__).parents[2] / "docs" / "faults.md"
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| .+ \| (\w+) \|$", re.MULTILINE)
RESULTS = dict(_ROW.findall(_TABLE.read_text().partition("## Odd files")[2].partition("\n## ")[0]))


def test_every_kind_of_the_table_is_made() -> None:
    """The table of odd files and the files of this test name the same kinds."""
    assert RESULTS.keys() == KINDS.keys() | SKIPPED.keys()
    assert {RESULTS[kind] for kind in SKIPPED} == {"skipped"}


@pytest.mark.parametrize("kind", SKIPPED)
def test_an_odd_name_is_skipped_beside_a_photo(kind: str, tmp_path: Path) -> None:
    """Of a folder with a photo and odd names a scan takes the photo; each odd name is counted."""
    (tmp_path / "IMG_1.jpg").write_bytes(encoded(photo(), "JPEG"))
    names = SKIPPED[kind]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encoded(photo(30, 20), "JPEG"))
    rule = SkipRule(SKIP_PATTERNS)
    assert [Path(file.path).name for file in FolderSource().find(str(tmp_path), rule)] == ["IMG_1.jpg"]
    assert rule.count == len({name.partition("/")[0] for name in names})


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_file_has_the_promised_result(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Each odd file is classified, turned or refused as the table says, and no decoder writes to stderr."""
    upright = decode(encoded(photo(*UPRIGHT_SIZE), "PNG"), WANT, LIMITS).pixels.astype(int)
    for number, data in enumerate(KINDS[kind]()):
        size: tuple[int, int] | None = None
        try:
            decoded = decode(data, WANT, LIMITS)
            size, result = (decoded.facts.width, decoded.facts.height), "classified"
        except ImageFault as fault:
            result = str(fault.code)
        if size == UPRIGHT_SIZE and np.abs(decoded.pixels - upright).mean() < 12:
            result = "turned"
        assert result == RESULTS[kind], f"file {number} of {kind}"
    assert capfd.readouterr().err == ""
