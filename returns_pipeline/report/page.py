"""The page of a run: one HTML file that opens without a server, and the same content for the website."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from returns_pipeline.languages import category, gettext
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.places import root_of
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.report import charts, words
from returns_pipeline.report.html import template_environment
from returns_pipeline.report.summary import Tally


@dataclass(frozen=True, slots=True)
class Content:
    """What a run's report shows beside the run's own counts.

    `labels` and `codes` have the number of images of each final label and of each reason, most frequent
    first. `faults` and `doubtful` are some images. `accuracy` and `review` are None if they were not counted.
    `deleted` images count in no label.
    """

    labels: Sequence[tuple[str, int]]
    codes: Sequence[tuple[str, int]]
    faults: Sequence[ImageResult]
    doubtful: Sequence[ImageResult]
    accuracy: float | None = None
    review: int | None = None
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture and the link to it."""

    source: str
    result: ImageResult


def render(summary: RunSummary, tally: Tally, folder: Path, zone: tzinfo) -> str:
    """Return the page of a run for a file in `folder`, with moments in `zone`.

    Links to pictures are relative to the page: the folder can be moved as a whole.
    """
    content = Content(
        tally.labels.most_common(),
        tally.codes.most_common(),
        tally.faults,
        tally.doubtful,
        tally.accuracy.share,
        tally.decisions[Decision.REVIEW],
        tally.deleted,
    )
    values = _values(summary, content, lambda result: _link(result, folder))
    template = template_environment("returns_pipeline.report").get_template("report.html")
    return template.render(values, zone=zone, on_site=False, csv="results.csv", images="")


def render_body(
    summary: RunSummary, content: Content, csv: str, images: str, picture: Callable[[ImageResult], str]
) -> Markup:
    """Return the content of a run's report for a page of the website.

    `csv` and `images` are the addresses of the run's list and of the pages of images; `picture` returns the
    address of an image's picture. Paths of the server are left out.
    """
    template = template_environment("returns_pipeline.report").get_template("report_body.html")
    values = _values(summary, content, picture)
    return Markup(template.render(values, on_site=True, csv=csv, images=images))  # noqa: S704 - a template


def _values(summary: RunSummary, content: Content, picture: Callable[[ImageResult], str]) -> dict[str, Any]:
    labelled = sum(count for _, count in content.labels)
    return {
        "words": words,
        "run": summary,
        "accuracy": content.accuracy,
        "review": content.review,
        "deleted": content.deleted,
        "labels": content.labels,
        "labelled": labelled,
        "plot": _plot(content.labels, labelled),
        "codes": [(words.fault(code), count) for code, count in content.codes],
        "faults": content.faults,
        "more_faults": sum(count for _, count in content.codes) - len(content.faults),
        "doubtful": [_Picture(picture(result), result) for result in content.doubtful],
    }


def _plot(labels: Iterable[tuple[str, int]], labelled: int) -> Markup:
    """Return the bars of the categories."""
    bars = []
    for label, count in labels:
        share, name = count / labelled, category(label)
        title = gettext(
            "{category}: {photos}, {share:.1%}",
            category=name,
            photos=words.counted(count, "photo"),
            share=share,
        )
        bars.append(charts.Bar(name, share, title))
    return charts.lying(gettext("Share of each category"), bars, charts.share, charts.percent)


def _link(result: ImageResult, folder: Path) -> str:
    """Return a relative link to a photo; empty if the photo was removed, or lies in another store."""
    place = result.archived_path or result.path
    if not result.has_photo or root_of(place) != root_of(str(folder)):
        return ""
    return quote(os.fsencode(os.path.relpath(place, folder)))
