"""What happened to a file: its original is the very file that came in, and its page says where it is."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.errors import FaultCode
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import FilePlace, Filter
from returns_pipeline.records.reviews import Event
from returns_pipeline.report import words
from returns_pipeline.store import browsing, image_files, image_history
from returns_pipeline.store.browsing import Order
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images
from tests.web import Site, site

_ODD = 'back ü "left"\\;%41.jpg'


def _jpeg(size: tuple[int, int] = (900, 1200)) -> bytes:
    """Return a photo, red above and blue below, that holds something like a page in its comment."""
    image = Image.new("RGB", size, "blue")
    image.paste((255, 0, 0), (0, 0, size[0], size[1] // 2))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95, comment=b"<html><script>alert(1)</script>")
    return stream.getvalue() + os.urandom(5000)


def _classify(home: Installation, request: str) -> int:
    context, queue = home.in_process()
    run_id = scan(context, request)
    queue.deliver(context)
    return run_id


def _ids(home: Installation, run_id: int) -> dict[str, int]:
    found, _ = browsing.page(home.database, Filter(run_id=run_id), Order.ID, None, 100)
    return {image.name: image.id for image in found}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web of an installation whose photos this process has classified."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        yield running


@pytest.fixture(scope="module")
def sent(here: Site) -> dict[str, bytes]:
    """Give the files of a night by their names."""
    whole = _jpeg()
    files = {
        "photo.jpg": whole,
        _ODD: _jpeg((90, 120)),
        "cut.jpg": whole[: whole.rindex(b"\xff\xd9") * 3 // 4],
        "page.jpg": b"<html><script>alert(1)</script></html>",
        "empty.png": b"",
    }
    folder = here.home.settings.incoming_dir / "monday"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


@pytest.fixture(scope="module")
def ids(here: Site, sent: dict[str, bytes]) -> dict[str, int]:
    """Give the image of each file."""
    assert sent
    return _ids(here.home, _classify(here.home, "night"))


def _address(image_id: int) -> str:
    return f"/api/v1/images/{image_id}/original"


def _place(here: Site, image_id: int) -> Path:
    found = image_files.find(here.home.database, image_id)
    assert found is not None
    return Path(found.path)


def test_every_original_comes_back_as_it_came_in(
    here: Site, sent: dict[str, bytes], ids: dict[str, int]
) -> None:
    """Usable or not, a file is sent byte for byte, to be saved under its name and never to be run."""
    for name, content in sent.items():
        got = here.ask("GET", _address(ids[name]), headers={"Accept-Encoding": "identity"})
        assert (got.status_code, got.content) == (200, content), name
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        disposition = got.headers["Content-Disposition"]
        plain, _, extended = disposition.partition("; filename*=UTF-8''")
        assert plain.startswith('attachment; filename="')
        assert plain.count('"') == 2
        assert "\\" not in plain
        assert unquote(extended) == name
    assert here.ask("GET", _address(ids["photo.jpg"])).headers["Content-Type"] == "image/jpeg"
    for name in ("page.jpg", "empty.png"):
        shown = here.ask("GET", f"{_address(ids[name])}?inline=1")
        assert shown.headers["Content-Type"] == "application/octet-stream"
        assert shown.headers["Content-Disposition"].startswith("attachment")
    shown = here.ask("GET", f"{_address(ids['photo.jpg'])}?inline=1")
    assert (shown.headers["Content-Type"], shown.headers["Content-Disposition"]) == ("image/jpeg", "inline")


def test_viewers_see_photos_but_no_originals(here: Site, ids: dict[str, int]) -> None:
    """An original may say where and by whom it was taken: it is for reviewers."""
    for role, status in ((Role.VIEWER, 403), (Role.REVIEWER, 200)):
        token = here.token_for(role)
        assert here.ask("GET", _address(ids["photo.jpg"]), token=token).status_code == status
    assert here.ask("GET", _address(10**6)).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-100", 206, slice(-100, None)),
        ("bytes=5-99999999999", 206, slice(5, None)),
        ("bytes=-99999999999", 206, slice(0, None)),
        ("bytes=99999999999-", 416, slice(0, 0)),
        ("bytes=-0", 416, slice(0, 0)),
        ("bytes=9-3", 200, slice(0, None)),
        ("bytes=0-1,4-5", 200, slice(0, None)),
        ("bytes=-", 200, slice(0, None)),
        ("pages=1-2", 200, slice(0, None)),
        (f"bytes={'9' * 5000}-", 200, slice(0, None)),
    ],
)
def test_a_range_is_that_part_of_the_file(
    here: Site, sent: dict[str, bytes], ids: dict[str, int], wanted: str, status: int, part: slice
) -> None:
    """A download can go on where it broke off; a range that is not understood is ignored (RFC 9110)."""
    whole = sent["photo.jpg"]
    got = here.ask("GET", _address(ids["photo.jpg"]), headers={"Range": wanted})
    assert (got.status_code, got.content) == (status, whole[part])
    if status == 206:
        begin, end, _ = part.indices(len(whole))
        assert got.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(whole)}"


def test_a_range_of_another_version_is_not_sent(here: Site, ids: dict[str, int]) -> None:
    """`If-Range` and `If-None-Match` compare the file's own tag."""
    address = _address(ids["photo.jpg"])
    tag = here.ask("GET", address).headers["ETag"]
    for given, status in ((tag, 206), ('"other"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": given}
        assert here.ask("GET", address, headers=headers).status_code == status
    assert here.ask("GET", address, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("by", ["same size and time", "other time", "link", "pipe", "folder", "nothing"])
def test_another_file_is_never_sent(here: Site, by: str) -> None:
    """Whatever lies in the place of a photo by now is refused, and the page says that the photo is gone."""
    secret = here.home.settings.home / "web-token"
    name = f"replaced by {by}.png"
    write_images(here.home.settings.incoming_dir, 1, start=700)[0].rename(
        here.home.settings.incoming_dir / name
    )
    image_id = _ids(here.home, _classify(here.home, by))[name]
    assert here.ask("GET", _address(image_id)).status_code == 200
    place = _place(here, image_id)
    before = place.stat()
    place.unlink()
    if by in {"same size and time", "other time"}:
        place.write_bytes(bytes(before.st_size))
        shift = 0 if by == "same size and time" else 10**10
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns + shift))
    elif by == "link":
        place.symlink_to(secret)
    elif by == "pipe":
        os.mkfifo(place)
    elif by == "folder":
        place.mkdir()
    got = here.ask("GET", _address(image_id))
    assert got.status_code == (404 if by == "nothing" else 409), got.text
    assert set(got.json()) == {"error", "advice"}
    assert str(here.home.settings.home) not in got.text
    if by in {"nothing", "pipe", "folder"}:
        assert "gone: it was in the archive" in here.page(f"/images/{image_id}").text


def test_a_damaged_photo_is_shown_as_far_as_it_can_be_read(here: Site, ids: dict[str, int]) -> None:
    """The upper part of a photo that was cut off is drawn in the limited process; other content is not."""
    got = here.ask("GET", f"/api/v1/images/{ids['cut.jpg']}/thumbnail?size=256")
    assert "X-Placeholder" not in got.headers
    pixels = np.asarray(Image.open(io.BytesIO(got.content)).convert("RGB")).astype(int)
    assert pixels.shape[0] == 256
    red, green, blue = pixels[10, 10]
    assert red > 200
    assert green + blue < 100
    for name in ("page.jpg", "empty.png"):
        assert here.ask("GET", f"/api/v1/images/{ids[name]}/thumbnail").headers["X-Placeholder"] == "1"


def test_the_page_tells_a_viewer_everything_but_the_servers_folders(here: Site, ids: dict[str, int]) -> None:
    """Where a file came from is seen from its intake; why it is unusable and what to do are sentences."""
    token = here.token_for(Role.VIEWER)
    for name, image_id in ids.items():
        text = here.page(f"/images/{image_id}", token=token).text
        assert "incoming / monday" in text
        assert str(here.home.settings.home) not in text
        assert "Download the original" not in text
        is_usable = name in {"photo.jpg", _ODD}
        assert ("What to do:" in text) is not is_usable
        assert (">in the archive<" in text) is is_usable
        assert ("moved to quarantine" in text) is not is_usable
    assert image_files.find(here.home.database, ids["page.jpg"]) is not None
    steps = [event.what for event in image_history.history(here.home.database, ids["photo.jpg"])]
    assert steps == ["received", "predicted", "finished", "moved"]


def test_a_photo_that_may_not_be_read_is_known_by_its_size_only(here: Site, ids: dict[str, int]) -> None:
    """The fingerprint of every file that was read is stored, whether or not it is a photo."""
    found = {name: image_files.find(here.home.database, image_id) for name, image_id in ids.items()}
    assert all(
        file is not None and file.place in {FilePlace.ARCHIVE, FilePlace.QUARANTINE}
        for file in found.values()
    )
    known = {name for name, file in found.items() if file and file.sha256}
    assert known == set(found) - {"empty.png"}


def test_before_and_after_are_those_of_the_list(home: Installation) -> None:
    """From each image of each list, in either order, `after` leads to the next one and `before` back."""
    write_images(home.settings.incoming_dir, 12)
    (home.settings.incoming_dir / "broken.png").write_bytes(b"no picture")
    run_id = _classify(home, "night")
    write_images(home.settings.incoming_dir, 2, start=50)
    _classify(home, "another")
    for order in browsing.REVERSED:
        for wanted in (
            Filter(run_id=run_id),
            Filter(run_id=run_id, label="white"),
            Filter(run_id=run_id, code="x"),
        ):
            found, _ = browsing.page(home.database, wanted, order, None, 100)
            for number, image in enumerate(found):
                before, after = browsing.neighbours(home.database, wanted, order, image)
                assert before == (found[number - 1].id if number else None)
                assert after == (found[number + 1].id if number + 1 < len(found) else None)


def test_every_fault_has_words_for_people() -> None:
    """A sentence and a next step, without the names of settings and commands."""
    for code in FaultCode:
        for text in words.unusable(code):
            assert text.endswith(".")
            assert "_" not in text
    assert words.unusable("of_tomorrow")[0] == "of_tomorrow"
    assert words.step(Event(utc_now(), "moved", "", "archive")) == "The file was moved to the archive."
    assert words.step(Event(utc_now(), "of_tomorrow", "", "")) == "of_tomorrow"
