"""The systemd units are right, and start and stop what they say."""

import configparser
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.tasks import INTERACTIVE, QUEUES
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.settings.places import embedded_socket
from tests.support import Installation
from tests.web import free_port

UNITS = PROJECT_ROOT / "deploy" / "systemd"
_PROGRAMS = "/srv/returns/.venv/bin"
_PATIENCE = 120


def _service(name: str) -> configparser.SectionProxy:
    return _service_of(UNITS / f"returns-{name}.service")


def _service_of(unit: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit, encoding="utf-8")
    return parser["Service"]


def _command(name: str) -> list[str]:
    """Return the words that a unit starts, with the programs of this environment."""
    line = _service(name)["ExecStart"].replace(_PROGRAMS, str(Path(sys.executable).parent))
    return shlex.split(line.replace("%%", "%"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    """Every unit, with the drop-in of all, is understood as a whole; its program exists."""
    copy = tmp_path / "units"
    shutil.copytree(UNITS, copy)
    for unit in copy.glob("*.service"):
        text = unit.read_text(encoding="utf-8").replace(_PROGRAMS, str(Path(sys.executable).parent))
        unit.write_text(text, encoding="utf-8")
    units = sorted(path.name for path in copy.iterdir() if path.is_file())
    done = subprocess.run(
        ["systemd-analyze", "verify", *(f"./{name}" for name in units)],
        cwd=copy,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{copy}:"},
        capture_output=True,
        text=True,
    )
    of_ours = [line for line in (done.stdout + done.stderr).splitlines() if "returns" in line]
    assert (done.returncode, of_ours) == (0, [])


def test_the_units_may_write_where_up_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The home, and the socket of Redis where commands of a terminal look for it, are writable for units."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - that of most machines
    common = _service_of(UNITS / "returns-.service.d" / "common.conf")
    home = Path(common["WorkingDirectory"]) / "var"
    writable = common["ReadWritePaths"].split()
    for place in (home, embedded_socket(home)):
        assert any(place.is_relative_to(folder) for folder in writable), place
    assert "PrivateTmp" not in common


@contextmanager
def _started(home: Installation, name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a unit's command; after the block it must end in the unit's time."""
    log = (home.settings.home / f"{name}.txt").open("wb")
    with log, subprocess.Popen(_command(name), env=home.environment(), stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(int(_service(name)["TimeoutStopSec"]))


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - of this test
        return bool(response.status == 200)
    return False


def _is_served(workers: Mapping[str, Collection[str]]) -> bool:
    """Whether every queue has a worker, and requests have one that nights do not use."""
    return all(workers.get(name) for name in QUEUES) and len(workers[INTERACTIVE]) > 1


def test_the_units_start_a_whole_installation(sqlite_home: Installation) -> None:
    """The units serve every queue, the pages and Flower, and end when systemd stops them."""
    ports = {"web_port": free_port(), "flower_port": free_port()}
    home = Installation(sqlite_home.settings.model_copy(update=ports), sqlite_home.database)
    names = ("beat", "control", "images", "interactive", "web", "flower")
    with Processes(home.settings) as processes, ExitStack() as stack:
        processes.start_redis()
        subprocess.run(_command("migrate"), env=home.environment(), check=True)
        started = [stack.enter_context(_started(home, name)) for name in names]
        queue = open_queue(home.settings)
        pages = [f"http://127.0.0.1:{ports['web_port']}/healthz"]
        pages += [f"http://127.0.0.1:{ports['flower_port']}/healthcheck"]
        end = time.monotonic() + _PATIENCE
        while not (_is_served(queue.served()) and all(map(_answers, pages))):
            assert [name for name, each in zip(names, started, strict=True) if each.poll() is not None] == []
            assert time.monotonic() < end
            time.sleep(0.2)
    # To systemd both are a stop without a fault; the web passes the signal on to itself when it is done.
    assert {each.returncode for each in started} <= {0, -signal.SIGTERM}
    assert {_command(path.stem.removeprefix("returns-"))[1] for path in UNITS.glob("returns-*.service")} == {
        *("up", "beat", "worker", "web", "flower", "db"),
    }
