"""The page of a run: one HTML file that opens without a server."""

import os
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from urllib.parse import quote

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.report import words
from returns_pipeline.report.html import template_environment
from returns_pipeline.report.summary import Tally


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of the categories: `share` is its length relative to the longest bar."""

    label: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture, by a link relative to the page: the folder can be moved as a whole."""

    source: str
    result: ImageResult


def render(summary: RunSummary, tally: Tally, folder: Path, zone: tzinfo) -> str:
    """Return the page of a run for a file in `folder`, with moments in `zone`."""
    longest = max(tally.labels.values(), default=1)
    codes = [(code, words.fault(code), count) for code, count in tally.codes.most_common()]
    template = template_environment("returns_pipeline.report").get_template("report.html")
    return template.render(
        words=words,
        run=summary,
        zone=zone,
        accuracy=tally.accuracy,
        review=tally.decisions[Decision.REVIEW],
        bars=[_Bar(label, count, count / longest) for label, count in tally.labels.most_common()],
        codes=codes,
        deleted=tally.deleted,
        faults=tally.faults,
        more_faults=sum(tally.codes.values()) - len(tally.faults),
        doubtful=[_Picture(_link(result, folder), result) for result in tally.doubtful],
    )


def _link(result: ImageResult, folder: Path) -> str:
    """Return a relative link to a photo; empty if the photo was removed because of its age."""
    if not result.has_photo:
        return ""
    relative = os.path.relpath(result.archived_path or result.path, folder)
    return quote(os.fsencode(relative))
