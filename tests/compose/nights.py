"""Nights of the stack: photos, scans, and what their runs must say."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from returns_pipeline.settings import PROJECT_ROOT
from tests.compose.progress import CheckError, expect
from tests.compose.stack import AwayError, Stack

SAMPLES = PROJECT_ROOT / "samples"
#: Not photos: each is quarantined.
BROKEN = ("empty.png", "not_an_image.jpg", "truncated.png")
_CLOSE_SECONDS = 300


def photos(prefix: str, copies: int) -> Iterator[tuple[str, Path]]:
    """Yield new names and the samples that they shall have the content of; three in 303 are broken."""
    for sample in _samples():
        for copy in range(copies):
            yield f"{prefix}-{copy}-{sample.name}", sample


def _samples() -> list[Path]:
    return sorted([*SAMPLES.glob("*_label_*.png"), *(SAMPLES / name for name in BROKEN)])


def put_photos(stack: Stack, prefix: str, copies: int) -> int:
    """Write photos into the intake; return their number."""
    written = []
    for name, sample in photos(prefix, copies):
        path = stack.data / "incoming" / name
        path.write_bytes(sample.read_bytes())
        written.append(path)
    stack.give(written)
    return len(written)


def newest_run(stack: Stack) -> dict[str, Any]:
    """Return the newest run, or an empty one."""
    runs: list[dict[str, Any]] = stack.get("/api/v1/runs?limit=1")["runs"]
    return runs[0] if runs else {"id": 0}


def begin(stack: Stack) -> int:
    """Request a scan; return its run's id when a part of its photos is done and a part is not."""
    before = newest_run(stack)["id"]
    stack.pipeline("scan")

    def is_half_way(run: dict[str, Any]) -> bool:
        done = run.get("classified", 0) + run.get("quarantined", 0)
        if run["id"] > before and run["state"] == "closed":
            raise CheckError("The run closed before anything could happen to it: it needs more photos.")
        return bool(run["id"] > before and done > 0)

    run = wait(lambda: newest_run(stack), is_half_way)
    return int(run["id"])


def require_open(stack: Stack, run: int) -> None:
    """Raise CheckError unless a run is open and has photos that wait."""
    found = stack.get(f"/api/v1/runs/{run}")
    if found["state"] == "closed" or found["pending"] == 0:
        raise CheckError(f"run {run} was not open: {found}")


def require_complete(stack: Stack, run: int, count: int) -> None:
    """Wait until a run has closed; raise CheckError unless each of `count` photos was counted once."""
    found = wait(lambda: stack.get(f"/api/v1/runs/{run}"), lambda each: each["state"] == "closed")
    counts = [found[name] for name in ("seen", "classified", "quarantined", "failed")]
    bad = broken(count)
    expect(f"seen, classified, quarantined and failed of run {run}", counts, [count, count - bad, bad, 0])


def require_files(stack: Stack, run: int, count: int) -> None:
    """Raise CheckError unless each photo of a run was moved to its place and is in the report."""
    expect("files in the intake", len(_files(stack.data / "incoming")), 0)
    bad = broken(count)
    expect("files in the archive", len(_files(stack.data / "archive" / f"run-{run}")), count - bad)
    expect("files in quarantine", len(_files(stack.data / "quarantine" / f"run-{run}")), bad)
    lines = (stack.data / "reports" / f"run-{run}" / "results.csv").read_text(encoding="utf-8").splitlines()
    expect("lines of the report", len(lines), count + 1)


def broken(count: int) -> int:
    """Return how many of so many photos are broken."""
    return count * len(BROKEN) // len(_samples())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def wait(
    ask: Callable[[], dict[str, Any]],
    is_wanted: Callable[[dict[str, Any]], bool],
    seconds: float = _CLOSE_SECONDS,
) -> dict[str, Any]:
    """Ask until the run is as wanted and return it; while the web or its database is away, ask again."""
    end = time.monotonic() + seconds
    last: object = "no answer"
    while time.monotonic() < end:
        with contextlib.suppress(requests.RequestException, AwayError):
            last = run = ask()
            if is_wanted(run):
                return run
        time.sleep(0.1)
    raise CheckError(f"The run does not get there in {seconds} s: {last}")
