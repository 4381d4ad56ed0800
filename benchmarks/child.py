"""`python -m benchmarks.child JOB.json …`: the process that measures systems, one job after another."""

import importlib
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.measuring import Job, Measurement


def main(files: list[str]) -> None:
    """Measure the job in each file; write its measurement beside the file."""
    # SIGTERM raises SystemExit, so that the processes started here are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for file in map(Path, files):
        values = json.loads(file.read_text(encoding="utf-8"))
        job = Job(**{**values, **{name: Path(values[name]) for name in ("images", "bundle", "work")}})
        measurement: Measurement = importlib.import_module(job.module).measure(job)
        (job.work / "measurement.json").write_text(json.dumps(asdict(measurement)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
