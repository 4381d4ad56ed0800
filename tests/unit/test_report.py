"""The report agrees with the rows, needs flat memory, and shows every name as text."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import ImageResult, ImageState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.runs import RunCounts, RunKind, RunState, RunSummary
from returns_pipeline.report import words, write_report
from returns_pipeline.report.summary import MOST_DOUBTFUL, MOST_FAULTS, Tally, accuracy_of_csv, label_in_name
from tests.unit.test_columns import IMAGE


def _classified(number: int, probability: float = 0.9, name: str | None = None) -> ImageResult:
    path = Path("/in") / (name or f"image_{number}_label_{number % 2}.png")
    return IMAGE._replace(
        id=number,
        path=str(path),
        probability=probability,
        decision="auto",
        final_label=IMAGE.label,
        final_source="model",
    )


def _quarantined(number: int, name: str = "bad.png") -> ImageResult:
    nothing: dict[str, Any] = dict.fromkeys(
        ("archived_path", "label_index", "label", "probability", "main_label", "decision", "final_label")
    )
    return IMAGE._replace(
        id=number,
        path=str(Path("/in") / name),
        state=ImageState.QUARANTINED,
        code="empty_file",
        detail="It is empty.",
        **nothing,
    )


def _summary(classified: int, quarantined: int) -> RunSummary:
    opened = datetime(2026, 1, 2, 3, tzinfo=UTC)
    counts = RunCounts(classified + quarantined, classified, quarantined, 0)
    return RunSummary(
        1, RunKind.NIGHTLY, RunState.CLOSED, None, opened, opened + timedelta(seconds=2), counts,
        ModelRef("fashion-mnist", 1), None, None,
    )  # fmt: skip


def test_the_csv_has_a_row_for_every_image(tmp_path: Path) -> None:
    """A classified image has its class index, the others an empty prediction and the code."""
    summary = write_report(
        _summary(2, 1), [_classified(0), _classified(1), _quarantined(2)], tmp_path / "run-1"
    )
    assert summary.csv is not None
    with summary.csv.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:4] == ["filename", "prediction", "label", "probability"]
    assert [row["prediction"] for row in rows] == ["1", "1", ""]
    assert [row["code"] for row in rows] == ["", "", "empty_file"]
    assert float(rows[0]["probability"]) == pytest.approx(0.9)
    accuracy = accuracy_of_csv(summary.csv)
    assert (accuracy.labelled, accuracy.correct, accuracy.share) == (2, 1, 0.5)


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    """Markup, line breaks and bytes that are not UTF-8 break neither the page nor the table."""
    names = ["<script>alert(1)</script>.png", 'a"b\nc,d.png', "caf\udce9.png"]
    results = [_classified(i, name=name) for i, name in enumerate(names)]
    results += [_quarantined(i + 10, name) for i, name in enumerate(names)]
    summary = write_report(_summary(3, 3), results, tmp_path)
    assert summary.report is not None
    assert summary.csv is not None
    page = summary.report.read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    with summary.csv.open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.reader(stream))) == 7
    assert not list(tmp_path.glob(".*"))


def test_the_page_keeps_few_images_of_many() -> None:
    """Of any number of images the page keeps a bounded number: the least probable ones, in order."""
    tally = Tally()
    for number in range(1000):
        tally.add([_classified(number, probability=1 - number / 1000), _quarantined(number)])
    assert [result.id for result in tally.doubtful] == list(range(999, 999 - MOST_DOUBTFUL, -1))
    assert len(tally.faults) == MOST_FAULTS
    assert tally.codes == {"empty_file": 1000}
    assert tally.labels == {"Trouser": 1000}


def test_labels_are_read_from_names() -> None:
    """`…label_N…` anywhere in the name is the class index; other names have none."""
    found = {
        name: label_in_name(name) for name in ("image_3_label_7.png", "label_12", "shirt.png", "label_x")
    }
    assert found == {"image_3_label_7.png": 7, "label_12": 12, "shirt.png": None, "label_x": None}


def test_a_file_that_is_not_a_results_csv_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PipelineError, match=r"other\.csv"):
        accuracy_of_csv(tmp_path / "other.csv")


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    """A run without photos closes with a page and a CSV that has only the header."""
    summary = write_report(_summary(0, 0), [], tmp_path)
    assert summary.csv is not None
    assert len(summary.csv.read_text(encoding="utf-8").splitlines()) == 1


def test_numbers_and_articles_fit_their_nouns() -> None:
    """One thing has the singular, everything else the plural, and a vowel has `an`."""
    assert [words.counted(count, "photo") for count in (0, 1, 2, 1_200)] == [
        "0 photos",
        "1 photo",
        "2 photos",
        "1,200 photos",
    ]
    assert words.counted(2, "category", "categories") == "2 categories"
    assert [words.with_article(role) for role in Role] == [
        "a viewer",
        "a reviewer",
        "an operator",
        "an admin",
    ]
