"""An installed wheel does what a checkout does: it carries the models, the samples and the migrations."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PREFIX, PROJECT_ROOT

#: What a wheel is built from: the same files that the Dockerfile copies.
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "beat_schedule.py",
    "returns_pipeline",
    "workers",
    "migrations",
    "models",
    "samples",
    "spaces",
)

#: Starts the schedule from the wheel and waits for its first line.
BEAT = """
import pathlib, time
import beat_schedule, workers.app
from returns_pipeline.host.embedded import Processes

settings = workers.app.settings
with Processes(settings) as processes:
    processes.start_redis()
    processes.start("beat", "beat")
    log = settings.home / "logs" / "beat.log"
    deadline = time.monotonic() + 60
    while "beat: Starting" not in log.read_text():
        processes.check()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
print(pathlib.Path(beat_schedule.__file__).parent)
"""


def _environment() -> dict[str, str]:
    """Return an environment without this project's settings and without its checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name != "PYTHONPATH"
    }


def _run(folder: Path, *command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of programs of a fresh environment with the wheel; nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = PROJECT_ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    # A bundle that was trained in the checkout is private and must stay out of a wheel.
    shutil.copytree(source / "models" / "fashion-mnist" / "1", source / "models" / "private" / "1")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    _run(
        folder,
        *(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, source),
    )
    (wheel,) = folder.glob("*.whl")
    _run(folder, sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    programs = folder / "venv" / "bin"
    _run(folder, *pip, "--python", programs / "python", "install", "--no-index", "--no-deps", wheel)
    # The dependencies come from the environment that runs the tests. A path entry reads no .pth file, so
    # an editable installation of this project stays invisible.
    (own,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return programs


@pytest.mark.slow
def test_the_demo_of_a_wheel_classifies_the_samples(installed: Path, tmp_path: Path) -> None:
    """In an empty folder the wheel finds its model, its samples and its migrations, and the run closes."""
    printed = _run(tmp_path, installed / "returns-pipeline", "demo")

    assert "42 returns were announced" in printed
    assert "304 photos came in" in printed
    # expected, arrived, mismatched, reused
    assert re.search(r"│ +42 │ +41 │ +2 │ +1 │", printed)
    assert "came in before, with return RMA-10" in printed
    assert printed.count("\n") < 40
    report = tmp_path / "var" / "demo" / "reports" / "run-1"
    assert len((report / "results.csv").read_text().splitlines()) == 305
    assert (report / "report.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["var"]


@pytest.mark.slow
def test_the_schedule_of_a_wheel_starts(installed: Path, tmp_path: Path) -> None:
    """`workers.app` and `beat_schedule` are importable beside the package, and beat starts from them."""
    place = Path(_run(tmp_path, installed / "python", "-c", BEAT).strip())

    assert place.is_relative_to(installed.parent)


def test_a_wheel_carries_the_shipped_bundles_and_no_other(installed: Path) -> None:
    """The models are those of the repository, whole; what was trained beside them stays out."""
    code = "from returns_pipeline.settings import SHIPPED; print(SHIPPED)"
    shipped = Path(_run(installed, installed / "python", "-c", code).strip())

    assert shipped.is_relative_to(installed.parent)
    assert sorted(path.name for path in (shipped / "models").iterdir()) == ["clothing", "fashion-mnist"]
    for model in ("clothing/1", "clothing/2", "fashion-mnist/1", "fashion-mnist/2"):
        bundle = find_bundle(shipped / "models", model)
        for name in bundle.sha256:
            bundle.file(name)


def test_a_wheel_has_every_file_of_the_packages(installed: Path) -> None:
    """Each module, template and other file of the checkout is installed, also one in a new folder."""
    (own,) = (installed.parent / "lib").glob("python*/site-packages")
    for package in ("returns_pipeline", "workers", "migrations"):
        for path in (PROJECT_ROOT / package).rglob("*"):
            wanted = path.is_file() and path.suffix not in {".pyc", ".md"}
            assert not wanted or (own / path.relative_to(PROJECT_ROOT)).is_file(), path


def test_the_wheel_is_built_from_what_the_image_copies() -> None:
    """The Dockerfile copies each source of the package, so that both installations have the same files."""
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word for line in dockerfile.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]
    }
    assert set(SOURCES) <= copied


def test_a_missing_models_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The sentence names the folder, and the advice the setting that chooses another."""
    with pytest.raises(ConfigFault, match=r"folder .*/gone does not exist.*RETURNS_MODELS_DIR"):
        find_bundle(tmp_path / "gone", "fashion-mnist")
