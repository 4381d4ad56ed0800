"""Runs and images as tables for people and as plain values for JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from returns_pipeline.cli.console import print_line, short_path
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.records.text import iso
from returns_pipeline.report.columns import Output, as_dict, columns_of, texts
from returns_pipeline.report.words import coloured, left_behind, object_requests, run_kind, run_state
from returns_pipeline.terminal import Terminal, framed_table, plain_table

#: Characters of a file name that stay on one line, even in a narrow terminal.
_FILE_WIDTH = 26


def run_as_dict(run: RunSummary) -> dict[str, Any]:
    """Return a run as the JSON that the command line prints."""
    return {
        "id": run.id,
        "kind": run.kind,
        "state": run.state,
        "seen": run.counts.seen,
        "classified": run.counts.classified,
        "quarantined": run.counts.quarantined,
        "failed": run.counts.failed,
        "pending": run.counts.pending,
        **asdict(run.left),
        "coloured": run.coloured,
        "requests": run.requests,
        "opened_at": run.opened_at.isoformat(),
        "closed_at": run.closed_at.isoformat() if run.closed_at else None,
        "seconds": run.seconds,
        "images_per_second": run.images_per_second,
        "model": str(run.model),
        "csv": str(run.csv) if run.csv else None,
        "report": str(run.report) if run.report else None,
        "rows_removed_at": run.rows_removed_at.isoformat() if run.rows_removed_at else None,
    }


def state_of(run: RunSummary) -> str:
    """Return how far a run is, in words."""
    return run_state(run.state, run.counts.seen - run.counts.pending, run.counts.seen, run.kind)


def image_as_dict(image: ImageResult) -> dict[str, Any]:
    """Return an image as the JSON that the command line prints."""
    found = as_dict(Output.JSON, image)
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in found.items()}


def print_run(run: RunSummary) -> None:
    """Print one run, with its accuracy if its file names contain labels."""
    from returns_pipeline.report.summary import Accuracy, accuracy_of_csv

    title = f"Run {run.id} · {run_kind(run.kind)} · {state_of(run)} · {run.model}"
    table = framed_table(title)
    cells: dict[str, str | Text] = {
        "seen": f"{run.counts.seen:,}",
        "classified": Text(f"{run.counts.classified:,}", "green"),
        "quarantined": Text(f"{run.counts.quarantined:,}", "yellow"),
        "failed": Text(f"{run.counts.failed:,}", "red" if run.counts.failed else ""),
        "seconds": "open" if run.seconds is None else f"{run.seconds:.2f}",
        "images/s": "" if run.images_per_second is None else f"{run.images_per_second:,.0f}",
    }
    accuracy = accuracy_of_csv(run.csv) if run.csv and run.csv.exists() else Accuracy(0, 0)
    if accuracy.share is not None:
        cells["accuracy"] = f"{100 * accuracy.share:.1f} %"
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*cells.values())
    Terminal().print_table(table)
    for line in left_behind(run.left):
        print_line(line)
    if run.coloured:
        print_line(coloured(run.coloured, run.counts.seen, run.model))
    if run.requests:
        print_line(object_requests(run.requests, run.counts.seen))
    for name, path in (("CSV", run.csv), ("Report", run.report)):
        if path:
            print_line(f"{name:<7} {short_path(path)}")


def print_runs(runs: Sequence[RunSummary], empty: str = "There is no run yet.") -> None:
    """Print a line for each run."""
    if not runs:
        print_line(empty)
        return
    # With one space between the columns, whole headings fit into a terminal of 80 columns. Two columns wrap.
    table = plain_table(gap=1)
    table.add_column("run", no_wrap=True)
    table.add_column("kind", overflow="fold")
    table.add_column("state", overflow="fold")
    table.add_column("started, UTC", no_wrap=True)
    for name in ("seen", "classified", "quarantined", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        counts = run.counts
        table.add_row(
            str(run.id),
            run_kind(run.kind),
            state_of(run),
            f"{run.opened_at:%Y-%m-%d %H:%M}",
            *(f"{count:,}" for count in (counts.seen, counts.classified, counts.quarantined, counts.failed)),
        )
    Terminal().print_table(table)


def print_images(images: Iterable[ImageResult]) -> None:
    """Print a line for each image. Long values wrap; none is cut off."""
    terminal = Terminal()
    columns = columns_of(Output.TABLE)
    rows = [[text for _, text in texts(Output.TABLE, image)] for image in images]
    table = plain_table()
    for index, column in enumerate(columns):
        is_number = column.type is float
        # With a min_width, Rich makes the table wider than the terminal and cuts off its last column.
        table.add_column(
            column.heading.lower(),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            width=_file_width([row[index] for row in rows], terminal.width)
            if column.field == "path"
            else None,
        )
    for row in rows:
        table.add_row(*row)
    terminal.print_table(table)


def _file_width(names: Iterable[str], terminal_width: int) -> int:
    """Return the width of the column of file names: the longest's, but at most a third of the terminal."""
    longest = max(map(cell_len, names), default=0)
    return min(longest, max(_FILE_WIDTH, terminal_width // 3))
