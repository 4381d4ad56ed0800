"""Shared by all measured systems: the job, the measurement, and the processes that run them.

Each system runs in a process of its own, one after another, because TensorFlow keeps its threads and memory
and would slow down the next system. A tiny run, whose times do not count, shares processes between jobs.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.errors import PipelineError

_STOP_SECONDS = 120
#: After this a system counts as hung.
_MAX_SECONDS = 3600
_SEARCH_PATH = os.pathsep.join(path for path in sys.path if path)


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement of one system: `module` has its function `measure(job)`.

    The system classifies the first `count` files of the flat folder `images` with the model in the folder
    `bundle`, `rounds` times, with `processes` processes if it uses several. `work` is a folder of its own
    that is deleted afterwards. `is_tiny`: the times do not count. `options` are documented in the system's
    module.
    """

    module: str
    images: Path
    count: int
    rounds: int
    processes: int
    bundle: Path
    work: Path
    is_tiny: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def files(self, count: int | None = None) -> list[Path]:
        """Return the job's files by name, or only the first `count` of them."""
        files = sorted(self.images.iterdir())[: self.count]
        return files if count is None else files[:count]

    def model(self) -> Bundle:
        """Return the bundle. Raises ConfigFault if it is broken."""
        return load_bundle(self.bundle)


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of a job: `seconds` of each round, number of `rows`, label index by file name.

    `rows` and `labels` are those of the last round. A system raises an error if an earlier round was not
    complete. `detail` holds figures that only this system has.
    """

    seconds: list[float]
    rows: int
    labels: dict[str, int]
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds of the rounds."""
        return statistics.median(self.seconds)


class Processors:
    """The processor time of the processes that this one has started, while a block runs.

    It depends less than the time of the clock on what else the machine does.
    """

    def __init__(self) -> None:
        """Count nothing yet."""
        self.rounds: list[float] = []

    @contextmanager
    def round(self) -> Iterator[None]:
        """Add the seconds of all processes that run at the end of the block to `rounds`."""
        before = _processor_seconds()
        yield
        after = _processor_seconds()
        self.rounds.append(sum(spent - before.get(pid, 0) for pid, spent in after.items()))


def _processor_seconds() -> dict[int, float]:
    """Return the processor seconds of each process that this one has started, by its id."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def link(files: Iterable[Path], folder: Path) -> None:
    """Hard-link files into a folder, created if it is missing. No content is copied."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).hardlink_to(file)


def require_rows(labels: Mapping[str, int], job: Job) -> None:
    """Raise PipelineError unless there is one label for each image of the job."""
    if len(labels) != job.count:
        raise PipelineError(f"{len(labels):,} of {job.count:,} rows were written.")


def run(jobs: Sequence[Job]) -> list[Measurement]:
    """Run jobs one after another in a process of their own; return their measurements in the same order.

    Raises PipelineError with the end of the log if the process fails.
    """
    files = []
    for job in jobs:
        job.work.mkdir(parents=True)
        files.append(job.work / "job.json")
        files[-1].write_text(json.dumps(asdict(job), default=str), encoding="utf-8")
    names = ", ".join(dict.fromkeys(job.module for job in jobs))
    log = jobs[0].work / "log.txt"
    command = [sys.executable, "-m", "benchmarks.child", *map(str, files)]
    with log.open("wb") as output, started(command, output) as process:
        try:
            process.wait(_MAX_SECONDS)
        except subprocess.TimeoutExpired:
            raise PipelineError(f"{names} did not end within {_MAX_SECONDS} s: {end_of(log)}") from None
    if process.returncode:
        raise PipelineError(f"{names} ended with exit code {process.returncode}: {end_of(log)}")
    return [
        Measurement(**json.loads((job.work / "measurement.json").read_text(encoding="utf-8"))) for job in jobs
    ]


def end_of(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:])


@contextmanager
def started(
    command: list[str], output: Any, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that prints into the file `output`; stop it when the block ends.

    `environment` is added to the environment of this process.
    """
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": _SEARCH_PATH,
        **(environment or {}),
    }
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
