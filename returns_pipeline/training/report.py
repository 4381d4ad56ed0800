"""The report of a training: PNG plots, metrics.json with every number, index.html that shows them."""

import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.training import evaluation, plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from returns_pipeline.training.fashion_mnist import Dataset

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }}
img {{ max-width: 100%; margin: 1rem 0; }}
</style>
<h1>{title}</h1>
<p>Made by <code>{command}</code>. All numbers: <a href="metrics.json">metrics.json</a>.</p>
{tables}
{figures}
</html>
"""


@dataclass(frozen=True, slots=True)
class Story:
    """What a report tells.

    `history` has one value an epoch, `counts` int64 [labels] for each part of the data; `answers` float32
    [n, labels] are the probabilities for the n `held_out` images. `seed` chooses the images that are shown.
    """

    title: str
    command: str
    labels: "Sequence[str]"
    metrics: "Mapping[str, float]"
    environment: "Mapping[str, str | float]"
    history: "Mapping[str, Sequence[float]]"
    counts: "Mapping[str, NDArray[np.int64]]"
    training: "Dataset"
    held_out: "Dataset"
    answers: "NDArray[np.float32]"
    seed: int


def write_report(folder: "Path", story: Story) -> None:
    """Write the plots, metrics.json and index.html into `folder`, which is made."""
    folder.mkdir()
    held_out, labels = story.held_out, story.labels
    confusion = evaluation.confusion_matrix(held_out.labels, story.answers.argmax(axis=1), len(labels))
    scores = evaluation.class_scores(confusion)
    draw = np.random.default_rng(story.seed)
    shown = draw.choice(len(story.training.images), 25, replace=False)
    asked = draw.choice(len(held_out.images), 25, replace=False)
    figures = {
        "label-distribution": plots.label_distribution(story.counts, labels),
        "training-images": plots.training_images(
            story.training.images[shown], story.training.labels[shown], labels
        ),
        "curves": plots.curves(story.history),
        "confusion-matrix": plots.confusion(confusion, labels),
        "scores": plots.scores(scores, labels),
        "predictions": plots.predictions(
            held_out.images[asked], held_out.labels[asked], story.answers[asked], labels
        ),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=plots.DPI, metadata={"Software": None})
    numbers = {
        "command": story.command,
        "metrics": dict(story.metrics),
        "environment": dict(story.environment),
        "history": {name: list(values) for name, values in story.history.items()},
        "labels": list(labels),
        "counts": {part: values.tolist() for part, values in story.counts.items()},
        "confusion_matrix": confusion.tolist(),
        "per_label": {
            name: getattr(scores, name).round(6).tolist() for name in ("precision", "recall", "f1", "support")
        },
    }
    (folder / "metrics.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(story, scores, list(figures)), encoding="utf-8")


def _page(story: Story, scores: evaluation.ClassScores, figures: "Sequence[str]") -> str:
    per_label = zip(story.labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    tables = [
        _table(["metric", "value"], [[name, _number(value)] for name, value in story.metrics.items()]),
        _table(
            ["label", "precision", "recall", "F1", "images"],
            [[label, f"{p:.4f}", f"{r:.4f}", f"{f:.4f}", f"{n:,}"] for label, p, r, f, n in per_label],
        ),
    ]
    pictures = [f'<img src="{name}.png" alt="{name.replace("-", " ")}">' for name in figures]
    return _PAGE.format(
        title=html.escape(story.title),
        command=html.escape(story.command),
        tables="\n".join(tables),
        figures="\n".join(pictures),
    )


def _table(head: "Sequence[str]", rows: "Sequence[Sequence[str]]") -> str:
    def line(cells: "Sequence[str]", tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line(head, "th"), *(line(row, "td") for row in rows), "</table>"])


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
