"""The state of the whole system, and the doctor's checks, for people and for JSON."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from returns_pipeline.cli import console
from returns_pipeline.cli.output.runs import print_runs, run_as_dict, state_of
from returns_pipeline.records.notices import DeliveryCounts
from returns_pipeline.records.runs import OpenWork, RunSummary
from returns_pipeline.report.words import counted, left_behind, undelivered
from returns_pipeline.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.host.doctor import Check


@dataclass(frozen=True, slots=True)
class Status:
    """Open work, the last and the next night, queues and workers.

    `alarms` are what is wrong with the intakes. `broker_fault` is why the broker did not answer, or None.
    `notices` are the deliveries that have failed.
    `queues` has the length of each queue.
    """

    open_runs: list[RunSummary]
    open_work: OpenWork
    last_night: RunSummary | None
    next_night: datetime
    alarms: list[str]
    broker_fault: str | None
    notices: DeliveryCounts
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
        "alarms": status.alarms,
        "broker": status.broker_fault,
        "notices": status.notices._asdict(),
        "queues": status.queues,
        "workers": status.workers,
    }


def print_status(status: Status) -> None:
    """Print the status, a line for each subject, then the open runs."""
    work, last = status.open_work, status.last_night
    since = f", the oldest since {work.oldest:%Y-%m-%d %H:%M:%S} UTC" if work.oldest else ""
    queues = ", ".join(f"{name} {length:,}" for name, length in status.queues.items())
    lines = {
        "Workers": ", ".join(status.workers) or "none answers",
        "Queues": status.broker_fault or queues,
        "Open": f"{counted(work.images, 'image')} in {counted(work.chunks, 'chunk')}, "
        f"{work.leased:,} in progress{since}",
        "Last night": f"run {last.id}, {state_of(last)}, started {last.opened_at:%Y-%m-%d %H:%M} UTC"
        if last
        else "none yet",
        "Next night": f"{status.next_night:%Y-%m-%d %H:%M} UTC",
    }
    if work.fault:
        lines["Fault"] = work.fault
    if told := undelivered(status.notices):
        lines["Notices"] = f"{told} See `returns-pipeline notify list`."
    if last and (left := left_behind(last.left)):
        lines["Left there"] = " ".join(left)
    for name, line in lines.items():
        console.print_line(f"{name:<11} {line}")
    for alarm in status.alarms:
        console.print_line(f"{'ALARM':<11} {alarm}")
    print_runs(status.open_runs, empty="No run is open.")


def print_checks(checks: "Sequence[Check]") -> None:
    """Print a line for each check, and the advice for each fault."""
    terminal = Terminal()
    for check in checks:
        sign = Text("ok  ", "green") if check.ok else Text("FAIL", "red")
        terminal.print_line(sign, f"{check.name:<10}", check.message)
        if check.advice:
            terminal.print_line(" " * 15, check.advice)
