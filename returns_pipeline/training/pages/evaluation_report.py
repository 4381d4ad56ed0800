"""The report of a training or an evaluation: PNG plots, metrics.json with every number, index.html."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.training.evaluation import scores
from returns_pipeline.training.evaluation.reliability import Review, reliability_curve, review
from returns_pipeline.training.pages import html_page, pictures, plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from returns_pipeline.training.pages.pictures import Sample


@dataclass(frozen=True, slots=True)
class Story:
    """What a report tells of n `judged` images.

    `answers` float32 [n, labels] are the probabilities as they are served, `uncalibrated` the same before
    calibration, None where there was none. `mains` names the main category of each label, None when the
    labels are the main categories. `thresholds` float64 [labels] are what the setting `rule` means.

    `counts` int64 [labels] for each part of the data. `facts` are further lines for the summary. Of a
    training: `metrics`, `environment`, `history` with one value an epoch, and some `training` images.
    `seed` chooses the images that are shown.
    """

    title: str
    command: str
    labels: "Sequence[str]"
    judged: "Sample"
    answers: "NDArray[np.float32]"
    counts: "Mapping[str, NDArray[np.int64]]"
    thresholds: "NDArray[np.float64]"
    rule: str
    uncalibrated: "NDArray[np.float32] | None" = None
    mains: "Sequence[str] | None" = None
    facts: "Mapping[str, str]" = field(default_factory=dict)
    metrics: "Mapping[str, float]" = field(default_factory=dict)
    environment: "Mapping[str, str | float]" = field(default_factory=dict)
    history: "Mapping[str, Sequence[float]]" = field(default_factory=dict)
    training: "Sample | None" = None
    with_photos: bool = True
    seed: int = 0


def write_report(folder: "Path", story: Story) -> dict[str, Any]:
    """Write the plots, metrics.json and index.html into `folder`, which is made; return its numbers.

    Files of an earlier report in the folder are replaced; others stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth = story.judged.truth
    judged = scores.judge(truth, story.answers, story.mains)
    chosen = review(truth, story.answers, story.thresholds)
    figures = _figures(story, judged, chosen)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=plots.DPI, metadata={"Software": None})
    numbers = _numbers(story, judged, chosen)
    (folder / "metrics.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    text = html_page.render(
        title=story.title,
        command=story.command,
        summary=html_page.summary(judged, story.labels, chosen, story.rule, numbers.get("ece_uncalibrated"))
        | dict(story.facts),
        judged=judged,
        labels=story.labels,
        metrics=story.metrics,
        figures=list(figures),
    )
    (folder / "index.html").write_text(text, encoding="utf-8")
    return numbers


def _figures(story: Story, judged: scores.Evaluation, chosen: Review) -> "dict[str, Figure]":
    """Return the figures by the name of their file, in the order of the page."""
    truth, labels, sample = story.judged.truth, story.labels, story.judged
    before = None if story.uncalibrated is None else reliability_curve(truth, story.uncalibrated)
    figures = {"confusion-matrix": plots.confusion(judged.confusion, labels)}
    figures["scores"] = plots.scores(judged.scores, labels)
    figures["reliability"] = plots.reliability(judged.reliability, before)
    figures["coverage"] = plots.coverage(judged.coverage, chosen, story.rule)
    figures |= _photos(story, sample) if story.with_photos else {}
    figures["label-distribution"] = plots.label_distribution(story.counts, labels)
    if story.history:
        figures["curves"] = plots.curves(story.history)
    return figures


def _photos(story: Story, sample: "Sample") -> "dict[str, Figure]":
    truth, labels = sample.truth, story.labels
    draw = np.random.default_rng(story.seed)
    shown = None if story.training is None else _drawn(draw, len(story.training.truth))
    asked = _drawn(draw, len(truth))
    figures = {}
    wrong = np.flatnonzero(story.answers.argmax(axis=1) != truth)
    if len(wrong):
        surest = wrong[np.argsort(-story.answers[wrong].max(axis=1), kind="stable")][: pictures.MOST]
        title = f"The {len(surest)} mistakes the model was surest of, of {len(wrong):,}"
        figures["mistakes"] = pictures.answered(sample, surest, story.answers, labels, title)
    title = f"{len(asked)} random images: predicted label and probability, true label"
    figures["predictions"] = pictures.answered(sample, asked, story.answers, labels, title)
    if story.training is not None and shown is not None:
        title = f"{len(shown)} random training images"
        figures["training-images"] = pictures.labelled(story.training, shown, labels, title)
    return figures


def _drawn(draw: np.random.Generator, count: int) -> "NDArray[np.int64]":
    return draw.choice(count, min(pictures.MOST, count), replace=False)


def _numbers(story: Story, judged: scores.Evaluation, chosen: Review) -> dict[str, Any]:
    numbers = {"command": story.command, **scores.numbers(judged, story.labels)}
    if story.uncalibrated is not None:
        numbers["ece_uncalibrated"] = reliability_curve(story.judged.truth, story.uncalibrated).error
        numbers["loss_uncalibrated"] = scores.cross_entropy(story.judged.truth, story.uncalibrated)
    numbers["review"] = {"rule": story.rule, **asdict(chosen)}
    numbers["labels"] = list(story.labels)
    numbers["counts"] = {part: values.tolist() for part, values in story.counts.items()}
    if story.metrics:
        numbers["metrics"] = dict(story.metrics)
        numbers["environment"] = dict(story.environment)
        numbers["history"] = {name: list(values) for name, values in story.history.items()}
    return numbers
