"""Moves by several processes: whichever stalls, dies or is overtaken, no photo is lost or replaced."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos import folder_moves, folder_renames, intake_rules
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Move

SECOND_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - in memory, on every Linux
FIRST, SECOND = b"the first photo", b"the second photo, under the same name"
#: Every call of a move that changes or checks a file.
_CALLS = (
    *((os, name) for name in ("rename", "link", "unlink", "lstat")),
    (shutil, "copy2"),
    (folder_renames, "_rename_no_replace"),
)


class _KilledError(BaseException):
    """Ends a process between two calls: no error handler of the program runs."""


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "not supported")


@pytest.fixture(params=["renameat2", "links", "neither"])
def ability(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Limit how a file can be renamed without replacing another, as some kernels and file systems do."""
    if request.param != "renameat2":
        monkeypatch.setattr(folder_renames, "_renameat2", None)
    if request.param == "neither":
        monkeypatch.setattr(os, "link", _refuse)
    return str(request.param)


@pytest.fixture(params=["one file system", "two file systems"])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Return an intake and an archive."""
    if request.param == "one file system":
        yield tmp_path / "intake", tmp_path / "archive"
        return
    if not SECOND_FILE_SYSTEM.is_dir():
        pytest.skip("needs a second file system")
    other = SECOND_FILE_SYSTEM / f"returns-moves-{os.getpid()}"
    try:
        yield tmp_path / "intake", other
    finally:
        shutil.rmtree(other, ignore_errors=True)


def _interrupt(monkeypatch: pytest.MonkeyPatch, number: int, event: Callable[[], None]) -> list[int]:
    """Call `event` before the call with this number, from 1; return a list that grows with every call."""
    made: list[int] = []
    inside: list[bool] = []

    def wrapped(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if not inside:
                made.append(1)
                if len(made) == number:
                    inside.append(True)
                    try:
                        event()
                    finally:
                        inside.clear()
            return function(*arguments, **named)

        return call

    for module, name in _CALLS:
        monkeypatch.setattr(module, name, wrapped(getattr(module, name)))
    return made


def _new_night(folders: tuple[Path, Path], number: int) -> Move:
    """Put the first photo in an empty intake; return its move to the archive."""
    intake, archive = (folder / str(number) for folder in folders)
    intake.mkdir(parents=True)
    (intake / "a.png").write_bytes(FIRST)
    found = FolderSource().describe(str(intake / "a.png"))
    return Move(1, found.path, str(archive / "1-a.png"), found.identity)


def _folders(request: Move) -> tuple[str, str]:
    """Return the folders of the move's source and destination."""
    return request.source.rpartition("/")[0], request.destination.rpartition("/")[0]


def _contents(*folders: str) -> list[bytes]:
    paths = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return sorted(path.read_bytes() for path in paths)


def _check(request: Move) -> None:
    """Assert that the first photo is in the archive alone, and that a scan finds the second alone."""
    intake, archive = _folders(request)
    assert Path(request.destination).read_bytes() == FIRST
    assert _contents(archive) == [FIRST]
    assert [Path(file.path).read_bytes() for file in FolderSource().find(intake)] == [SECOND]
    assert _contents(intake) == [SECOND]


@pytest.mark.usefixtures("ability")
def test_a_process_that_stalls_anywhere_replaces_nothing(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any call, another process may archive the photo, and a new one arrive: both photos remain.

    A photo archived by the other process is never replaced, and the new one stays in the intake.
    """
    for number in range(1, 100):
        request = _new_night(folders, number)

        def overtake(request: Move = request) -> None:
            folder_moves.move_all([request], lambda: None)
            if not os.path.lexists(request.source):
                Path(request.source).write_bytes(SECOND)

        with monkeypatch.context() as patches:
            made = _interrupt(patches, number, overtake)
            folder_moves.move_all([request], lambda: None)
        if len(made) < number:
            assert number > 2
            return
        folder_moves.move_all([request], lambda: None)
        if not os.path.lexists(request.source) and SECOND not in _contents(_folders(request)[0]):
            Path(request.source).write_bytes(SECOND)
        _check(request)
    pytest.fail("a move does not end")


@pytest.mark.usefixtures("ability")
def test_a_photo_that_is_replaced_while_it_moves_is_not_archived_under_another_result(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new photo that replaces the classified one before any call is found again by a scan."""
    for number in range(1, 100):
        request = _new_night(folders, number)

        def replace(request: Move = request) -> None:
            if os.path.lexists(request.source):
                new = Path(f"{request.source}.part")
                new.write_bytes(SECOND)
                new.replace(request.source)

        with monkeypatch.context() as patches:
            made = _interrupt(patches, number, replace)
            gone = folder_moves.move_all([request], lambda: None)
        if len(made) < number:
            return
        assert folder_moves.move_all([request], lambda: None) == gone
        intake, archive = _folders(request)
        found = [Path(file.path).read_bytes() for file in FolderSource().find(intake)]
        # The destination exists exactly if the move says so, and never holds the new photo.
        assert (_contents(archive), found) in (([], [SECOND]), ([FIRST], [SECOND]), ([FIRST], []))
        assert gone == ([] if Path(request.destination).exists() else [1])
    pytest.fail("a move does not end")


@pytest.mark.usefixtures("ability")
def test_a_process_that_dies_anywhere_leaves_a_move_that_can_be_finished(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a death before any call, the next attempt archives the photo; the intake holds nothing then.

    Until then, a scan may find the photo itself, but no copy under another name.
    """

    def die() -> None:
        raise _KilledError

    for number in range(1, 100):
        request = _new_night(folders, number)
        with monkeypatch.context() as patches:
            made = _interrupt(patches, number, die)
            with contextlib.suppress(_KilledError):
                folder_moves.move_all([request], lambda: None)
        if len(made) < number:
            return
        intake, archive = _folders(request)
        assert [file.path for file in FolderSource().find(intake)] in ([], [request.source])
        assert folder_moves.move_all([request], lambda: None) == []
        assert Path(request.destination).read_bytes() == FIRST
        assert _contents(intake) == []
        assert set(_contents(archive)) == {FIRST}
    pytest.fail("a move does not end")


@pytest.mark.usefixtures("ability")
def test_a_newer_photo_that_a_dead_process_hid_is_found_again(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stalls before any call while a new photo arrives, and dies before any later call."""

    def die() -> None:
        raise _KilledError

    for stall in range(1, 12):
        for death in range(1, 8):
            request = _new_night(folders, 100 * stall + death)

            def overtake(request: Move = request, death: int = death) -> None:
                folder_moves.move_all([request], lambda: None)
                if not os.path.lexists(request.source):
                    Path(request.source).write_bytes(SECOND)
                _interrupt(patches, death, die)

            with monkeypatch.context() as patches:
                _interrupt(patches, stall, overtake)
                with contextlib.suppress(_KilledError):
                    folder_moves.move_all([request], lambda: None)
            folder_moves.move_all([request], lambda: None)
            if not os.path.lexists(request.source) and SECOND not in _contents(_folders(request)[0]):
                Path(request.source).write_bytes(SECOND)
            intake, archive = _folders(request)
            assert Path(request.destination).read_bytes() == FIRST
            assert set(_contents(archive)) == {FIRST}
            assert [Path(file.path).read_bytes() for file in FolderSource().find(intake)] == [SECOND]
            assert _contents(intake) == [SECOND]


def test_a_photo_that_stays_hidden_is_shown_by_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no attempt follows, a scan gives the photo its name back; before that time it leaves it alone."""
    hidden = tmp_path / f"{folder_renames.TAKEN}7-{'0' * 16}-a-b.png"
    hidden.write_bytes(FIRST)
    source, rule = FolderSource(), intake_rules.SkipRule(())
    assert list(source.find(str(tmp_path), rule, with_clock=True)) == []
    assert hidden.exists()
    monkeypatch.setattr(folder_renames, "ABANDONED_NS", -1)
    assert list(source.find(str(tmp_path), rule)) == []
    assert list(source.find(str(tmp_path), rule, with_clock=True)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a-b.png"]
    assert rule.count == 0


@pytest.mark.usefixtures("ability")
def test_a_file_that_does_not_belong_at_the_destination_is_never_replaced(
    folders: tuple[Path, Path],
) -> None:
    """Another installation's file at the destination is a ConfigFault; both files remain."""
    request = _new_night(folders, 1)
    Path(request.destination).parent.mkdir(parents=True)
    Path(request.destination).write_bytes(SECOND)
    for is_free in (False, True):
        with pytest.raises(ConfigFault, match="another file"):
            folder_moves.move(request, is_free=is_free)
        assert Path(request.source).read_bytes() == FIRST
        assert Path(request.destination).read_bytes() == SECOND


def test_the_longest_name_has_an_unused_name_beside_it(tmp_path: Path) -> None:
    """A file that is put back beside its place has at most 255 bytes and keeps its suffix."""
    for name in ("a.png", "x" * 251 + ".png", "caf\udce9.png"):
        beside = Path(folder_renames.unique_beside(f"{tmp_path}/{name}"))
        beside.write_bytes(b"x")
        assert beside.suffix == ".png"
        assert beside.parent == tmp_path
