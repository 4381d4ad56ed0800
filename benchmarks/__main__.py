"""`python -m benchmarks`: measure every system on the same images, one after another, and print one table."""

import json
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.data import write_images
from benchmarks.measuring import Job, Measurement, run
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import PipelineError
from returns_pipeline.settings import load_settings

#: How many times the images a second of the design it replaces the pipeline promises.
PROMISED = 100

PIPELINE, HTTP, TF_DATA = "pipeline", "http", "tf.data"
System = Literal["pipeline", "http", "tf.data"]
_SYSTEMS: dict[str, tuple[str, str]] = {
    PIPELINE: ("benchmarks.pipeline", "pipeline: scan to closed run"),
    HTTP: ("benchmarks.http_flask", "(a) Flask, one image at a time"),
    TF_DATA: ("benchmarks.tf_data", "(b) tf.data, one process"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """A system's measurement, its labels compared with the reference; `wanted` images it was asked for."""

    system: str
    wanted: int
    agreed: int
    measured: Measurement

    @property
    def rate(self) -> float:
        """Images a second in the median round."""
        return self.wanted / self.measured.median

    @property
    def is_right(self) -> bool:
        """Whether every image has a row and every label is the reference's."""
        return self.measured.rows == self.wanted == self.agreed

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "system": self.system,
            "images": self.wanted,
            "seconds": round(self.measured.median, 4),
            "rounds": [round(seconds, 4) for seconds in self.measured.seconds],
            "images_per_second": round(self.rate, 2),
            "rows": self.measured.rows,
            "labels_agreed": self.agreed,
            "detail": self.measured.detail,
        }


def benchmark(
    images: Annotated[int, typer.Option(min=1, help="Images for the pipeline and tf.data.")] = 10_000,
    http_images: Annotated[int, typer.Option(min=1, help="Images for the endpoint; the slow one.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="Times each system is timed; the median counts.")] = 5,
    only: Annotated[System | None, typer.Option(help="Measure this system alone.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the result here too.")] = None,
) -> None:
    """Measure the pipeline, the design it replaces and its nearest peer. Exits with 1 on a wrong answer."""
    # An exception instead of sudden death, so that processes end and the temporary folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Wide enough for the table where the output is no terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    described = machine.describe()
    console.print(machine.as_line(described))
    settings = load_settings()
    bundle = find_bundle(settings.models_dir, settings.model)
    with tempfile.TemporaryDirectory(prefix="returns-bench-") as temporary:
        folder = Path(temporary)
        data = write_images(folder / "images", images)
        console.print(f"{data}; model {bundle.ref}; median of {rounds}")
        job = Job(folder / "images", images, min(http_images, images), rounds, bundle.folder, folder)
        results = _measure(job, [only] if only else list(_SYSTEMS), console)
    console.print(_table(results))
    _print_stages(results, console)
    promise = _promise(results)
    if promise:
        verdict = "reached" if promise["reached"] else "missed"
        console.print(f'"At least {PROMISED} times (a)": {verdict}, {promise["times"]:,.0f} times.')
    wrong = [result.system for result in results if not result.is_right]
    if wrong:
        console.print(f"Wrong answers: {', '.join(wrong)}. The figures do not count.", style="red")
    if json_file:
        systems = [result.as_dict() for result in results]
        content = {"machine": described, "data": data, "systems": systems, "promise": promise}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    raise typer.Exit(1 if wrong else 0)


def _measure(job: Job, systems: list[str], console: Console) -> list[Result]:
    """Find the reference labels, then measure the systems in turn."""
    results: list[Result] = []
    with console.status("reference labels") as status:
        reference = run("benchmarks.reference", _in_folder(job, "reference")).labels
        for system in systems:
            status.update(system)
            module, _ = _SYSTEMS[system]
            measured = run(module, _in_folder(job, system))
            agreed = sum(reference.get(name) == label for name, label in measured.labels.items())
            wanted = job.http_count if system == HTTP else job.count
            results.append(Result(system, wanted, agreed, measured))
    return results


def _in_folder(job: Job, name: str) -> Job:
    return Job(job.images, job.count, job.http_count, job.rounds, job.bundle, job.work / name)


def _table(results: list[Result]) -> Table:
    rates = {result.system: result.rate for result in results}
    table = Table()
    table.add_column("system")
    for name in ("images", "labels right", "seconds", "fastest", "images/s", "ratio to pipeline"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(
            _SYSTEMS[result.system][1],
            f"{result.wanted:,}",
            f"{result.agreed:,}",
            f"{result.measured.median:.2f}",
            f"{min(result.measured.seconds):.2f}",
            f"{result.rate:,.0f}" if result.rate >= 100 else f"{result.rate:.1f}",
            f"{result.rate / rates[PIPELINE]:.3g}" if PIPELINE in rates else "",
        )
        for run_ in result.measured.detail.get("runs", ()):
            table.add_row(
                "  a run, as it says itself", "", "", f"{run_['run_seconds']:.2f}", "", "", "", style="dim"
            )
    return table


def _print_stages(results: list[Result], console: Console) -> None:
    """Say where the pipeline's last run spent its time, added up over processes that work side by side."""
    for result in results:
        for run_ in result.measured.detail.get("runs", ())[-1:]:
            stages = sorted(run_["stages_ms_per_1000"].items(), key=lambda stage: -stage[1])
            spent = ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in stages)
            console.print(
                f"Work of its {result.measured.detail['processes']} processes, ms for 1,000 images: {spent}. "
                f"Scan {run_['scan_seconds']:.2f} s beside it; start, report and closing "
                f"{run_['other_seconds']:.2f} s."
            )


def _promise(results: list[Result]) -> dict[str, Any] | None:
    rates = {result.system: result.rate for result in results}
    if PIPELINE not in rates or HTTP not in rates:
        return None
    times = rates[PIPELINE] / rates[HTTP]
    return {"wanted": PROMISED, "times": round(times, 1), "reached": times >= PROMISED}


def main() -> None:
    """Run the command; a fault is one sentence."""
    try:
        typer.run(benchmark)
    except PipelineError as fault:
        sys.stderr.write(f"Error: {fault}\n")
        raise SystemExit(fault.exit_code) from None


if __name__ == "__main__":
    main()
