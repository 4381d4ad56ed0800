"""When a photo has settled: by its file server's clock or by two looks, never by this machine's clock."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from returns_pipeline.photos import folder_clocks, settling
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.intake_rules import SkipRule, is_skipped
from returns_pipeline.photos.settling import Settling
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.runs import LeftBehind

#: Seconds of settling, long enough for a look at every file of a test.
_SETTLE = 0.2
_HOUR_NS = 3600 * 10**9


class _ServerFolder(FolderSource):
    """A folder on a file server whose clock differs, or whose clock cannot be read."""

    def __init__(self, ahead_ns: int, *, has_clock: bool = True) -> None:
        self._ahead_ns, self._has_clock = ahead_ns, has_clock

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,
        with_clock: bool = False,
    ) -> Iterator[FoundFile]:
        for file in super().find(root, is_skipped, unreadable=unreadable, with_clock=with_clock):
            yield self._shifted(file)

    def describe(self, place: str) -> FoundFile:
        return self._shifted(super().describe(place))

    def _shifted(self, file: FoundFile) -> FoundFile:
        now_ns = file.now_ns + self._ahead_ns if self._has_clock and file.now_ns is not None else None
        return file._replace(changed_ns=file.changed_ns + self._ahead_ns, now_ns=now_ns)


def _scan(
    root: Path, source: FolderSource, seconds: float = _SETTLE
) -> tuple[set[str], set[str], LeftBehind]:
    """Return the names that were old, those that settled meanwhile, and what was left."""
    found = Settling(source, str(root), SkipRule(()), seconds)
    old = {Path(file.path).name for file in found.old()}
    return old, {Path(file.path).name for file in found.young()}, found.left


@pytest.mark.parametrize("ahead", [_HOUR_NS, -_HOUR_NS, 0], ids=["ahead", "behind", "right"])
@pytest.mark.parametrize("has_clock", [True, False])
def test_a_file_servers_clock_hides_no_file_and_passes_none_too_early(
    tmp_path: Path, ahead: int, has_clock: bool
) -> None:
    """Old files are taken without a wait if the clock can be read; new ones are looked at twice."""
    (tmp_path / "old.png").write_bytes(b"x")
    time.sleep(_SETTLE + 0.1)
    (tmp_path / "new.png").write_bytes(b"x")
    old, young, left = _scan(tmp_path, _ServerFolder(ahead, has_clock=has_clock))
    assert old == ({"old.png"} if has_clock else set())
    assert old | young == {"old.png", "new.png"}
    assert left == LeftBehind()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.png", "old.png"]


def test_content_that_grows_inside_its_reserved_size_is_still_changing(tmp_path: Path) -> None:
    """A file of full size whose content is still being written is left and counted; a whole one is taken."""
    (tmp_path / "whole.png").write_bytes(b"x")
    descriptor = os.open(tmp_path / "reserved.jpg", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(descriptor, 0, 1_000_000)
    ended = threading.Event()

    def write() -> None:
        position = 0
        while not ended.wait(_SETTLE / 8):
            position += os.pwrite(descriptor, b"content", position)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        old, young, left = _scan(tmp_path, FolderSource())
    finally:
        ended.set()
        writer.join()
        os.close(descriptor)
    assert (old, young, left) == (set(), {"whole.png"}, LeftBehind(still_changing=1))


def test_only_allocated_space_that_grows_is_a_change_too(tmp_path: Path) -> None:
    """A server that sets times only when a file is closed shows a growing file by its blocks."""
    (tmp_path / "a.jpg").write_bytes(b"x")

    class Lazy(FolderSource):
        looks = 0

        def describe(self, place: str) -> FoundFile:
            self.looks += 1
            return super().describe(place)._replace(blocks=1000 + self.looks)

    assert _scan(tmp_path, Lazy(), 0.05) == (set(), set(), LeftBehind(still_changing=1))


def test_a_copy_that_ends_between_two_looks_is_taken(tmp_path: Path) -> None:
    """The third look sees the same file as the second."""
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    timer = threading.Timer(_SETTLE / 2, lambda: path.write_bytes(b"complete"))
    timer.start()
    old, young, left = _scan(tmp_path, FolderSource())
    timer.join()
    assert (old, young, left) == (set(), {"a.png"}, LeftBehind())


def test_a_file_that_is_removed_while_it_settles_is_not_counted(tmp_path: Path) -> None:
    """Neither is one that is replaced by a link."""
    for name in ("gone.png", "link.png"):
        (tmp_path / name).write_bytes(b"x")
    found = Settling(FolderSource(), str(tmp_path), SkipRule(()), 0.05)
    assert list(found.old()) == []
    (tmp_path / "gone.png").unlink()
    (tmp_path / "link.png").unlink()
    (tmp_path / "link.png").symlink_to(__file__)
    assert list(found.young()) == []
    assert found.left == LeftBehind()


def test_very_many_young_files_need_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the list of waiting files is full, the scan waits for the first of them."""
    monkeypatch.setattr(settling, "_MOST_WAITING", 3)
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    old, young, _ = _scan(tmp_path, FolderSource(), 0.05)
    assert (len(old), len(young)) == (7, 3)


def test_a_folder_that_takes_no_file_has_no_known_clock(tmp_path: Path) -> None:
    """Its files are looked at twice. A probe that another process left does no harm and does not stay."""
    assert folder_clocks.read_clock(str(tmp_path / "none")) is None
    (tmp_path / ".returns-clock").write_bytes(b"left")
    now_ns = folder_clocks.read_clock(str(tmp_path))
    assert now_ns is not None
    assert abs(now_ns - time.time_ns()) < 60 * 10**9
    assert list(tmp_path.iterdir()) == []
