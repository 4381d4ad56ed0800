"""What the intake takes and leaves, and how files are moved."""

import os
import shutil
import time
from pathlib import Path

import pytest

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.photos import destinations, intake_rules
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Move

PHOTOS = FolderSource()
SECOND_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - in memory, on every Linux


def test_the_intake_takes_files_and_nothing_else(tmp_path: Path) -> None:
    """Files of every subfolder are found once; hidden, unfinished and linked ones are left alone."""
    inside = tmp_path / "intake"
    outside = tmp_path / "outside"
    for folder in (inside / "a" / "b", inside / ".hidden", outside):
        folder.mkdir(parents=True)
    wanted = {inside / "1.png", inside / "a" / "2", inside / "a" / "b" / "3.JPG"}
    unwanted = {inside / ".4.png", inside / "5.png.part", inside / "6.TMP", inside / ".hidden" / "7.png"}
    for path in {*wanted, *unwanted, outside / "8.png"}:
        path.write_bytes(b"x")
    (inside / "link.png").symlink_to(outside / "8.png")
    (inside / "out").symlink_to(outside)
    (inside / "a" / "circle").symlink_to(inside)
    found = list(PHOTOS.find(str(inside)))
    assert {Path(file.path) for file in found} == wanted
    assert len(found) == len(wanted)
    assert all(file.size == 1 for file in found)


def test_a_file_is_settled_when_nothing_changed_for_long_enough(tmp_path: Path) -> None:
    """A copy that keeps the old date is as new as it is; without a settling time everything is settled."""
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    file = PHOTOS.describe(str(path))
    now = time.time_ns()
    assert not intake_rules.is_settled(file, now, 5)
    assert intake_rules.is_settled(file, now + 6_000_000_000, 5)
    assert intake_rules.is_settled(file, now, 0)


def test_a_folder_that_cannot_be_scanned_is_refused(tmp_path: Path) -> None:
    """A missing folder is the operator's fault; one that goes away is the world's."""
    with pytest.raises(ConfigFault, match="does not exist"):
        PHOTOS.require_folder(str(tmp_path / "none"))
    with pytest.raises(TransientFault, match="cannot be listed"):
        list(PHOTOS.find(str(tmp_path / "none")))


def _request(source: Path, destination: Path) -> Move:
    return Move(1, str(source), str(destination), PHOTOS.describe(str(source)).identity)


def _move(request: Move) -> bool:
    """Move one file as a chunk's are; return whether it is at its destination."""
    return PHOTOS.move([request], lambda: None) == []


def test_a_move_may_be_repeated(tmp_path: Path) -> None:
    """A second move of the same image changes nothing and says that the file is there."""
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    request = _request(source, tmp_path / "archive" / "1" / "1-a.png")
    assert [_move(request), _move(request)] == [True, True]
    assert Path(request.destination).read_bytes() == b"picture"
    assert not source.exists()


def test_a_repeated_move_never_takes_a_newer_file(tmp_path: Path) -> None:
    """A new picture under the old name stays in the intake, and the archived one is not overwritten."""
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    request = _request(source, tmp_path / "archive" / "1-a.png")
    _move(request)
    source.write_bytes(b"tomorrow's picture")
    assert _move(request)
    assert source.read_bytes() == b"tomorrow's picture"
    assert Path(request.destination).read_bytes() == b"picture"


def test_a_file_that_is_gone_or_replaced_is_not_archived(tmp_path: Path) -> None:
    """Only the file that was classified is moved: neither nothing nor its successor."""
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    request = _request(source, tmp_path / "archive" / "1-a.png")
    source.write_bytes(b"another picture")
    assert not _move(request)
    source.unlink()
    assert not _move(request)
    assert not Path(request.destination).exists()


@pytest.mark.skipif(not SECOND_FILE_SYSTEM.is_dir(), reason="needs a second file system")
def test_a_move_across_file_systems_leaves_one_whole_file(tmp_path: Path) -> None:
    """Copied, then removed; a copy that was cut short before the removal is finished."""
    other = SECOND_FILE_SYSTEM / f"returns-{os.getpid()}"
    try:
        source = tmp_path / "a.png"
        source.write_bytes(b"picture")
        request = _request(source, other / "1-a.png")
        assert _move(request)
        shutil.copy2(request.destination, source)
        assert _move(request)
        assert not source.exists()
        assert [path.name for path in other.iterdir()] == ["1-a.png"]
    finally:
        shutil.rmtree(other, ignore_errors=True)


def test_every_destination_is_inside_its_root_and_short_enough(tmp_path: Path) -> None:
    """No name leads out of the folder, and the longest name still fits with its number."""
    folder = destinations.destination_folder(str(tmp_path), 7, 12)
    for name in ("a.png", "..", "-rf", "x" * 251 + ".png", "caf\udce9.png"):
        path = Path(destinations.destination(folder, 345, f"/intake/{name}"))
        assert path.parent == tmp_path / "run-7" / "12"
        assert len(os.fsencode(path.name)) <= 255
        assert path.name.startswith("345-")
        assert path.suffix == Path(name).suffix
