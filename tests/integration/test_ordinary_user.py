"""An ordinary user without a home folder runs everything, and other users cannot read what it writes."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from returns_pipeline.settings import PROJECT_ROOT
from tests.web import free_port

_NOBODY = 65534
_SETPRIV = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
#: A developer's Python may lie in a folder of root's. This allows to read it, and to write nothing.
_READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a folder of the ordinary user's. It is not below `tmp_path`, whose parents are root's alone."""
    with tempfile.TemporaryDirectory(prefix="of-nobody-") as name:
        os.chown(name, _NOBODY, _NOBODY)
        yield Path(name)


def _run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the ordinary user, with a umask that takes no permission away."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT_ROOT),
        "HOME": "/nonexistent",
        **settings,
    }
    is_readable = subprocess.run([*_SETPRIV, "test", "-x", sys.executable], check=False).returncode == 0
    caps = () if is_readable else _READS_ALL
    return subprocess.run(
        [*_SETPRIV, *caps, sys.executable, "-m", "returns_pipeline.cli", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        umask=0,
    )


def test_the_demo_runs_and_closes_what_it_writes(place: Path) -> None:
    """The samples are classified, and nothing but the home's own folder has a bit for group or others."""
    done = _run(place, "demo")
    assert done.returncode == 0, done.stderr
    assert "301" in done.stdout
    home = place / "var" / "demo"
    written = {path: path.lstat() for path in home.rglob("*")}
    photos = {path for path in written if path.is_file() and {"archive", "quarantine"} & set(path.parts)}
    assert len(photos) == 304, "they keep the mode that they came with, in closed folders"
    modes = {path: stat.S_IMODE(found.st_mode) for path, found in written.items() if path not in photos}
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert {"returns.sqlite3", "results.csv", "report.html", "worker-cpu.log"} <= {
        path.name for path in modes
    }
    assert {found.st_uid for found in written.values()} == {_NOBODY}


@pytest.mark.parametrize(
    ("theirs", "command", "said"),
    [
        ("var", "demo", "var/demo/returns.sqlite3"),
        ("var/returns.sqlite3", "up", "var/returns.sqlite3"),
        ("var/logs", "up", "var/logs"),
    ],
)
def test_a_place_of_another_user_is_named_in_a_sentence(
    place: Path, theirs: str, command: str, said: str
) -> None:
    """A file or folder that this user may not use is named, without a traceback."""
    (place / "var").mkdir()
    os.chown(place / "var", _NOBODY, _NOBODY)
    ports = {"RETURNS_FLOWER_PORT": str(free_port()), "RETURNS_WEB_PORT": str(free_port())}
    path = place / theirs
    if path.suffix:
        path.touch()
    else:
        path.mkdir(exist_ok=True)
    os.chown(path, 0, 0)
    path.chmod(0o700 if path.is_dir() else 0o600)
    done = _run(place, command, **ports)
    assert done.returncode == 3, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr
