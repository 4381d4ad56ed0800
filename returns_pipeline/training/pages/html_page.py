"""The page of a report: what matters first, in plain words; then each plot with the numbers behind it."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from returns_pipeline.training.evaluation.reliability import Review
    from returns_pipeline.training.evaluation.scores import Evaluation

#: How many pairs of labels the page lists of those that are mistaken for one another.
_MOST_PAIRS = 10
#: Shares of all images for which the page says how often the model is right.
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }}
h2 {{ margin-top: 2.5rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }}
td:first-child, th:first-child {{ text-align: left; }}
.words td, .pairs td:nth-child(2), .pairs th:nth-child(2) {{ text-align: left; }}
.words td:last-child {{ font-weight: 600; }}
img {{ max-width: 100%; height: auto; margin: 1rem 0; }}
code {{ overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
<div class="wide">{summary}</div>
<p>Made by <code>{command}</code>. All numbers: <a href="metrics.json">metrics.json</a>.</p>
{sections}
</html>
"""

#: For each figure its heading and a paragraph that says how to read it.
_SECTIONS = {
    "confusion-matrix": (
        "What is mistaken for what",
        "A row is what the images are, a column what the model said. On the diagonal it was right.",
    ),
    "scores": (
        "Each category",
        "Precision: of the images that the model called so, the share that is so. Recall: of the images that "
        "are so, the share that the model called so. F1 is their harmonic mean.",
    ),
    "reliability": (
        "Can the probability be believed?",
        "Of a hundred answers of which the model says 80 %, eighty should be right: then the points lie on "
        "the dashed line. The expected calibration error (ECE) is their distance from it, the mean over all "
        "images. "
        "A hollow point stands for fewer than ten images.",
    ),
    "coverage": (
        "What asking a person brings",
        "The model answers the images alone that it is surest of, the others go to a person. The fewer it "
        "answers, the more of its answers are right.",
    ),
    "mistakes": ("The surest mistakes", "Some of them may be images whose true label is wrong."),
    "predictions": ("Random images", "Green titles are right, red ones wrong."),
    "label-distribution": ("The images", "How many images of each label there are."),
    "training-images": ("Some training images", ""),
    "curves": ("The training", "Accuracy and loss after each pass over the training images."),
}


def summary(
    judged: "Evaluation",
    labels: "Sequence[str]",
    chosen: "Review",
    rule: str,
    ece_uncalibrated: float | None,
) -> dict[str, str]:
    """Return the lines that somebody reads who has one minute: what, and the answer."""
    right = int(np.trace(judged.confusion))
    lines = {
        "Images judged": f"{judged.n:,}",
        "The answer is right": f"{judged.accuracy:.2%} ({right:,} of {judged.n:,})",
    }
    if judged.heads:
        lines["The main category is right"] = f"{judged.heads.main_accuracy:.2%}"
    if len(labels) > 3:
        lines["The right answer is among the three most probable"] = f"{judged.top3_accuracy:.2%}"
    alone = f"{chosen.automatic:.1%} of the images"
    if chosen.accuracy is not None:
        alone += f"; of these {chosen.accuracy:.1%} right"
    lines[f"Answered without a person (review threshold {rule})"] = alone
    before = f" ({ece_uncalibrated:.1%} before calibration)" if ece_uncalibrated is not None else ""
    lines["Stated probabilities are off by, on average"] = f"{judged.ece:.1%}{before}"
    there = np.flatnonzero(judged.scores.support)
    if len(there) > 1:
        weakest = there[judged.scores.recall[there].argmin()]
        found = f"{judged.scores.recall[weakest]:.1%} of its {judged.scores.support[weakest]:,} images"
        lines["Least recognised"] = f"{labels[weakest]}: {found}"
    return lines


def render(
    *,
    title: str,
    command: str,
    summary: "Mapping[str, str]",
    judged: "Evaluation",
    labels: "Sequence[str]",
    metrics: "Mapping[str, float]",
    figures: "Sequence[str]",
) -> str:
    """Return the page as HTML; every figure lies beside it as FIGURE.png."""
    tables = {
        "confusion-matrix": _pairs(judged, labels),
        "scores": _scores(judged, labels),
        "reliability": _reliability(judged),
        "coverage": _coverage(judged),
    }
    sections = [_section(name, judged, labels, tables.get(name, "")) for name in figures]
    if metrics:
        rows = [[name, _number(value)] for name, value in metrics.items()]
        sections.append("<h2>The bundle's numbers</h2>\n" + _table(["metric", "value"], rows))
    return _PAGE.format(
        title=html.escape(title),
        command=html.escape(command),
        summary=_table([], [[name, value] for name, value in summary.items()], "words"),
        sections="\n".join(sections),
    )


def _section(name: str, judged: "Evaluation", labels: "Sequence[str]", table: str) -> str:
    heading, words = _SECTIONS[name]
    alt = html.escape(_alt(name, judged, labels))
    parts = [f"<h2>{heading}</h2>", f"<p>{words}</p>" if words else ""]
    parts += [
        f'<a href="{name}.png"><img src="{name}.png" alt="{alt}"></a>',
        f'<div class="wide">{table}</div>' if table else "",
    ]
    return "\n".join(part for part in parts if part)


def _alt(name: str, judged: "Evaluation", labels: "Sequence[str]") -> str:
    """Return what a figure shows, for those who cannot see it; its numbers stand in the table or the JSON."""
    scores = judged.scores
    return {
        "confusion-matrix": f"Confusion matrix of {judged.n:,} images and {len(labels)} labels: "
        f"{judged.accuracy:.1%} lie on the diagonal.",
        "scores": f"Precision, recall and F1 of {len(labels)} labels; F1 from {scores.f1.min():.2f} to "
        f"{scores.f1.max():.2f}.",
        "reliability": "Share of right answers against the stated probability; calibration error "
        f"{judged.ece:.4f}.",
        "coverage": "Share of right answers against the share of images that the model answers alone, ending "
        f"at {judged.accuracy:.1%} of all.",
        "mistakes": "Wrongly classified images in a grid, the surest mistakes first, each with the predicted "
        "label, its probability and the true label.",
        "predictions": "Random images in a grid, each with the predicted label, its probability and the true "
        "label.",
        "label-distribution": f"Bars: the number of images of each of {len(labels)} labels.",
        "training-images": "Random training images in a grid, each with its label.",
        "curves": "Two line charts over the epochs: accuracy and loss, of training and of validation images.",
    }[name]


def _pairs(judged: "Evaluation", labels: "Sequence[str]") -> str:
    wrong = judged.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    cells = [divmod(int(index), len(labels)) for index in order]
    rows = [
        [
            labels[true],
            labels[said],
            f"{wrong[true, said]:,}",
            f"{wrong[true, said] / judged.scores.support[true]:.1%}",
        ]
        for true, said in cells
        if wrong[true, said]
    ]
    head = ["true label", "predicted label", "images", "of the true label's"]
    return _table(head, rows, "pairs") if rows else "<p>No image was mistaken.</p>"


def _scores(judged: "Evaluation", labels: "Sequence[str]") -> str:
    scores = judged.scores
    values = zip(labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    rows = [
        [label, f"{p:.4f}", f"{r:.4f}", f"{f:.4f}", f"{n:,}"] if n else [label, "", "", "", "0"]
        for label, p, r, f, n in values
    ]
    return _table(["label", "precision", "recall", "F1", "images"], rows)


def _reliability(judged: "Evaluation") -> str:
    curve = judged.reliability
    values = zip(curve.images, curve.probability, curve.accuracy, strict=True)
    bins = len(curve.images)
    rows = [
        [f"{i / bins:.0%} to {(i + 1) / bins:.0%}", f"{images:,}", f"{chance:.1%}", f"{share:.1%}"]
        for i, (images, chance, share) in enumerate(values)
        if images
    ]
    return _table(["probability", "images", "stated on average", "right"], rows)


def _coverage(judged: "Evaluation") -> str:
    curve = judged.coverage
    rows = []
    for share in _SHARES:
        at = min(int(np.searchsorted(curve.coverage, share - 1e-9)), len(curve.coverage) - 1)
        row = [f"{curve.coverage[at]:.1%}", f"{curve.threshold[at]:.3f}", f"{curve.accuracy[at]:.2%}"]
        if row not in rows:
            rows.append(row)
    return _table(["answered alone", "from probability", "of these right"], rows)


def _table(head: "Sequence[str]", rows: "Sequence[Sequence[str]]", kind: str = "numbers") -> str:
    def line(cells: "Sequence[str]", tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    start = f'<table class="{kind}">'
    return "\n".join(
        [start, *([line(head, "th")] if head else []), *(line(row, "td") for row in rows), "</table>"]
    )


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
