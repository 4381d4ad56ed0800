"""Uploads into an intake: in parts, with any failures, a file arrives whole and once, or not at all."""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from returns_pipeline.errors import ConflictError, PipelineError, RefusedError
from returns_pipeline.photos import folder_uploads
from returns_pipeline.records.access import Role
from returns_pipeline.store import fingerprints, images
from returns_pipeline.usecases.intake_uploads import Upload, add_part, arrived
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images
from tests.web import Site, site

_CONTENT = os.urandom(100_000)


def _upload(content: bytes = _CONTENT, name: str = "return 4711 ü.jpg", **others: object) -> Upload:
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload("ada", sha256, len(content), name)._replace(**others)  # type: ignore[arg-type]


def _files(home: Installation) -> list[Path]:
    """Return the files of the intake that a scan sees."""
    root = home.settings.incoming_dir
    found = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def test_a_file_in_parts_is_invisible_until_it_is_whole(sqlite_home: Installation) -> None:
    """Parts that are repeated, early or late change nothing; the last one makes the file visible."""
    context, _ = sqlite_home.in_process()
    sqlite_home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    upload = _upload(folder="monday/returns")
    assert add_part(context, upload, 0, _CONTENT[:40_000]) == (40_000, False)
    assert add_part(context, upload, 0, _CONTENT[:40_000]) == (40_000, False)
    assert add_part(context, upload, 70_000, _CONTENT[70_000:]) == (40_000, False)
    assert _files(sqlite_home) == []
    run_id = scan(context, "too early")
    assert list(images.results(sqlite_home.database, run_id)) == []
    assert arrived(context, upload) == 40_000
    assert add_part(context, upload, 40_000, _CONTENT[40_000:]) == (100_000, True)
    (path,) = _files(sqlite_home)
    assert path.read_bytes() == _CONTENT
    inside = path.relative_to(sqlite_home.settings.incoming_dir)
    assert re.fullmatch(r"uploads/\d{4}-\d\d-\d\d-ada/monday/returns/return 4711 ü\.jpg", str(inside))
    assert arrived(context, upload) == 0
    # The response to the last part was lost.
    assert add_part(context, upload, 0, _CONTENT) == (100_000, True)
    assert _files(sqlite_home) == [path]


def test_two_files_of_one_name_are_both_kept(sqlite_home: Installation) -> None:
    """No upload replaces a file, and both end in the same letters, so that a scan takes both."""
    context, _ = sqlite_home.in_process()
    sqlite_home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    contents = {os.urandom(1000) for _ in range(3)}
    for content in contents:
        assert add_part(context, _upload(content, "a.png"), 0, content).is_done
    found = _files(sqlite_home)
    assert {path.read_bytes() for path in found} == contents
    assert all(path.name.endswith("a.png") for path in found)


def test_requests_at_the_same_time_write_one_file(sqlite_home: Installation) -> None:
    """Eight clients send the same file in parts, each following the offsets: it arrives whole, once."""
    context, _ = sqlite_home.in_process()
    sqlite_home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    upload = _upload()

    def send(_: int) -> None:
        offset = 0
        for _ in range(200):
            offset, is_done = add_part(context, upload, offset, _CONTENT[offset : offset + 9000])
            if is_done:
                return
        raise AssertionError("the file never arrives")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    (path,) = _files(sqlite_home)
    assert path.read_bytes() == _CONTENT


def test_a_file_that_is_begun_anew_while_another_request_ends_is_no_conflict(tmp_path: Path) -> None:
    """A request that finds a beginning in place of the file that it has completed ends well, and keeps it."""
    root, digest = str(tmp_path), hashlib.sha256(_CONTENT).hexdigest()
    size, target = len(_CONTENT), str(tmp_path / "a.png")
    folder_uploads.add_part(root, "key", size, 0, _CONTENT)
    folder_uploads.finish(root, "key", size, digest, target)
    folder_uploads.add_part(root, "key", size, 0, _CONTENT[:9000])
    folder_uploads.finish(root, "key", size, digest, target)
    assert folder_uploads.arrived(root, "key") == 9000
    folder_uploads.add_part(root, "key", size, 9000, _CONTENT[9000:])
    folder_uploads.finish(root, "key", size, digest, target)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.png"]
    folder_uploads.add_part(root, "key", 4, 0, b"else")
    with pytest.raises(ConflictError, match="another content"):
        folder_uploads.finish(root, "key", 4, digest, target)


@pytest.mark.parametrize(
    "name",
    [".hidden.png", "photo.part", "Thumbs.db", "..", "a.tmp", "b.tmp.", "Thumbs.db ", "\u202e.part"],
)
def test_a_name_that_a_scan_skips_is_refused(sqlite_home: Installation, name: str) -> None:
    """A file that would stay in the intake for ever is refused with a sentence, as file and as folder."""
    context, _ = sqlite_home.in_process()
    sqlite_home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    for upload in (_upload(name=name), *([_upload(folder=name)] if name != ".." else [])):
        with pytest.raises(RefusedError, match="leaves out"):
            add_part(context, upload, 0, _CONTENT)
    assert _files(sqlite_home) == []


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("x/../../escape.png", "../../.."),
        ("/etc/passwd", "/etc"),
        ("a\\..\\b.png", "..\\.."),
        ("line\nbreak\x1b[31m.png", "a\nb"),
        ("ä" * 255, "ß" * 250),
        ("con:?*.png", "a//b///c"),
    ],
)
def test_no_name_leads_out_of_the_intake(sqlite_home: Installation, name: str, folder: str) -> None:
    """Whatever a client calls a file, it lands below the day's folder, under a printable name."""
    context, _ = sqlite_home.in_process()
    sqlite_home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    assert add_part(context, _upload(name=name, folder=folder), 0, _CONTENT).is_done
    (path,) = _files(sqlite_home)
    inside = str(path.relative_to(sqlite_home.settings.incoming_dir))
    assert re.match(r"uploads/\d{4}-\d\d-\d\d-ada/", inside)
    assert inside.isprintable()


def test_a_link_out_of_the_intake_is_not_followed(sqlite_home: Installation, tmp_path: Path) -> None:
    """A link in the intake, of a folder or of an unfinished upload, leads no file outside."""
    context, _ = sqlite_home.in_process()
    root = sqlite_home.settings.incoming_dir
    outside = tmp_path / "outside"
    outside.mkdir()
    root.mkdir(parents=True, exist_ok=True)
    (root / "uploads").symlink_to(outside)
    with pytest.raises(RefusedError, match="link"):
        add_part(context, _upload(), 0, _CONTENT)
    (root / "uploads").unlink()
    for partial in (root / ".returns-uploads").iterdir():
        partial.unlink()
        partial.symlink_to(outside / "new")
    with pytest.raises(PipelineError):
        add_part(context, _upload(), 0, _CONTENT)
    assert [path for path in outside.rglob("*") if path.is_file()] == []


def test_wrong_content_and_wrong_sizes_are_refused(sqlite_home: Installation) -> None:
    """A file whose content has another sha256 is removed; one that is too large never begins."""
    context, _ = sqlite_home.in_process()
    root = sqlite_home.settings.incoming_dir
    root.mkdir(parents=True, exist_ok=True)
    with pytest.raises(ConflictError):
        add_part(context, _upload(sha256="0" * 64), 0, _CONTENT)
    with pytest.raises(RefusedError, match="longer"):
        add_part(context, _upload(size=10), 0, _CONTENT)
    with pytest.raises(RefusedError, match="at most"):
        add_part(context, _upload(size=sqlite_home.settings.max_file_bytes + 1), 0, b"")
    with pytest.raises(RefusedError, match="no intake"):
        add_part(context, _upload(intake=7), 0, _CONTENT)
    assert _files(sqlite_home) == []


def test_unfinished_uploads_are_bounded(sqlite_home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most that an intake keeps a new one is refused; after a day the old ones are deleted."""
    context, _ = sqlite_home.in_process()
    root = sqlite_home.settings.incoming_dir
    root.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(folder_uploads, "MOST_ARRIVING", 3)
    for number in range(3):
        add_part(context, _upload(bytes([number]) * 10), 0, b"x")
    with pytest.raises(PipelineError, match="unfinished"):
        add_part(context, _upload(), 0, b"x")
    for partial in (root / ".returns-uploads").iterdir():
        os.utime(partial, (0, 0))
    assert add_part(context, _upload(), 0, _CONTENT[:1]).offset == 1
    assert len(list((root / ".returns-uploads").iterdir())) == 1


def test_a_photo_that_came_in_before_is_known(home: Installation) -> None:
    """After a night each photo is found by its sha256, on both databases; the newest image counts."""
    context, queue = home.in_process()
    paths = write_images(home.settings.incoming_dir, 3)
    (home.settings.incoming_dir / "broken.jpg").write_bytes(b"no picture")
    wanted = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    wanted.append(hashlib.sha256(b"no picture").hexdigest())
    kept = paths[0].read_bytes()
    assert fingerprints.known(home.database, wanted) == {}
    scan(context, "night")
    queue.deliver(context)
    found = fingerprints.known(home.database, [*wanted, "f" * 64])
    assert list(found) == wanted
    (home.settings.incoming_dir / "again.png").write_bytes(kept)
    scan(context, "another night")
    queue.deliver(context)
    newest = fingerprints.known(home.database, wanted[:1])[wanted[0]]
    assert newest.image > found[wanted[0]].image
    # The first 8 bytes alone are not enough.
    assert fingerprints.known(home.database, [wanted[0][:16] + "0" * 48]) == {}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        yield running


def test_the_interface_takes_parts_from_reviewers(here: Site) -> None:
    """A part may have 8 MiB, other requests 64 KiB; a viewer may send nothing."""
    content = os.urandom(9 * 2**20)
    sha256 = hashlib.sha256(content).hexdigest()
    address = f"/api/v1/uploads/{sha256}"
    query = {"size": len(content), "name": "large.jpg"}
    viewer = here.token_for(Role.VIEWER)
    sent = {"params": query | {"offset": 0}, "data": content[: 8 * 2**20]}
    assert here.ask("PUT", address, token=viewer, **sent).status_code == 403
    reviewer = here.token_for(Role.REVIEWER)
    assert here.ask("PUT", address, params=query | {"offset": 0}, data=content).status_code == 413
    assert here.ask("PUT", address, token=reviewer, **sent).json() == {"offset": 8 * 2**20, "done": False}
    assert here.ask("GET", address, token=reviewer).json() == {"offset": 8 * 2**20, "done": False}
    # Another person's upload of the same file is another upload.
    assert here.ask("GET", address).json() == {"offset": 0, "done": False}
    rest = {"params": query | {"offset": 8 * 2**20}, "data": content[8 * 2**20 :]}
    assert here.ask("PUT", address, token=reviewer, **rest).json() == {"offset": len(content), "done": True}
    assert here.ask("POST", "/api/v1/uploads/known", json={"sha256": [sha256]}).json() == {"known": []}
    assert here.ask("POST", "/api/v1/uploads/known", json={"sha256": ["x"]}).status_code == 422
    assert [path.read_bytes() == content for path in _files(here.home)] == [True]


def test_the_form_works_without_a_script(here: Site) -> None:
    """Several files of a form land in the intake; a hidden one is refused by name, the others stay."""
    files = [("files", (name, name.encode() * 50)) for name in ("b.png", ".hidden", "folder/c.png")]
    page = here.page("/upload", "POST", files=files, data={"intake": "0"}).text
    assert "2 photos are in the folder" in page
    assert ".hidden" in page
    names = {path.name for path in _files(here.home)}
    assert {"b.png", "c.png"} <= names
