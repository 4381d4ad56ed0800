"""`python -m benchmarks`: measures every system on the same images, and prints which goals are reached."""

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import machine, tables
from benchmarks.bench import Bench
from benchmarks.goals import judge
from benchmarks.workloads import Request, SystemName, WorkloadName
from returns_pipeline.errors import PipelineError

_WIDTH = 130


def benchmark(
    workload: Annotated[
        list[WorkloadName] | None, typer.Option(help="Measure this workload only; may be repeated.")
    ] = None,
    only: Annotated[SystemName | None, typer.Option(help="Measure this system only.")] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Images of each workload.")] = None,
    http_images: Annotated[
        int | None, typer.Option(min=1, help="Images for the slow systems: HTTP and one task an image.")
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder tree of .jpg photos for B and E."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Times that each system is measured; the median counts.")
    ] = None,
    tiny: Annotated[
        bool,
        typer.Option(
            "--tiny",
            help="A few images, several systems at a time, to check that it works. Its times do not count.",
        ),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the results to this file too.")
    ] = None,
) -> None:
    """Measure the pipeline, its upper limit, its peers and the designs it replaces.

    Exit code 1 on a wrong label.
    """
    # SIGTERM raises SystemExit, so that processes are stopped and the temporary folder is deleted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Wide enough for the tables if the output is not a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    described = machine.describe()
    console.print(machine.as_line(described))
    request = Request(images, http_images, rounds, photos, only, tiny)
    with (
        tempfile.TemporaryDirectory(prefix="returns-bench-") as temporary,
        console.status("") as status,
    ):
        bench = Bench(request, Path(temporary), status.update)
        for done in bench.measure(workload or WorkloadName):
            console.print(f"\n{done.name}: {bench.sentences[done.name]}")
            results = [result for (name, _), result in bench.measured.results.items() if name == done.name]
            if results:
                console.print(tables.systems(f"{done.name}: {done.title}", results))
            if done.name is WorkloadName.DESK and bench.measured.details:
                console.print(tables.desk(bench.measured.details))
            for line in tables.remarks(results):
                console.print(line)
    raise typer.Exit(_conclude(bench, described, json_file, console))


def _conclude(bench: Bench, described: dict[str, Any], json_file: Path | None, console: Console) -> int:
    """Print the goals and the faults, write the JSON; return the exit code."""
    measured = bench.measured
    judged = judge(measured)
    wrong = measured.wrong()
    console.print()
    console.print(tables.goals(judged))
    for line in bench.left_out:
        console.print(f"Not measured: {line}.")
    if bench.request.tiny:
        console.print("--tiny: the labels were checked; the times do not count.")
    if wrong:
        console.print(f"Wrong labels, so no figure counts: {'; '.join(wrong)}.", style="red")
    if json_file:
        content = {
            "machine": described,
            "data": bench.sentences,
            "systems": [result.as_dict() for result in measured.results.values()],
            "details": measured.details,
            "goals": [line.as_dict() for line in judged],
            "left_out": bench.left_out,
            "wrong": wrong,
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 1 if wrong else 0


def main() -> None:
    """Run the command; print a fault as one sentence."""
    try:
        typer.run(benchmark)
    except PipelineError as fault:
        sys.stderr.write(f"Error: {fault}\n")
        raise SystemExit(fault.exit_code) from None


if __name__ == "__main__":
    main()
