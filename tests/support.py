"""Shared by tests: an installation, images, and the audit that no photo is lost or duplicated."""

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import FaultCode, PipelineError
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.uploads import AcceptedUpload, Upload
from returns_pipeline.settings import PROJECT_ROOT, Settings, environment_of
from returns_pipeline.store import images, runs, tables
from returns_pipeline.store.database import Database
from returns_pipeline.training.labelled.fashion_mnist import DEBIAN_DIR
from returns_pipeline.usecases import uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.upload_days import UploadDays
from tests import places
from tests.commands import Output, run_command
from tests.places import digests as digests

#: In continuous integration the data set must be installed, so that these tests are never silently skipped.
needs_fashion_mnist = pytest.mark.skipif(
    not DEBIAN_DIR.is_dir() and not os.environ.get("CI"),
    reason="the Debian package dataset-fashion-mnist is not installed",
)
LABELS = ("dark", "dim", "bright", "white")
SAMPLES = PROJECT_ROOT / "samples"
CLI = (sys.executable, "-m", "returns_pipeline.cli")


def write_stub_bundle(models_dir: Path, name: str = "stub", version: int = 1, side: int = 8) -> Bundle:
    """Write a bundle for the stub runtime, whose label is the quarter of an image's brightness."""
    folder = models_dir / name / str(version)
    folder.mkdir(parents=True)
    bundle = Bundle(folder, name, version, LABELS, LABELS, ImageInput(side, side, 1), {}, "stub", "")
    bundle.save()
    return bundle


def write_images(folder: Path, count: int, start: int = 0) -> list[Path]:
    """Write `count` different grey PNGs whose names contain the stub's label: image_I_label_N.png."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(start, start + count):
        value = (number * 37) % 256
        path = folder / f"image_{number}_label_{value * 4 // 256}.png"
        pixels = np.full((8, 8), value, np.uint8)
        Image.fromarray(pixels).save(path, pnginfo=None)
        # Different bytes for every file, so that its digest identifies it.
        with path.open("ab") as stream:
            stream.write(str(path).encode())
        paths.append(path)
    return paths


def sent(
    context: Context, files: Sequence[FoundFile], key: RequestKey | None = None, number: str | None = None
) -> AcceptedUpload:
    """Accept a request whose files are in the spool, and send its chunks. Raises its fault."""
    (found,) = uploads.accept(context, [Upload(files, key, number)], UploadDays())
    if isinstance(found, PipelineError):
        raise found
    uploads.send(context, [found])
    return found


@dataclass(frozen=True)
class Installation:
    """One home with its database, as a user has it."""

    settings: Settings
    database: Database

    def environment(self) -> dict[str, str]:
        """Return the environment of a process of this installation."""
        return {**os.environ, **environment_of(self.settings)}

    def run(
        self, *arguments: str, timeout: float = 240, to: Output = Output.FILE, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `returns-pipeline ARGUMENTS` and wait for it."""
        return run_command(
            arguments,
            environment={**self.environment(), **environment},
            folder=self.settings.home,
            timeout=timeout,
            to=to,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed; return the JSON that it prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def in_process(self) -> tuple[Context, InProcessQueue]:
        """Return the pipeline in this process, with the stub classifier and the in-process queue."""
        queue = InProcessQueue()
        return Context(self.settings, self.database, queue, StubClassifier), queue


def states(home: Installation, run_id: int) -> dict[str, str]:
    """Return the state of each image of a run by its name."""
    return {image.name: image.state for image in images.results(home.database, run_id)}


@dataclass(frozen=True)
class Audit:
    """The result of an audit: files that came in, lost files, duplicate files, other faults."""

    images: int
    lost: int
    double: int
    wrong: list[str]


def audit(
    home: Installation,
    came_in: Counter[str],
    run_id: int | None = None,
    guilty: Collection[str] = (),
    staying: Collection[str] = (),
) -> Audit:
    """Compare files, tables and reports of one run, or of all, with what came in (digest -> files).

    Only images named in `guilty` may be blamed for a killed worker. The files named in `staying` cannot be
    moved and must still be in the intake.
    """
    settings, database = home.settings, home.database
    wrong: list[str] = []
    found = [runs.find(database, run_id)] if run_id else runs.latest(database, 1_000)
    summaries = [summary for summary in found if summary is not None]
    for run in summaries:
        counts = run.counts
        if run.state is not RunState.CLOSED or counts.pending or run.csv is None:
            wrong.append(f"run {run.id} is {run.state} with {counts.pending} pending")
        elif _lines(places.read(run.csv)) != counts.seen + 1:
            wrong.append(f"the report of run {run.id} has other rows than the table")
    kept = digests(settings.archive_dir) + digests(settings.quarantine_dir)
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.images)).all()
        predictions = Counter(connection.execute(sa.select(tables.predictions.c.image_id)).scalars())
        unfinished = (
            sa.select(sa.func.count()).select_from(tables.chunks).where(tables.chunks.c.state != "done")
        )
        open_chunks = connection.execute(unfinished).scalar_one()
    rows = [row for row in rows if run_id in (None, row.run_id)]
    # A file that changed or vanished before it was read is not counted as come in; its row has the code. A
    # deleted image keeps its row.
    left_out = {
        row.id for row in rows if row.code in {FaultCode.CHANGED, FaultCode.VANISHED} or row.deleted_at
    }
    gone = [row for row in rows if row.id in left_out]
    rows = [row for row in rows if row.id not in left_out]
    if len(rows) != came_in.total() or len(rows) + len(gone) != sum(run.counts.seen for run in summaries):
        wrong.append(f"{len(rows)} seen and {len(gone)} changed, {came_in.total()} came in")
    wrong += [f"{open_chunks} chunks are open"] if open_chunks else []
    stays = {row.id for row in rows if row.in_intake and Path(row.source_path).name in staying}
    kept += Counter(
        row.sha256 for row in rows if row.id in stays and places.read(row.source_path) is not None
    )
    rows = [row for row in rows if row.id not in stays]
    wrong += [] if len(stays) == len(staying) else [f"{len(stays)} of {len(staying)} files stay"]
    wrong += [f"image {row.id} is {row.state}, in the intake" for row in rows if row.in_intake]
    blamed = {FaultCode.KILLED_WORKER, FaultCode.TIMED_OUT, FaultCode.GAVE_UP}
    for row in rows:
        if row.code in blamed and Path(row.source_path).name not in guilty:
            wrong.append(f"image {row.id} is wrongly blamed: {row.code}")
        content = places.read(row.archived_path) if row.archived_path else None
        if content is None:
            wrong.append(f"image {row.id} ({Path(row.source_path).name}) has no file")
        elif row.sha256 and places.digest(content) != row.sha256:
            wrong.append(f"image {row.id} has the file of another image")
        if predictions[row.id] != (row.state == "classified"):
            wrong.append(f"image {row.id} is {row.state} with {predictions[row.id]} predictions")
    return Audit(came_in.total(), (came_in - kept).total(), (kept - came_in).total(), wrong)


def _lines(report: bytes | None) -> int:
    """Return how many lines a CSV report has."""
    return len(list(csv.reader(io.StringIO((report or b"").decode(), newline=""))))


def assert_promise_kept(
    home: Installation, run_id: int, came_in: Counter[str], guilty: Collection[str] = ()
) -> None:
    """Assert that no file of a run is lost or duplicated, and that its report agrees with the tables."""
    assert audit(home, came_in, run_id, guilty) == Audit(came_in.total(), 0, 0, [])
