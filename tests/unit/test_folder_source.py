"""Photos in folders: found, described, moved, written and removed."""

import os
import shutil
from pathlib import Path

import pytest

from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, TransientFault
from returns_pipeline.photos import destinations, intake_rules
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Move, PendingImage, Picture
from returns_pipeline.settings import Settings

PHOTOS = FolderSource()
SECOND_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - in memory, on every Linux


def test_the_intake_takes_files_and_nothing_else(tmp_path: Path) -> None:
    """Files of every subfolder are found once; hidden, unfinished and linked ones are skipped."""
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


def test_a_subfolder_that_is_removed_meanwhile_is_not_unreadable(tmp_path: Path) -> None:
    """Only a folder that exists and cannot be listed is reported: one that is gone holds no photo."""
    for name in ("1.png", "folder/2.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    unreadable: list[str] = []
    found = PHOTOS.find(str(tmp_path), unreadable=unreadable.append)
    assert next(found).path == str(tmp_path / "1.png")
    shutil.rmtree(tmp_path / "folder")
    assert (list(found), unreadable) == ([], [])


def test_what_network_drives_and_systems_add_is_skipped(tmp_path: Path) -> None:
    """Thumbnails, recycle bins, indexes and sidecars are skipped in any case of letters; photos are not."""
    folders = (
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "__MACOSX", ".Trashes", ".AppleDouble"),
        *("System Volume Information", "lost+found", "@EADIR"),
    )
    files = (
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        "Desktop.ini",
        "IMG_1.aae",
        "IMG_1.AAE",
        "IMG_1.jpg.xmp",
    )
    wanted = {"eaDir.jpg", "recycle.png", "lost.jpg", "xmp", "aae.jpg", "Thumbs.db.png", "IMG_[1].jpg"}
    for folder in folders:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "photo.jpg").write_bytes(b"x")
    for name in (*files, *wanted):
        (tmp_path / name).write_bytes(b"x")
    rule = intake_rules.SkipRule(Settings().skip_patterns)
    assert {Path(file.path).name for file in PHOTOS.find(str(tmp_path), rule)} == wanted
    assert rule.count == len(folders) + len(files)
    assert {Path(file.path).name for file in PHOTOS.find(str(tmp_path))} == wanted


def test_patterns_are_those_of_fnmatch_without_regard_to_case() -> None:
    """A pattern may be a name, an end, or have wildcards anywhere; hidden names stay skipped."""
    rule = intake_rules.SkipRule(("Index", "*_thumb.jpg", "[0-9]?-small*", "*.x*"))
    skipped = ("index", "A_THUMB.JPG", "_thumb.jpg", "12-Small.png", "a.xmp", ".hidden", "a.part")
    taken = ("index.jpg", "a_thumb.jpg.png", "thumb.jpg", "x2-small.png", "a.png", "Thumbs.db")
    assert [name for name in (*skipped, *taken) if rule(name)] == list(skipped)
    assert rule.count == len(skipped)


def test_a_file_is_settled_if_it_did_not_change_for_long_enough(tmp_path: Path) -> None:
    """A new copy with an old modification time has not settled; without a settling time every file has."""
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    (file,) = PHOTOS.find(str(tmp_path), with_clock=True)
    assert file.now_ns is not None
    assert not intake_rules.is_settled(file, 5)
    assert intake_rules.is_settled(file._replace(now_ns=file.now_ns + 6_000_000_000), 5)
    assert not intake_rules.is_settled(file._replace(now_ns=None), 5)
    assert intake_rules.is_settled(file, 0)


def test_a_folder_that_cannot_be_scanned_is_refused(tmp_path: Path) -> None:
    """A missing folder is a ConfigFault; one that disappears during a scan is a TransientFault."""
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
    """A second move of the same image changes nothing and reports the file as moved."""
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    request = _request(source, tmp_path / "archive" / "1" / "1-a.png")
    assert [_move(request), _move(request)] == [True, True]
    assert Path(request.destination).read_bytes() == b"picture"
    assert not source.exists()


def test_a_repeated_move_never_takes_a_newer_file(tmp_path: Path) -> None:
    """A new photo under the old name stays in the intake, and the archived one is not overwritten."""
    source = tmp_path / "a.png"
    source.write_bytes(b"picture")
    request = _request(source, tmp_path / "archive" / "1-a.png")
    _move(request)
    source.write_bytes(b"tomorrow's picture")
    assert _move(request)
    assert source.read_bytes() == b"tomorrow's picture"
    assert Path(request.destination).read_bytes() == b"picture"


def test_a_file_that_is_gone_or_replaced_is_not_archived(tmp_path: Path) -> None:
    """Only the file that was classified is moved; if it is gone or was replaced, nothing is moved."""
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
    """The file is copied, then removed; a copy that was interrupted before the removal is finished."""
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


def test_every_destination_is_inside_its_root_and_has_at_most_255_bytes(tmp_path: Path) -> None:
    """No name leads out of the folder, and the longest name still fits with the image's id."""
    folder = destinations.destination_folder(str(tmp_path), 7, 12)
    for name in ("a.png", "..", "-rf", "x" * 251 + ".png", "caf\udce9.png"):
        path = Path(destinations.destination(folder, 345, f"/intake/{name}"))
        assert path.parent == tmp_path / "run-7" / "12"
        assert len(os.fsencode(path.name)) <= 255
        assert path.name.startswith("345-")
        assert path.suffix == Path(name).suffix


def test_an_identity_changes_with_the_content(tmp_path: Path) -> None:
    """A file is unchanged until it is written again, replaced or removed; one that never existed has none."""
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    found = PHOTOS.describe(str(path))
    assert list(PHOTOS.find(str(tmp_path))) == [found]
    assert PHOTOS.unchanged([found]) == [True]
    os.utime(path, ns=(0, found.mtime_ns + 1))
    assert PHOTOS.unchanged([found]) == [False]
    os.utime(path, ns=(0, found.mtime_ns))
    assert PHOTOS.unchanged([found]) == [True]
    path.write_bytes(b"larger picture")
    os.utime(path, ns=(0, found.mtime_ns))
    assert PHOTOS.unchanged([found]) == [False]
    path.unlink()
    assert PHOTOS.unchanged([found]) == [False]
    for missing in (path, tmp_path):
        assert PHOTOS.describe(str(missing)).identity == ""


def test_what_is_put_can_be_read_and_removed(tmp_path: Path) -> None:
    """`put_all` creates the folder and returns photos as `find` does; `remove` may be repeated."""
    spool = tmp_path / "spool"
    (found,) = PHOTOS.put_all(str(spool), [("a.png", b"picture")])
    assert list(PHOTOS.find(str(tmp_path))) == [found]
    image = PendingImage(1, found.path, found.size, found.identity)
    assert PHOTOS.read(image, found.size) == b"picture"
    PHOTOS.remove(found.path)
    PHOTOS.remove(found.path)
    assert list(PHOTOS.find(str(tmp_path))) == []
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransientFault, match="cannot be written"):
        PHOTOS.put_all(str(tmp_path / "file"), [("a.png", b"picture")])


def test_photos_are_put_all_or_none(tmp_path: Path) -> None:
    """If one photo cannot be written, those before it are deleted."""
    with pytest.raises(TransientFault, match="cannot be written"):
        PHOTOS.put_all(str(tmp_path), [("a.png", b"picture"), ("missing/b.png", b"picture")])
    assert list(tmp_path.iterdir()) == []


def test_a_classified_photo_is_read_from_a_file_system_with_coarse_times(tmp_path: Path) -> None:
    """After a move only the size is compared: the modification time may differ, another size is a fault."""
    path = tmp_path / "a.png"
    path.write_bytes(b"picture")
    os.utime(path, (0, 0))
    assert PHOTOS.read_classified(Picture(str(path), 7, None, None), 100) == b"picture"
    for place, size, code in ((path, 8, FaultCode.CHANGED), (tmp_path / "b.png", 7, FaultCode.VANISHED)):
        with pytest.raises(ImageFault) as caught:
            PHOTOS.read_classified(Picture(str(place), size, None, None), 100)
        assert caught.value.code == code
