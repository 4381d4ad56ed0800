"""A limit on the processor time of a process and its children: a cgroup of version 2 or of version 1."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

_PERIOD_US = 100_000
_ROOT = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(cores: float) -> Iterator[Path]:
    """Yield the file to which a process writes its id, to get at most so many `cores`.

    It goes before all other programs of the machine, so that it gets them. Raises OSError where this user may
    not make a group.
    """
    is_version_2 = (_ROOT / "cgroup.controllers").exists()
    group = (_ROOT if is_version_2 else _ROOT / "cpu") / f"returns-bench-{uuid.uuid4().hex[:8]}"
    quota = round(cores * _PERIOD_US)
    if is_version_2:
        (_ROOT / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
    group.mkdir()
    try:
        if is_version_2:
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}", encoding="ascii")
            (group / "cpu.weight").write_text("10000", encoding="ascii")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US), encoding="ascii")
            (group / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
            (group / "cpu.shares").write_text("262144", encoding="ascii")
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
