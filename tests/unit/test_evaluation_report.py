"""One report for every model: grey or colour, few labels or many, with a training or without."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from returns_pipeline.training.evaluation import metrics
from returns_pipeline.training.report.evaluation_report import ReportContent, write_report
from returns_pipeline.training.report.photo_grid import Sample

Predictions = tuple[NDArray[np.int64], NDArray[np.float32]]


def predictions(count: int, labels: int) -> Predictions:
    """Return random truth and probabilities that are often right."""
    random = np.random.default_rng(labels)
    truth = random.integers(0, labels, count)
    raised = random.gamma(0.5, size=(count, labels)) + 1e-6
    raised[np.arange(count), truth] += random.gamma(1, size=count)
    return truth, (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def content(count: int, labels: int, channels: int, **more: Any) -> ReportContent:
    """Return the content of a report on noise."""
    truth, probabilities = predictions(count, labels)
    pictures = np.random.default_rng(0).integers(0, 256, (count, 12, 9, channels), np.uint8)
    # Markup of a page, and of Matplotlib, that cannot be parsed.
    names = [rf"label <{i}> $\frac$" for i in range(labels)]
    return ReportContent(
        title="Evaluation of <noise>",
        command="returns-pipeline evaluate noise/1 'a & b'",
        labels=names,
        judged=Sample(pictures, truth),
        predictions=probabilities,
        counts={"judged": np.bincount(truth, minlength=labels)},
        thresholds=np.full(labels, 0.8),
        rule="0.8",
        **more,
    )


class Page(HTMLParser):
    """Collects what a page shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            found = dict(attrs)
            self.images[found["src"] or ""] = found["alt"] or ""


@pytest.mark.parametrize(("count", "labels", "channels"), [(30, 2, 1), (300, 40, 3)])
def test_a_report_shows_every_figure_with_a_text(
    tmp_path: Path, count: int, labels: int, channels: int
) -> None:
    """Each figure is in the folder of the page, is shown and has an alternative text; names are escaped."""
    write_report(tmp_path, content(count, labels, channels))
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.images) == {path.name for path in tmp_path.glob("*.png")}
    assert len(page.images) == 7
    assert all(len(alt) > 30 for alt in page.images.values())
    assert "<noise>" not in text
    assert "label &lt;0&gt;" in text
    assert page.tags.index("table") < page.tags.index("img"), "the summary comes first"
    assert not re.search(r"(?:src|href)=\"(?:https?:|/)", text), "the folder is all that the page needs"
    for name in page.images:
        with Image.open(tmp_path / name) as picture:
            assert max(picture.size) < 2_500


def test_the_numbers_of_a_report_are_those_of_the_evaluation(tmp_path: Path) -> None:
    """metrics.json equals the returned numbers, and these equal the metrics functions."""
    report = content(200, 5, 1, mains=["a", "a", "b", "b", "b"])
    numbers = write_report(tmp_path, report)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")) == numbers
    truth, probabilities = report.judged.truth, report.predictions
    assert numbers["n"] == 200
    assert numbers["accuracy"] == metrics.accuracy(truth, probabilities)
    assert numbers["main_accuracy"] >= numbers["sub_accuracy"] == numbers["accuracy"]
    assert sum(map(sum, numbers["confusion_matrix"])) == 200
    assert sum(entry["support"] for entry in numbers["per_class"]) == 200
    assert numbers["coverage"][-1]["accuracy"] == pytest.approx(numbers["accuracy"], abs=1e-6)
    sure = probabilities.max(axis=1) >= 0.8
    assert numbers["review"]["automatic"] == pytest.approx(sure.mean())


def test_a_training_adds_its_curves_and_what_calibration_did(tmp_path: Path) -> None:
    """With a history there are curves and training images, and both calibration errors are shown."""
    history = {name: [0.5, 0.6] for name in ("accuracy", "val_accuracy", "loss", "val_loss")}
    truth, probabilities = predictions(60, 3)
    report = content(
        60, 3, 1, history=history, uncalibrated=probabilities, metrics={"accuracy": 0.6, "images": 60},
        training=Sample(np.zeros((4, 5, 5, 1), np.uint8), truth[:4], inverted=True),
    )  # fmt: skip
    numbers = write_report(tmp_path, report)
    assert numbers["history"] == history
    assert numbers["ece_uncalibrated"] == numbers["ece"]
    assert {"curves.png", "training-images.png"} <= {path.name for path in tmp_path.iterdir()}
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "before calibration" in text
    assert "<td>images</td><td>60</td>" in text


def test_a_model_without_a_mistake_has_a_report(tmp_path: Path) -> None:
    """There are no mistakes to show, and the page states this; one image is enough."""
    report = content(1, 3, 3)
    report = ReportContent(**{name: getattr(report, name) for name in ReportContent.__slots__} | {
        "predictions": np.eye(3, dtype=np.float32)[report.judged.truth]})  # fmt: skip
    numbers = write_report(tmp_path, report)
    assert numbers["accuracy"] == 1
    assert not (tmp_path / "mistakes.png").exists()
    assert "All predictions are correct." in (tmp_path / "index.html").read_text(encoding="utf-8")
