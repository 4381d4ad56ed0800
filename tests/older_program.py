"""The program as it was before its newest migrations, from the history of this repository."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from returns_pipeline.settings import PROJECT_ROOT

_MIGRATIONS = "migrations/versions"
#: What processes of a version need. The rest of a commit is many times larger.
_PARTS = ("returns_pipeline", "workers", "migrations", "beat_schedule.py")


class Program(NamedTuple):
    """The source of one version, and the module of its worker behind a gate (`tests.gated_worker`)."""

    folder: Path
    gated: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What lets Python import this version, whichever one is installed."""
        return {"PYTHONPATH": str(self.folder)}


#: This version.
PRESENT = Program(PROJECT_ROOT, "tests.gated_worker")


def older_program(folder: Path) -> Program:
    """Write the newest version with fewer migrations than this one into `folder`.

    Skips the test where there is no history: outside a clone, in a shallow one, without git. And if a newer
    migration contracts the schema, because such an upgrade needs a stop.
    """
    if shutil.which("git") is None or not (PROJECT_ROOT / ".git").exists():
        pytest.skip("there is no older version: this is not a clone, or there is no git")
    commit = _newest_with_fewer_migrations()
    if commit is None:
        pytest.skip("the history of this clone has no version with fewer migrations; it may be shallow")
    archive = folder / "older.tar"
    _git("archive", f"--output={archive}", commit, *_PARTS)
    shutil.unpack_archive(archive, folder / "older", filter="data")
    shutil.copy(PROJECT_ROOT / "tests" / "gated_worker.py", folder / "older")
    older = Program(folder / "older", "gated_worker")
    for path in (PROJECT_ROOT / _MIGRATIONS).glob("[0-9]*.py"):
        if not (older.folder / _MIGRATIONS / path.name).exists() and '"contracts"' in path.read_text("utf-8"):
            pytest.skip(f"the migration {path.stem} contracts the schema, so this upgrade needs a stop")
    return older


def _newest_with_fewer_migrations() -> str | None:
    """Return the newest commit that has some of this version's migrations, in their order, and no others."""
    present = sorted(path.name for path in (PROJECT_ROOT / _MIGRATIONS).glob("[0-9]*.py"))
    added = _git(
        "log", "--no-renames", "--diff-filter=A", "--format=%H", "--", f"{_MIGRATIONS}/{present[-1]}"
    )
    # One that is not committed yet was added by no commit.
    before = [f"{commit}^@" for commit in added] or ["HEAD"]
    for commit in _git("rev-list", *before):
        names = _git("ls-tree", "--name-only", f"{commit}:{_MIGRATIONS}")
        found = sorted(name for name in names if name[:1].isdigit())
        if found and len(found) < len(present) and found == present[: len(found)]:
            return commit
    return None


def _git(*arguments: str) -> list[str]:
    """Return the lines of git's output, or none if it fails."""
    done = subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
