"""Photos that the workers' user may read but not move: each has a row that says so, and the run closes."""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import TransientFault
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.source import ImmovableFault
from returns_pipeline.records.images import ImageResult, Move
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import browsing, images, runs, tables
from returns_pipeline.usecases.chunks import classify_chunk
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import retry, scan
from tests.ordinary_user import as_ordinary_user
from tests.support import Installation, write_images


class _OrdinaryUsersFolders(FolderSource):
    """Folders whose photos are moved by an ordinary user, as by a worker that does not run as root."""

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        requests = list(moves)
        with as_ordinary_user():
            return super().move(requests, progress)


@dataclass(frozen=True)
class _Night:
    """An intake with an open and a read-only subfolder, and the context of a worker that is not root."""

    home: Installation
    context: Context
    queue: InProcessQueue
    open: Path
    locked: Path
    archive: Path

    def attempt(self, chunk_id: int) -> None:
        """Work on a chunk as often as RETURNS_MAX_ATTEMPTS; only the last attempt does not fail."""
        for _ in range(self.context.settings.max_attempts - 1):
            with pytest.raises(ImmovableFault, match="cannot be moved: Permission denied"):
                classify_chunk(self.context, chunk_id, "message")
        classify_chunk(self.context, chunk_id, "message")

    def results(self, run_id: int) -> dict[str, ImageResult]:
        """Return the images of a run by name."""
        return {image.name: image for image in images.results(self.home.database, run_id)}


@pytest.fixture
def night(home: Installation) -> Iterator[_Night]:
    """Give a night; its folders lie where an ordinary user reaches them."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    opened, locked, archive = root / "intake" / "open", root / "intake" / "locked", root / "archive"
    for folder in (opened, locked, archive, root / "quarantine"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    places = {"incoming_dir": root / "intake", "archive_dir": archive, "quarantine_dir": root / "quarantine"}
    home = replace(home, settings=home.settings.model_copy(update=places))
    context, queue = home.in_process()
    yield _Night(home, replace(context, photos=_OrdinaryUsersFolders()), queue, opened, locked, archive)
    locked.chmod(0o777)
    shutil.rmtree(root)


def test_photos_in_a_read_only_folder_stay_and_their_run_closes(night: _Night) -> None:
    """Each keeps its prediction or fault, has no archived path, and says why it stays."""
    write_images(night.open, 3)
    write_images(night.locked, 2, start=10)
    (night.locked / "broken.png").write_bytes(b"not an image")
    night.locked.chmod(0o555)
    run_id = scan(night.context, "night")
    night.attempt(night.queue.take(Task.CLASSIFY_CHUNK))
    night.queue.deliver(night.context)
    summary = runs.find(night.home.database, run_id)
    assert summary is not None
    counts = summary.counts
    assert (summary.state, counts.seen, counts.classified, counts.quarantined) == ("closed", 6, 5, 1)
    for image in night.results(run_id).values():
        stays = str(night.locked) in image.path
        assert Path(image.lies_at).is_file()
        assert Path(image.path).is_file() == stays == (image.archived_path is None)
        assert (image.label is not None) == (image.name != "broken.png")
        assert ("cannot be moved: Permission denied" in (image.detail or "")) == stays
        if image.label is not None:
            picture = browsing.picture(night.home.database, image.id)
            assert picture is not None
            assert picture.path == image.lies_at
    # The sentence about the file itself is kept too.
    assert "not an image" in (night.results(run_id)["broken.png"].detail or "")
    assert summary.csv is not None
    assert len(list(csv.reader(summary.csv.open(encoding="utf-8", newline="")))) == 7
    with night.home.database.read() as connection:
        states = connection.execute(sa.select(tables.chunks.c.state).distinct()).scalars().all()
    assert states == ["done"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_a_photo_of_another_user_in_a_shared_folder_stays(night: _Night) -> None:
    """Where only its owner may remove a file (sticky), the photo stays and no link to it is archived."""
    (path,) = write_images(night.locked, 1)
    night.locked.chmod(0o1777)
    run_id = scan(night.context, "night")
    chunk_id = night.queue.take(Task.CLASSIFY_CHUNK)
    for _ in range(night.context.settings.max_attempts - 1):
        with pytest.raises(ImmovableFault, match="not permitted"):
            classify_chunk(night.context, chunk_id, "message")
    classify_chunk(night.context, chunk_id, "message")
    assert "not permitted" in (night.results(run_id)[path.name].detail or "")
    assert path.is_file()
    assert [found for found in night.archive.rglob("*") if found.is_file()] == []


def test_a_photo_that_stays_is_not_taken_again_until_it_is_another_one(night: _Night) -> None:
    """The next night does not count it again; a new photo under its name is classified and moved."""
    (path,) = write_images(night.locked, 1)
    night.locked.chmod(0o555)
    first = scan(night.context, "first")
    night.attempt(night.queue.take(Task.CLASSIFY_CHUNK))
    assert runs.progress(night.home.database, scan(night.context, "second")).total == 0
    night.locked.chmod(0o777)
    os.utime(path, (1, 1))
    third = scan(night.context, "third")
    night.queue.deliver(night.context)
    assert night.results(third)[path.name].archived_path is not None
    assert not path.exists()
    before = night.results(first)[path.name]
    assert (before.state, before.archived_path) == ("classified", None)


def test_a_photo_that_can_be_moved_before_the_last_attempt_is_moved(night: _Night) -> None:
    """If the permission is corrected in time, nothing stays and no detail is written."""
    write_images(night.locked, 2)
    night.locked.chmod(0o555)
    run_id = scan(night.context, "night")
    chunk_id = night.queue.take(Task.CLASSIFY_CHUNK)
    with pytest.raises(ImmovableFault):
        classify_chunk(night.context, chunk_id, "message")
    night.locked.chmod(0o777)
    classify_chunk(night.context, chunk_id, "message")
    found = night.results(run_id).values()
    assert all(image.archived_path and image.detail is None for image in found)


def test_an_archive_that_takes_no_file_is_waited_for(night: _Night) -> None:
    """If the destination refuses files, it is not the photos' fault: the chunk waits, however long."""
    write_images(night.open, 2)
    night.archive.chmod(0o555)
    run_id = scan(night.context, "night")
    chunk_id = night.queue.take(Task.CLASSIFY_CHUNK)
    for _ in range(night.context.settings.max_attempts + 2):
        with pytest.raises(TransientFault, match="cannot be moved") as caught:
            classify_chunk(night.context, chunk_id, "message")
        assert not isinstance(caught.value, ImmovableFault)
    night.archive.chmod(0o777)
    classify_chunk(night.context, chunk_id, "message")
    assert all(image.archived_path for image in night.results(run_id).values())


def test_a_quarantined_photo_that_stays_is_not_retried(night: _Night) -> None:
    """`retry` takes photos from quarantine; one that never got there is not among them."""
    (night.locked / "broken.png").write_bytes(b"not an image")
    night.locked.chmod(0o555)
    run_id = scan(night.context, "night")
    night.attempt(night.queue.take(Task.CLASSIFY_CHUNK))
    again = retry(night.context, "retry", run_id)
    assert runs.progress(night.home.database, again).total == 0
