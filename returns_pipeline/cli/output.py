"""Runs and images as tables for people and as plain values for JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.runs import OpenWork, RunSummary
from returns_pipeline.report.columns import Output, as_dict, columns_of, texts

if TYPE_CHECKING:
    from returns_pipeline.host.doctor import Check

_console = Console()
#: Characters of a file name that stay on one line.
_FILE_WIDTH = 26


@dataclass(frozen=True, slots=True)
class Status:
    """What an operator asks at night: is it going, what is open, what comes next."""

    open_runs: list[RunSummary]
    open_work: OpenWork
    last_night: RunSummary | None
    next_night: datetime
    broker: str | None
    queues: dict[str, int] = field(default_factory=dict)
    workers: list[str] = field(default_factory=list)


def status_as_dict(status: Status) -> dict[str, Any]:
    """Return the status as the JSON that the command line prints."""
    work = status.open_work
    return {
        "open_runs": [run_as_dict(run) for run in status.open_runs],
        "open_chunks": work.chunks,
        "open_images": work.images,
        "leases": work.leased,
        "fault": work.fault,
        "oldest_open": work.oldest.isoformat() if work.oldest else None,
        "last_night": run_as_dict(status.last_night) if status.last_night else None,
        "next_night": status.next_night.isoformat(),
        "broker": status.broker,
        "queues": status.queues,
        "workers": status.workers,
    }


def print_status(status: Status) -> None:
    """Print what is open, what was and what comes."""
    work, last = status.open_work, status.last_night
    since = f", the oldest since {work.oldest:%Y-%m-%d %H:%M:%S} UTC" if work.oldest else ""
    lines = {
        "Workers": ", ".join(status.workers) or "none answers",
        "Queues": status.broker or ", ".join(f"{name} {length:,}" for name, length in status.queues.items()),
        "Open": f"{work.images:,} images in {work.chunks:,} chunks, {work.leased:,} being worked on{since}",
        "Last night": f"run {last.id}, {last.state}, opened {last.opened_at:%Y-%m-%d %H:%M} UTC"
        if last
        else "none yet",
        "Next night": f"{status.next_night:%Y-%m-%d %H:%M} UTC",
    }
    if work.fault:
        lines["Fault"] = work.fault
    for name, line in lines.items():
        _console.print(f"{name:<11} {line}", soft_wrap=True, highlight=False, markup=False)
    print_runs(status.open_runs, empty="No run is open.")


def print_checks(checks: "Sequence[Check]") -> None:
    """Print a line for each check, with what to do about those that fail."""
    for check in checks:
        sign = "[green]ok[/]  " if check.ok else "[red]FAIL[/]"
        _console.print(f"{sign} {check.name:<10}", Text(check.message), soft_wrap=True, highlight=False)
        if check.advice:
            _console.print(" " * 15, Text(check.advice), soft_wrap=True, highlight=False)


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
        "opened_at": run.opened_at.isoformat(),
        "closed_at": run.closed_at.isoformat() if run.closed_at else None,
        "seconds": run.seconds,
        "images_per_second": run.images_per_second,
        "model": str(run.model),
        "csv": str(run.csv) if run.csv else None,
        "report": str(run.report) if run.report else None,
    }


def image_as_dict(image: ImageResult) -> dict[str, Any]:
    """Return an image as the JSON that the command line prints."""
    return as_dict(Output.JSON, image)


def shown(path: Path) -> Path:
    """Return a path as a person at this terminal would write it: relative where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def print_run(run: RunSummary) -> None:
    """Print one run, with its accuracy where the file names carry labels."""
    from returns_pipeline.report.summary import Accuracy, accuracy_of_csv

    table = Table(title=f"Run {run.id} · {run.kind} · {run.state} · {run.model}", title_justify="left")
    cells = {
        "seen": f"{run.counts.seen:,}",
        "classified": f"[green]{run.counts.classified:,}[/]",
        "quarantined": f"[yellow]{run.counts.quarantined:,}[/]",
        "failed": f"[red]{run.counts.failed:,}[/]" if run.counts.failed else "0",
        "seconds": "open" if run.seconds is None else f"{run.seconds:.2f}",
        "images/s": "" if run.images_per_second is None else f"{run.images_per_second:,.0f}",
    }
    accuracy = accuracy_of_csv(run.csv) if run.csv and run.csv.exists() else Accuracy(0, 0)
    if accuracy.share is not None:
        cells["accuracy"] = f"{100 * accuracy.share:.1f} %"
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*cells.values())
    _console.print(table)
    for name, path in (("CSV", run.csv), ("Report", run.report)):
        if path:
            _console.print(f"{name:<7} {shown(path)}", soft_wrap=True, highlight=False, markup=False)


def print_runs(runs: Sequence[RunSummary], empty: str = "There is no run yet.") -> None:
    """Print a line for each run."""
    if not runs:
        _console.print(empty)
        return
    table = _lines()
    # Narrow enough for a terminal of 80 columns.
    for name in ("run", "kind", "state", "opened, UTC"):
        table.add_column(name, no_wrap=True)
    for name in ("seen", "classif.", "quarant.", "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        counts = run.counts
        table.add_row(
            str(run.id),
            run.kind,
            run.state,
            f"{run.opened_at:%Y-%m-%d %H:%M}",
            *(f"{count:,}" for count in (counts.seen, counts.classified, counts.quarantined, counts.failed)),
        )
    _console.print(table)


def _lines() -> Table:
    """Return a table without a frame, for lists that are long or wide."""
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def print_images(images: Iterable[ImageResult]) -> None:
    """Print a line for each image."""
    columns = columns_of(Output.TABLE)
    table = _lines()
    for column in columns:
        is_number = column.type is float
        table.add_column(
            column.heading.lower(),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            min_width=_FILE_WIDTH if column.field == "path" else None,
        )
    for image in images:
        table.add_row(*(Text(text) for _, text in texts(Output.TABLE, image)))
    _console.print(table)
