"""The benchmark's figures count only if every system gives the right labels. No time is asserted here."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.goals import GOALS
from benchmarks.workloads import WORKLOADS
from returns_pipeline.settings import PROJECT_ROOT

#: Every system and both models. C has the systems of B with larger images.
_ASKED = ("A", "B", "D")
_SYSTEMS = [
    (workload.name.value, entry)
    for workload in WORKLOADS
    if workload.tiny_images and workload.name in _ASKED
    for entry in workload.entries
]


@dataclass(frozen=True, slots=True)
class Ran:
    """One whole benchmark: its output, the JSON that it wrote, and its folder for temporary files."""

    output: str
    content: dict[str, Any]
    temporary: Path

    def system(self, workload: str, system: str) -> dict[str, Any]:
        """Return the JSON about one system."""
        found = {(each["workload"], each["system"]): each for each in self.content["systems"]}
        one: dict[str, Any] = found[workload, system]
        return one


@pytest.fixture
def ran() -> Iterator[Ran]:
    for package in ("keras", "tensorflow", "flask", "requests"):
        pytest.importorskip(package, reason="the peers need the extra `dev`")
    # Not pytest's own folder: the sockets of Redis and Ray are in TMPDIR, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        temporary = Path(folder) / "t"
        temporary.mkdir()
        result = Path(folder) / "result.json"
        settings = {name: value for name, value in os.environ.items() if not name.startswith("RETURNS_")}
        asked = [word for name in (*_ASKED, "desk") for word in ("--workload", name)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--tiny", "--json", str(result), *asked],
            cwd=PROJECT_ROOT,
            env={**settings, "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield Ran(done.stdout, json.loads(result.read_text(encoding="utf-8")), temporary)


@pytest.mark.slow
@pytest.mark.timeout(1260)
def test_a_tiny_benchmark_measures_judges_and_says_everything(ran: Ran) -> None:
    """Every system is right, every figure explained, every goal judged, and no file or process is left.

    One test, because the benchmark is slow, and the tests of a module may run in several processes.
    """
    _assert_that_every_system_classifies_every_image(ran)
    _assert_that_a_figure_names_its_machine_and_stages(ran)
    _assert_that_every_goal_is_judged_in_words(ran)
    _assert_that_what_is_not_installed_is_said(ran)
    _assert_that_memory_is_sampled(ran)
    _assert_that_searches_and_pages_are_timed(ran)
    _assert_that_nothing_is_left_behind(ran)


def _assert_that_every_system_classifies_every_image(ran: Ran) -> None:
    """Each system of each workload has a row for each of its images, and enough right labels."""
    installed = [(workload, entry) for workload, entry in _SYSTEMS if entry.is_installed]

    for workload, entry in installed:
        found = ran.system(workload, entry.system)
        assert found["right"], (workload, entry.system)
        assert found["rows"] == found["images"] > 0
        assert found["labels_agreed"] >= entry.min_agreement * found["images"]
    assert len(ran.content["systems"]) == len(installed)


def _assert_that_a_figure_names_its_machine_and_stages(ran: Ran) -> None:
    """Find the machine and the versions in the results, and the time of each stage of the pipeline."""
    assert {"cores", "cpu", "memory_gib", "python", "redis", "celery", "keras", "openvino", "pillow"} <= set(
        ran.content["machine"]
    )
    run = ran.system("A", "pipeline")["detail"]["runs"][0]
    assert {"read", "decode", "predict", "store", "archive"} <= set(run["stages_ms_per_1000"])


def _assert_that_every_goal_is_judged_in_words(ran: Ran) -> None:
    """Each goal is printed as reached, missed or not measured."""
    verdicts = {line["what"]: line["verdict"] for line in ran.content["goals"]}

    assert set(verdicts) == {goal.what for goal in GOALS}
    assert all(what in ran.output for what in verdicts)
    measured = {what for what, verdict in verdicts.items() if verdict in {"reached", "missed"}}
    assert {goal.what for goal in GOALS if goal.what[0] in _ASKED} - measured <= {"A: images/s of Ray Data"}


def _assert_that_what_is_not_installed_is_said(ran: Ran) -> None:
    """Each system whose package is missing is named."""
    missing = [entry for _, entry in _SYSTEMS if entry.package and find_spec(entry.package) is None]

    assert ran.content["left_out"] == [
        f"{entry.title}: {entry.package} is not installed" for entry in missing
    ]


def _assert_that_memory_is_sampled(ran: Ran) -> None:
    """Both workers, with their parents and every process that classified, have samples."""
    processes = ran.system("D", "pipeline")["detail"]["memory"]

    assert {process["worker"] for process in processes} == {"control", "cpu"}
    assert any(process["classifies"] for process in processes)
    assert all(process["most_mb"] >= process["first_mb"] > 0 for process in processes)


def _assert_that_searches_and_pages_are_timed(ran: Ran) -> None:
    """On both databases each search and page of the desk has a time, and the costs of a photo are known."""
    for system in ("desk-sqlite", "desk-postgresql"):
        detail = ran.content["details"][system]
        assert min(*detail["searches_ms"].values(), *detail["pages_ms"].values()) > 0
        assert detail["index_us"] > 0
        assert detail["insert_ratio"] > 0


def _assert_that_nothing_is_left_behind(ran: Ran) -> None:
    """No file, no folder with content and no socket of a running server is left."""
    left = {path.name for path in ran.temporary.rglob("*") if not path.is_dir()}
    # TensorFlow deletes the functions that it generates here, and leaves what Python compiled of them.
    left = {name for name in left if not name.startswith("__autograph_generated_file")}
    # The package of the PostgreSQL server keeps this lock for other processes.
    assert left <= {".lockfile"}
