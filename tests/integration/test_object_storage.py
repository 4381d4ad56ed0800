"""Photos in an object store, against a real S3 server over HTTP: the promises are those of folders."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.photos.objects import moves
from returns_pipeline.photos.objects.stores import store_of
from returns_pipeline.photos.source import ImmovableFault
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.images import Move
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.removal import StoredFile
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import browsing, images, runs
from returns_pipeline.usecases import intake_uploads
from returns_pipeline.usecases.runs import scan
from tests.objects import contents, new_bucket, use
from tests.s3_proxy import Faults, proxy
from tests.support import Installation, states, write_images

if TYPE_CHECKING:
    from obstore import ObjectMeta

PHOTOS = Sources()


def _installed(home: Installation, **places: str) -> Installation:
    folders = {name: folder_of(place) for name, place in places.items()}
    return replace(home, settings=home.settings.model_copy(update=folders))


def _in_bucket(home: Installation, bucket: str) -> Installation:
    return _installed(
        home,
        incoming_dir=f"{bucket}/in",
        archive_dir=f"{bucket}/archive",
        quarantine_dir=f"{bucket}/quarantine",
    )


def _put(bucket: str, key: str, content: bytes) -> None:
    obstore.put(store_of(bucket), key, content)


def _photos(folder: Path, count: int, start: int = 0) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in write_images(folder, count, start)}


def _night(home: Installation, request: str) -> int:
    context, queue = home.in_process()
    run_id = scan(context, request)
    queue.deliver(context)
    return run_id


def test_a_night_in_a_bucket_keeps_every_promise(home: Installation, bucket: str, tmp_path: Path) -> None:
    """Each photo is classified once and archived unchanged; what is no photo stays or is set aside."""
    home = _in_bucket(home, bucket)
    photos = _photos(tmp_path, 40)
    for name, content in photos.items():
        _put(bucket, f"in/a folder/ü #1%20?/{name}", content)
    _put(bucket, "in/broken.png", b"not an image")
    _put(bucket, "in/empty.png", b"")
    _put(bucket, "in/unfinished.png.part", b"not complete")
    _put(bucket, "in/@eaDir/thumb.png", b"of a network drive")
    run_id = _night(home, "night")
    summary = runs.find(home.database, run_id)
    assert summary is not None
    assert (summary.state, summary.counts.seen, summary.counts.classified) == ("closed", 42, 40)
    assert summary.left.skipped == 2
    left = contents(bucket)
    archived = [content for key, content in left.items() if key.startswith("archive/")]
    assert sorted(archived) == sorted(photos.values())
    assert {key for key in left if key.startswith("in/")} == {"in/unfinished.png.part", "in/@eaDir/thumb.png"}
    assert len([key for key in left if key.startswith("quarantine/")]) == 2
    found = states(home, run_id)
    assert {name: state for name, state in found.items() if state == "quarantined"}.keys() == {
        "broken.png",
        "empty.png",
    }
    assert _night(home, "again") != run_id
    assert contents(bucket) == left


def test_only_the_photo_that_was_found_is_classified(home: Installation, bucket: str, tmp_path: Path) -> None:
    """A photo that is replaced after the scan gets no result under the old row; the next night takes it."""
    home = _in_bucket(home, bucket)
    (name, first), (_, second) = _photos(tmp_path, 2).items()
    _put(bucket, f"in/{name}", first)
    context, queue = home.in_process()
    run_id = scan(context, "night")
    _put(bucket, f"in/{name}", second)
    queue.deliver(context)
    assert [each.code for each in images.results(home.database, run_id)] == ["changed"]
    assert contents(bucket) == {f"in/{name}": second}
    again = _night(home, "again")
    assert [each.state for each in images.results(home.database, again)] == ["classified"]
    assert [*contents(bucket).values()] == [second]


def _moved(bucket: str, key: str, content: bytes) -> Move:
    """Put a photo; return its move into the archive."""
    _put(bucket, key, content)
    return Move(1, f"{bucket}/{key}", f"{bucket}/archive/run-1/1/1-{key}", _identity(f"{bucket}/{key}"))


def _identity(place: str) -> str:
    return PHOTOS.describe(place).identity


def test_a_move_is_safe_to_repeat(bucket: str) -> None:
    """After a copy without a deletion, and after a whole move, a repetition ends with one object."""
    move = _moved(bucket, "a.png", b"photo")
    obstore.copy(store_of(bucket), "a.png", "archive/run-1/1/1-a.png")
    for _ in range(2):
        assert PHOTOS.move([move], lambda: None) == []
        assert contents(bucket) == {"archive/run-1/1/1-a.png": b"photo"}


def test_a_newer_photo_under_the_old_name_stays(bucket: str) -> None:
    """A photo that replaced the classified one is not archived in its place, and is not deleted."""
    move = _moved(bucket, "a.png", b"photo")
    _put(bucket, "a.png", b"another")
    assert PHOTOS.move([move], lambda: None) == [1]
    assert contents(bucket) == {"a.png": b"another"}
    # The first was archived before the newer one came.
    _put(bucket, "archive/run-1/1/1-a.png", b"photo")
    assert PHOTOS.move([move], lambda: None) == []
    assert contents(bucket) == {"a.png": b"another", "archive/run-1/1/1-a.png": b"photo"}


def test_a_move_never_goes_over_another_photo(bucket: str, tmp_path: Path) -> None:
    """A destination with another content is a fault of the configuration; both objects stay."""
    move = _moved(bucket, "a.png", b"photo")
    _put(bucket, "archive/run-1/1/1-a.png", b"of another installation")
    with pytest.raises(ConfigFault, match="another file"):
        PHOTOS.move([move], lambda: None)
    local = tmp_path / "b.png"
    local.write_bytes(b"local")
    with pytest.raises(ConfigFault, match="another file"):
        PHOTOS.move([move._replace(source=str(local), identity=_identity(str(local)))], lambda: None)
    assert contents(bucket) == {"a.png": b"photo", "archive/run-1/1/1-a.png": b"of another installation"}
    assert local.exists()


@pytest.mark.parametrize("way", ["to a bucket", "to a folder", "to another bucket"])
def test_photos_move_between_kinds_of_places(
    home: Installation, bucket: str, s3: str, tmp_path: Path, way: str
) -> None:
    """A night takes photos from a folder or a bucket and archives them in the other, byte by byte."""
    photos = _photos(tmp_path / "drawn", 12)
    inside = home.settings.home
    if way == "to a bucket":
        home = _installed(home, archive_dir=f"{bucket}/archive", quarantine_dir=f"{bucket}/quarantine")
        home.settings.incoming_dir.mkdir(exist_ok=True)
        for name, content in photos.items():
            (home.settings.incoming_dir / name).write_bytes(content)
    else:
        places = {"incoming_dir": f"{bucket}/in"}
        if way == "to another bucket":
            places["archive_dir"] = f"{new_bucket(s3)}/archive"
        home = _installed(home, **places)
        for name, content in photos.items():
            _put(bucket, f"in/{name}", content)
    run_id = _night(home, "night")
    assert set(states(home, run_id).values()) == {"classified"}
    if way == "to a bucket":
        assert sorted(contents(bucket).values()) == sorted(photos.values())
        assert not [path for path in home.settings.incoming_dir.rglob("*") if path.is_file()]
    else:
        assert contents(bucket) == {}
        archive = str(home.settings.archive_dir)
        kept = (
            [path.read_bytes() for path in (inside / "archive").rglob("*") if path.is_file()]
            if way == "to a folder"
            else [*contents(archive.rpartition("/")[0]).values()]
        )
        assert sorted(kept) == sorted(photos.values())


def test_a_person_uploads_into_a_bucket(home: Installation, bucket: str) -> None:
    """A photo that arrives in parts is one object when it is whole; one of the same name stays beside it."""
    home = _in_bucket(home, bucket)
    context, _ = home.in_process()
    for content in (b"a photo", b"another photo"):
        upload = intake_uploads.Upload("anna", hashlib.sha256(content).hexdigest(), len(content), "a.png")
        assert intake_uploads.add_part(context, upload, 0, content[:3]) == (3, False)
        assert intake_uploads.arrived(context, upload) == 3
        assert intake_uploads.add_part(context, upload, 3, content[3:]) == (len(content), True)
    found = contents(bucket)
    assert sorted(found.values()) == [b"a photo", b"another photo"]
    assert all(key.startswith("in/uploads/") for key in found)
    assert not [path for path in home.settings.spool_dir.rglob("*") if path.is_file()]


def test_what_is_shown_and_deleted_comes_from_the_bucket(
    home: Installation, bucket: str, tmp_path: Path
) -> None:
    """An archived photo is read, opened and deleted as the one that was recorded; a changed one is left."""
    home = _in_bucket(home, bucket)
    ((name, content),) = _photos(tmp_path, 1).items()
    _put(bucket, f"in/{name}", content)
    run_id = _night(home, "night")
    image = next(iter(images.results(home.database, run_id)))
    picture = browsing.picture(home.database, image.id)
    assert picture is not None
    assert PHOTOS.read_classified(picture, 10_000) == content
    place, identity = str(image.archived_path), _identity(str(image.archived_path))
    stored = StoredFile(7, place, f"{bucket}/archive", len(content), "1-other", "0" * 64)
    assert "changed" in str(PHOTOS.remove_originals([stored])[7])
    assert PHOTOS.remove_originals([stored._replace(identity=identity)]) == {7: True}
    assert PHOTOS.remove_originals([stored]) == {7: False}
    assert contents(bucket) == {}


def test_an_identity_is_spelled_in_one_way() -> None:
    """Azure quotes an ETag in some responses and not in others; a condition of a request has the quotes."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    spelled: list[ObjectMeta] = [
        {"path": "a", "last_modified": moment, "size": 5, "e_tag": tag, "version": None}
        for tag in ('"0x1"', "0x1")
    ]
    assert {moves.identity_of(each) for each in spelled} == {"5-0x1"}
    assert moves.etag("5-0x1") == '"0x1"'


def test_a_missing_bucket_is_a_sentence(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that does not exist is a fault of the configuration, a store that is down one that passes."""
    use(s3, monkeypatch)
    with pytest.raises(ConfigFault, match="cannot be listed"):
        PHOTOS.require_folder("s3://no-such-bucket/in")
    with pytest.raises(TransientFault):
        list(PHOTOS.find("s3://no-such-bucket/in"))


@pytest.mark.parametrize("faults", [Faults(throttled=0.1), Faults(cut=0.1)], ids=["throttled", "cut off"])
def test_a_busy_store_loses_nothing(
    home: Installation, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faults: Faults
) -> None:
    """With requests refused and bodies cut off, each photo is classified once and archived unchanged."""
    bucket = new_bucket(s3)
    with proxy(s3, faults) as address:
        use(address, monkeypatch)
        home = _in_bucket(home, bucket)
        photos = _photos(tmp_path, 20)
        for name, content in photos.items():
            _put(bucket, f"in/{name}", content)
        run_id = _night(home, "night")
        assert states(home, run_id).keys() == photos.keys()
        assert set(states(home, run_id).values()) == {"classified"}
    use(s3, monkeypatch)
    assert sorted(contents(bucket).values()) == sorted(photos.values())


def test_a_photo_needs_at_most_five_requests(
    home: Installation, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A night asks the store at most five times a photo, whatever is counted; each is read once."""
    bucket, faults = new_bucket(s3), Faults()
    with proxy(s3, faults) as address:
        use(address, monkeypatch)
        home = _in_bucket(home, bucket)
        photos = _photos(tmp_path, 60)
        for name, content in photos.items():
            _put(bucket, f"in/{name}", content)
        faults.counts.clear()
        run_id = _night(home, "night")
    assert set(states(home, run_id).values()) == {"classified"}
    assert faults.counts["GET"] == len(photos)
    assert faults.counts.total() <= 5 * len(photos), faults.counts


def test_photos_that_may_not_be_deleted_stay_with_a_reason(
    home: Installation, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Credentials that may not delete: photos are classified and copied, stay, and are not taken again."""
    bucket = new_bucket(s3)
    with proxy(s3, Faults(kept="in/image")) as address:
        use(address, monkeypatch)
        home = _in_bucket(home, bucket)
        photos = _photos(tmp_path, 3)
        for name, content in photos.items():
            _put(bucket, f"in/{name}", content)
        context, queue = home.in_process()
        run_id = scan(context, "night")
        (chunk,) = queue.waiting(Task.CLASSIFY_CHUNK)
        for _ in range(context.settings.max_attempts):
            with suppress(ImmovableFault):
                queue.deliver(context)
            context.send(Task.CLASSIFY_CHUNK, chunk)
        found = list(images.results(home.database, run_id))
        assert {each.state for each in found} == {"classified"}
        assert all("cannot be deleted" in (each.detail or "") for each in found)
        assert contents(bucket) == {f"in/{name}": content for name, content in photos.items()}
        again = scan(context, "again")
        assert states(home, again) == {}


@pytest.mark.parametrize("place", ["s3://", "s3:///in", "ftp://host/in", "s3://bucket//in"])
def test_other_uris_are_refused(place: str, tmp_path: Path) -> None:
    """A setting that is a URI of no bucket is refused with what to write, and none becomes a local path."""
    with pytest.raises(ValueError, match="BUCKET"):
        Settings(home=tmp_path, archive_dir=place)
