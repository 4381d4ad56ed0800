"""The benchmark's figures count only if every system gave every right answer. No time is asserted here."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import Result
from benchmarks.measuring import Measurement
from returns_pipeline.settings import PROJECT_ROOT

IMAGES, HTTP_IMAGES = 64, 4


@dataclass(frozen=True, slots=True)
class Ran:
    """One whole benchmark: what it printed, what it wrote, and the only folder for temporary files it had."""

    output: str
    content: dict[str, Any]
    temporary: Path


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    for package in ("keras", "tensorflow", "flask", "requests"):
        pytest.importorskip(package, reason="the peers need the extra `bench`")
    # Not pytest's own folder: the socket of the embedded Redis lies in TMPDIR, and its path must be short.
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        answer = Path(folder) / "answer.json"
        settings = {name: value for name, value in os.environ.items() if not name.startswith("RETURNS_")}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks", "--rounds", "1", "--json", str(answer)),
                *("--images", str(IMAGES), "--http-images", str(HTTP_IMAGES)),
            ],
            cwd=PROJECT_ROOT,
            env={**settings, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=220,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield Ran(done.stdout, json.loads(answer.read_text(encoding="utf-8")), temporary)


def test_every_system_answers_every_image_with_the_reference_label(ran: Ran) -> None:
    """Three systems, each with a row for each of its images and no label of its own."""
    found = {
        system["system"]: (system["images"], system["rows"], system["labels_agreed"])
        for system in ran.content["systems"]
    }

    assert found == {
        "pipeline": (IMAGES, IMAGES, IMAGES),
        "http": (HTTP_IMAGES, HTTP_IMAGES, HTTP_IMAGES),
        "tf.data": (IMAGES, IMAGES, IMAGES),
    }


def test_a_figure_names_its_machine_and_the_stages_it_is_made_of(ran: Ran) -> None:
    """A figure without its machine says nothing; without its stages nobody can improve it."""
    assert {"cores", "cpu", "memory_gib", "python", "redis", "celery", "keras", "openvino", "pillow"} <= set(
        ran.content["machine"]
    )
    run = ran.content["systems"][0]["detail"]["runs"][0]
    assert set(run["stages_ms_per_1000"]) == {"read", "decode", "predict", "store", "archive"}


def test_the_promise_is_judged_in_words(ran: Ran) -> None:
    """Reached or missed, with the number: the reader need not divide."""
    verdict = "reached" if ran.content["promise"]["reached"] else "missed"

    assert f'"At least 100 times (a)": {verdict}, ' in ran.output


def test_nothing_is_left_behind(ran: Ran) -> None:
    """No file, no folder with content and no socket of a server that still runs."""
    assert [path for path in ran.temporary.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(("rows", "agreed"), [(9, 9), (10, 9), (11, 10)])
def test_a_missing_row_or_a_wrong_label_spoils_the_result(rows: int, agreed: int) -> None:
    """Ten images need ten rows and ten labels, no fewer and no more."""
    measured = Measurement([1.0], rows, {})

    assert not Result("pipeline", 10, agreed, measured).is_right
    assert Result("pipeline", 10, 10, Measurement([1.0], 10, {})).is_right
