"""What the measured systems share: the job they are given, the answer they write, a process for each.

Every system runs in a process of its own, one after another, so that the threads and the memory of one
(TensorFlow keeps both) never slow down the next.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.errors import PipelineError

_STOP_SECONDS = 120
#: A system that hangs must not hang the benchmark.
_MOST_SECONDS = 3600
_SEARCH_PATH = os.pathsep.join(path for path in sys.path if path)


@dataclass(frozen=True, slots=True)
class Job:
    """What every system gets: the first `count` files of a flat folder, `bundle` the model's folder.

    `images` is the folder, `rounds` how often the system is timed. `work` is a folder of its own that is
    deleted afterwards. `options` is what only some systems know; each says which.
    """

    images: Path
    count: int
    rounds: int
    bundle: Path
    work: Path
    options: dict[str, Any] = field(default_factory=dict)

    def files(self, count: int | None = None) -> list[Path]:
        """Return the job's files in the order of their names, only the first `count` when it is given."""
        files = sorted(self.images.iterdir())[: self.count]
        return files if count is None else files[:count]

    def model(self) -> Bundle:
        """Return the bundle. Raises ConfigFault when it is broken."""
        return load_bundle(self.bundle)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a system did: `seconds` of each round, `rows` it wrote or answered, label index by file name.

    `rows` and `labels` are those of the last round; a system raises when a round before it was not complete.
    `detail` holds what only this system has.
    """

    seconds: list[float]
    rows: int
    labels: dict[str, int]
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds of the rounds."""
        return statistics.median(self.seconds)


def link(files: Iterable[Path], folder: Path) -> None:
    """Hard-link files into a folder, made when it is missing: new names, and no byte is copied."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).hardlink_to(file)


def require_rows(labels: Mapping[str, int], job: Job) -> None:
    """Raise PipelineError unless there is a label for each image of the job, and none besides."""
    if len(labels) != job.count:
        raise PipelineError(f"{len(labels):,} of {job.count:,} rows were written.")


def run(module: str, job: Job) -> Measurement:
    """Run `python -m MODULE` on a job in a process of its own and return what it measured.

    Raises PipelineError with the end of its log when it fails.
    """
    job.work.mkdir(parents=True)
    request, answer, log = (job.work / name for name in ("job.json", "measurement.json", "log.txt"))
    request.write_text(json.dumps(asdict(job), default=str), encoding="utf-8")
    with log.open("wb") as output, started([sys.executable, "-m", module, str(request)], output) as process:
        try:
            process.wait(_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise PipelineError(f"{module} has not ended within {_MOST_SECONDS} s: {end_of(log)}") from None
    if process.returncode:
        raise PipelineError(f"{module} ended with {process.returncode}: {end_of(log)}")
    return Measurement(**json.loads(answer.read_text(encoding="utf-8")))


def end_of(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:])


def main(measure: Callable[[Job], Measurement]) -> None:
    """Be the process that `run` starts: read the job, whose file is the first argument, and answer it."""
    # An exception instead of sudden death, so that what this process started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    job = Job(**{**values, **{name: Path(values[name]) for name in ("images", "bundle", "work")}})
    answer = json.dumps(asdict(measure(job)))
    (job.work / "measurement.json").write_text(answer, encoding="utf-8")


@contextmanager
def started(
    command: list[str], output: Any, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that prints into the file `output`; end it, by its id, when the block ends.

    `environment` is what it gets besides this process's own.
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
