"""A workbook has the rows of an export, as texts, numbers and dates that no sheet computes."""

import io
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import Workbook, load_workbook

from returns_pipeline.report.columns import Output, columns_of
from returns_pipeline.web.excel import workbook
from tests.unit.test_columns import IMAGE

BERLIN = ZoneInfo("Europe/Berlin")
COLUMNS = columns_of(Output.EXPORT)


def written(folder: Path, names: list[str], most_rows: int = 1_048_576) -> tuple[Workbook, bytes]:
    """Write one image for each name; return the workbook as another program reads it, and its bytes."""
    images = [IMAGE._replace(path=f"/in/{name}") for name in names]
    content = b"".join(workbook(COLUMNS, iter([images]), BERLIN, folder, most_rows))
    return load_workbook(io.BytesIO(content)), content


def column_of(sheet: Any, name: str) -> list[Any]:
    """Return the cells of a column below its header."""
    place = [cell.value for cell in sheet[1]].index(name)
    return [row[place] for row in sheet.iter_rows(min_row=2)]


@pytest.mark.parametrize(
    "name",
    [
        *("=1+1.png", "+1.png", "-1.png", "@SUM(A1).png", '=HYPERLINK("http:..a","b")', "'=1.png", "\t=1"),
        *("http:..example.test", "mailto:a@example.test", "0123", "1e5", "_x0041_.png", "<b>&.png", " a "),
        *("{=1}", "\u202egnp.png", "\udc80.png", "x" * 4000),
    ],
)
def test_a_name_is_never_computed(name: str, tmp_path: Path) -> None:
    """Each name is a cell of text as it is; it stays text when a person edits the cell."""
    book, content = written(tmp_path, [name])
    (cell,) = column_of(book.active, "filename")
    assert cell.data_type == "s"
    assert cell.quotePrefix
    assert cell.hyperlink is None
    expected = name.replace("\t", "\\t").replace("\u202e", "\\u202e").replace("\udc80", "\\udc80")
    # openpyxl leaves the escape of an escape as the file has it; Excel shows the name.
    assert cell.value.replace("_x005F_", "_") == expected
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert b"<hyperlink" not in sheet


def test_dates_and_probabilities_are_numbers(tmp_path: Path) -> None:
    """A moment is a date of the installation's time zone; a probability is a percentage."""
    sheet = written(tmp_path, ["a.png"])[0].active
    (received,) = column_of(sheet, "received_at")
    assert (received.value, received.is_date) == (datetime(2026, 5, 4, 4), True)  # noqa: DTZ001 - a wall time
    (probability,) = column_of(sheet, "probability")
    assert (probability.value, probability.number_format) == (IMAGE.probability, "0.0%")
    assert [cell.value for cell in column_of(sheet, "code")] == [None]


def test_a_sheet_can_be_read_and_filtered(tmp_path: Path) -> None:
    """The header stays in view, each column has a filter and a width, each image has a row."""
    sheet = written(tmp_path, [f"{number}.png" for number in range(5)])[0].active
    assert [cell.value for cell in sheet[1]] == [column.name for column in COLUMNS]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(1, len(COLUMNS)).column_letter}6"
    assert sheet.column_dimensions["A"].width > 30
    assert [cell.value for cell in column_of(sheet, "filename")] == [f"{number}.png" for number in range(5)]


def test_rows_beyond_a_sheet_go_to_the_next(tmp_path: Path) -> None:
    """No row is lost where a sheet ends, and each sheet has its header."""
    names = [f"{number}.png" for number in range(7)]
    book, _ = written(tmp_path, names, most_rows=4)
    assert book.sheetnames == ["Returns", "Returns 2", "Returns 3"]
    assert [sheet.max_row for sheet in book] == [4, 4, 2]
    assert [cell.value for sheet in book for cell in column_of(sheet, "filename")] == names
    full, _ = written(tmp_path, names[:3], most_rows=4)
    assert full.sheetnames == ["Returns"]


def test_nothing_stays_on_the_disk(tmp_path: Path) -> None:
    """A finished workbook, one whose client has gone and one of a killed process leave no file."""
    written(tmp_path, ["a.png"])
    abandoned = tmp_path / ".workbook-old"
    abandoned.mkdir()
    long_ago = datetime(2026, 1, 1, tzinfo=UTC).timestamp() - 10**8
    os.utime(abandoned, (long_ago, long_ago))

    def endless() -> Iterator[list[Any]]:
        while True:
            yield [IMAGE]

    unfinished: Any = workbook(COLUMNS, endless(), BERLIN, tmp_path)
    assert next(unfinished) == b""
    assert not abandoned.exists()
    assert list(tmp_path.iterdir())
    unfinished.close()
    assert list(tmp_path.iterdir()) == []
