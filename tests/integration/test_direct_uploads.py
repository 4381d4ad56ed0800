"""Photos that a client sends into the bucket of an intake itself: confirmed, or never taken by a night."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError, TransientFault
from returns_pipeline.photos.objects import arrivals
from returns_pipeline.records.access import Role
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.uploads import UploadAddress
from returns_pipeline.store import images
from returns_pipeline.usecases import direct_uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.intake_uploads import Upload
from returns_pipeline.usecases.runs import scan
from tests.objects import contents
from tests.support import Installation, write_images
from tests.web import Site, site


@pytest.fixture
def context(sqlite_home: Installation, bucket: str) -> Context:
    """Give the context of an installation whose intake is in a bucket, which signs addresses."""
    inside = {
        "incoming_dir": folder_of(f"{bucket}/in"),
        "archive_dir": folder_of(f"{bucket}/archive"),
        "quarantine_dir": folder_of(f"{bucket}/quarantine"),
        "object_links": "presigned",
    }
    home = replace(sqlite_home, settings=sqlite_home.settings.model_copy(update=inside))
    return home.in_process()[0]


def _upload(content: bytes, name: str = "a.png", who: str = "ada") -> Upload:
    return Upload(who, hashlib.sha256(content).hexdigest(), len(content), name)


def _put(address: UploadAddress | None, content: bytes) -> str:
    """Send a photo as a client does; return the ETag."""
    assert address is not None
    answer = requests.put(address.url, content, headers=dict(address.headers), timeout=30)
    assert answer.ok, answer.text
    return answer.headers["ETag"]


def _send(context: Context, upload: Upload, content: bytes) -> str:
    return _put(direct_uploads.address(context, upload), content)


def _visible(bucket: str) -> dict[str, bytes]:
    """Return what a scan of the intake sees, by the names below `uploads/DAY-PERSON`."""
    found = contents(bucket, "in")
    return {key.split("/", 3)[3]: content for key, content in found.items() if "/." not in key}


def test_a_confirmed_photo_is_classified(context: Context, bucket: str, tmp_path: Path) -> None:
    """Before it is confirmed a night takes nothing; after it the row is written and the photo is archived."""
    (path,) = write_images(tmp_path, 1)
    content = path.read_bytes()
    upload = _upload(content, path.name)
    tag = _send(context, upload, content)
    assert _visible(bucket) == {}
    assert list(images.results(context.db, scan(context, "too early"))) == []
    before = context.photos.requests()
    assert direct_uploads.confirm(context, upload, tag) == (len(content), True)
    assert context.photos.requests() - before == 6
    assert _visible(bucket) == {path.name: content}
    # The response was lost.
    assert direct_uploads.confirm(context, upload, tag).is_done
    assert _visible(bucket) == {path.name: content}
    queue: Any = context.queue
    run_id = scan(context, "night")
    queue.deliver(context)
    (image,) = images.results(context.db, run_id)
    assert (image.state, image.name) == ("classified", path.name)
    # A repetition after the night does not bring the photo back.
    assert direct_uploads.confirm(context, upload, tag).is_done
    assert _visible(bucket) == {}


def test_another_file_is_not_taken(context: Context, bucket: str) -> None:
    """Another size, another ETag, a file that never came: each is refused; one of a wrong size is deleted."""
    content = os.urandom(1000)
    upload = _upload(content)
    with pytest.raises(NotFoundError, match="not arrived"):
        direct_uploads.confirm(context, upload, "none")
    tag = _send(context, upload, content + b"more")
    with pytest.raises(ConflictError):
        direct_uploads.confirm(context, upload, tag)
    assert contents(bucket, "in") == {}
    first = _send(context, upload, content)
    second = _send(context, upload, bytes(reversed(content)))
    with pytest.raises(ConflictError):
        direct_uploads.confirm(context, upload, first)
    assert _visible(bucket) == {}
    assert direct_uploads.confirm(context, upload, second).is_done


def test_two_photos_of_one_name_are_both_kept(context: Context, bucket: str) -> None:
    """No photo replaces another: neither one that was confirmed, nor one that was not sent directly."""
    some = [os.urandom(1000) for _ in range(3)]
    for content in some:
        tag = _send(context, _upload(content), content)
        direct_uploads.confirm(context, _upload(content), tag)
    found = _visible(bucket)
    assert sorted(found.values()) == sorted(some)
    assert all(name.endswith("a.png") for name in found)


def test_a_copy_that_was_interrupted_is_finished(context: Context, bucket: str) -> None:
    """If the process ends between copy and deletion, a repetition leaves one photo."""
    content = os.urandom(1000)
    upload = _upload(content)
    tag = _send(context, upload, content)
    direct_uploads.confirm(context, upload, tag)
    tag = _send(context, upload, content)
    assert len(contents(bucket, "in/.returns-uploads/files")) == 1
    direct_uploads.confirm(context, upload, tag)
    assert _visible(bucket) == {"a.png": content}
    assert contents(bucket, "in/.returns-uploads/files") == {}


def test_limits_hold(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, sizes and the number of unfinished uploads are limited before anything is sent."""
    most = context.settings.max_file_bytes
    for upload in (
        _upload(b"a", ".hidden.png"),
        _upload(b"a", "a.part"),
        _upload(b"a")._replace(size=most + 1),
        _upload(b"a")._replace(intake=7),
    ):
        with pytest.raises(RefusedError):
            direct_uploads.address(context, upload)
    monkeypatch.setattr(arrivals, "MOST_ARRIVING", 2)
    for content in (b"first", b"second"):
        _send(context, _upload(content), content)
    with pytest.raises(TransientFault, match="unfinished"):
        direct_uploads.address(context, _upload(b"third"))


def test_what_is_no_photo_is_quarantined(context: Context) -> None:
    """The content decides, as for every file of an intake."""
    content = b"<html>no photo</html>"
    upload = _upload(content, "page.png")
    direct_uploads.confirm(context, upload, _send(context, upload, content))
    queue: Any = context.queue
    run_id = scan(context, "night")
    queue.deliver(context)
    assert [each.state for each in images.results(context.db, run_id)] == ["quarantined"]


def test_what_was_never_confirmed_is_removed_after_a_day(context: Context, bucket: str) -> None:
    """Younger ones stay, and so does every photo that was confirmed."""
    confirmed, forgotten = os.urandom(500), os.urandom(600)
    upload = _upload(confirmed, "kept.png")
    direct_uploads.confirm(context, upload, _send(context, upload, confirmed))
    _send(context, _upload(forgotten), forgotten)
    now = datetime.now(UTC).replace(minute=0) + timedelta(hours=2)
    direct_uploads.clean_up(context, now)
    assert len(contents(bucket, "in/.returns-uploads/files")) == 1
    direct_uploads.clean_up(context, now + timedelta(days=1))
    assert contents(bucket, "in/.returns-uploads") == {}
    assert _visible(bucket) == {"kept.png": confirmed}


def test_only_a_bucket_that_signs_has_addresses(context: Context, sqlite_home: Installation) -> None:
    """With RETURNS_OBJECT_LINKS=stream, and for a folder, a file travels through the web."""
    stream = context.settings.model_copy(update={"object_links": "stream"})
    folder = sqlite_home.settings.model_copy(update={"object_links": "presigned"})
    assert direct_uploads.origins(context) == [os.environ["AWS_ENDPOINT_URL"]]
    for settings in (stream, folder):
        other = replace(context, settings=settings)
        assert direct_uploads.address(other, _upload(b"a")) is None
        assert direct_uploads.origins(other) == []


@pytest.fixture
def here(tmp_path: Path, bucket: str) -> Iterator[Site]:
    """Run the web of an installation whose intake is in a bucket."""
    inside = {f"{name}_dir": f"{bucket}/{name}" for name in ("incoming", "archive", "quarantine")}
    with site(tmp_path, with_workers=False, object_links="presigned", **inside) as found:
        yield found


def test_the_interface_gives_addresses_to_reviewers(here: Site, bucket: str) -> None:
    """A reviewer sends a file to its address and confirms it; a viewer gets none; the page may send there."""
    content = os.urandom(2000)
    path = f"/api/v1/uploads/{hashlib.sha256(content).hexdigest()}"
    query = {"size": len(content), "name": "a.png", "folder": "monday", "return": "4711"}
    viewer, reviewer = here.token_for(Role.VIEWER), here.token_for(Role.REVIEWER)
    assert here.ask("POST", f"{path}/address", viewer, params=query).status_code == 403
    found = here.ask("POST", f"{path}/address", reviewer, params=query).json()
    tag = _put(UploadAddress(**found), content)
    # Another person's upload of the same file is another upload.
    assert here.ask("POST", f"{path}/confirm", params=query | {"etag": tag}).status_code == 404
    answer = here.ask("POST", f"{path}/confirm", reviewer, params=query | {"etag": tag})
    assert answer.json() == {"offset": 2000, "done": True}, answer.text
    (key,) = (key for key in contents(bucket) if "/." not in key)
    assert key.endswith("/return=4711/monday/a.png")
    policy = here.page("/upload").headers["Content-Security-Policy"]
    assert f"connect-src 'self' {os.environ['AWS_ENDPOINT_URL']};" in policy
    assert os.environ["AWS_ENDPOINT_URL"] not in here.page("/").headers["Content-Security-Policy"]
