"""Tables and lines that show the measurements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.goals import Judged
from benchmarks.results import Result


def systems(title: str, results: Sequence[Result]) -> Table:
    """Return the systems of a workload, each with its ratio to the pipeline."""
    rates = {result.system: result.rate for result in results}
    table = Table(title=title, title_justify="left")
    table.add_column("system")
    for name in ("images", "labels right", "seconds", "fastest", "images/s", "ratio to pipeline"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(
            result.title,
            f"{result.wanted:,}",
            f"{result.agreed:,}",
            f"{result.measured.median:.2f}",
            f"{min(result.measured.seconds):.2f}",
            f"{result.rate:,.0f}" if result.rate >= 100 else f"{result.rate:.1f}",
            f"{result.rate / rates['pipeline']:.3g}" if "pipeline" in rates else "",
        )
    return table


def remarks(results: Iterable[Result]) -> Iterator[str]:
    """Yield lines about the stages of the pipeline's last run, processor time and memory."""
    for result in results:
        detail = result.measured.detail
        for run in detail.get("runs", ())[-1:]:
            yield f"{result.title}: {_stages(run, detail['processes'])}"
        if detail.get("processor_seconds"):
            # The least, which other programs disturb least.
            spent = min(detail["processor_seconds"]) / result.wanted
            yield f"{result.title}: {spent * 1e6:,.0f} µs of processor time an image."
        if detail.get("memory"):
            yield f"{result.title}: {_memory(detail['memory'])}"


def _stages(run: dict[str, Any], processes: int) -> str:
    """Return a line with the time of each stage, summed over all processes."""
    stages = sorted(run["stages_ms_per_1000"].items(), key=lambda stage: -stage[1])
    spent = ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in stages)
    return (
        f"work of {processes} processes, ms for 1,000 images: {spent}; "
        f"scan {run['scan_seconds']:.2f} s at the same time; "
        f"start, report and closing {run['other_seconds']:.2f} s."
    )


def _memory(processes: Iterable[dict[str, Any]]) -> str:
    each = ", ".join(
        f"{process['worker']} {process['first_mb']:.0f} -> {process['most_mb']:.0f}" for process in processes
    )
    return f"Unshared MB of each process, after its first chunk -> maximum afterwards: {each}."


def desk(details: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row for each search, page and cost of the desk, with a column for each database."""
    measured = {system: detail for system, detail in details.items() if "searches_ms" in detail}
    table = Table(title="desk: milliseconds; costs of a photo in microseconds", title_justify="left")
    table.add_column("")
    for system in measured:
        table.add_column(system.removeprefix("desk-"), justify="right")
    for group in ("searches_ms", "pages_ms"):
        for name in next(iter(measured.values()))[group]:
            table.add_row(name, *(f"{detail[group][name]:.1f}" for detail in measured.values()))
        table.add_section()
    for name in ("index_us", "index_cpu_us", "insert_us", "insert_us_before", "insert_ratio", "search_us"):
        table.add_row(name, *(f"{detail[name]:g}" for detail in measured.values()))
    return table


def goals(lines: Iterable[Judged]) -> Table:
    """Return the table of goals: name, goal, measured, verdict."""
    styles = {True: "green", False: "red", None: "dim"}
    table = Table(title="Goals", title_justify="left")
    table.add_column("what")
    for name in ("goal", "measured"):
        table.add_column(name, justify="right")
    table.add_column("")
    for line in lines:
        goal = line.goal
        table.add_row(
            goal.what,
            f"{goal.sign} {goal.shown.format(goal.wanted)}",
            "" if line.measured is None else goal.shown.format(line.measured),
            line.verdict,
            style=styles[line.is_reached],
        )
    return table
