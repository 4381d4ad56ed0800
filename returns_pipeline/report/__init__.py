"""One run as a CSV for machines and an HTML page for people, written in one pass over the rows."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, tzinfo
from itertools import islice
from pathlib import Path
from typing import TextIO

from returns_pipeline.languages import N_
from returns_pipeline.private_files import open_private
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.report import csv_table, page
from returns_pipeline.report.columns import Output
from returns_pipeline.report.summary import Tally
from returns_pipeline.report.whole_file import whole_file

CSV_NAME = "results.csv"
HTML_NAME = "report.html"
#: Images that are written at a time.
_BATCH = 1000


def write_report(
    summary: RunSummary,
    results: Iterable[ImageResult],
    folder: Path,
    zone: tzinfo = UTC,
    place: Path | None = None,
) -> RunSummary:
    """Write a run's CSV and HTML page into `folder`; return the summary with both paths.

    The page shows moments in `zone`. `place` is the folder that the files are sent to afterwards: the paths
    and the links are those that hold there. Each file is written under another name and then renamed: it is
    whole or absent. Raises TransientFault when the disk refuses.
    """
    tally = Tally()
    csv_path, html_path = folder / CSV_NAME, folder / HTML_NAME
    with _whole_file(csv_path) as stream:
        write = csv_table.writer(stream, Output.REPORT)
        remaining = iter(results)
        while batch := list(islice(remaining, _BATCH)):
            write(batch)
            tally.add(batch)
    kept = place or folder
    summary = replace(summary, csv=kept / CSV_NAME, report=kept / HTML_NAME)
    with _whole_file(html_path) as stream:
        stream.write(page.render(summary, tally, kept, zone))
    return summary


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    advice = N_("Make room or correct RETURNS_REPORT_DIR; the sweep tries again every minute.")
    # A file name may hold bytes that are not UTF-8: they are written as \udcNN.
    with (
        whole_file(path, advice) as partial,
        open(
            partial, "w", encoding="utf-8", errors="backslashreplace", newline="", opener=open_private
        ) as stream,
    ):
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
