"""A deleted image leaves a row without name and content; nothing brings it back, and no step loses a file."""

import hashlib
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.broker.in_process import USE_CASES
from returns_pipeline.errors import ConflictError, GoneError, NotFoundError
from returns_pipeline.photos import kept_pictures
from returns_pipeline.records.chunks import Shadow
from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Decision, Prediction
from returns_pipeline.records.removal import DELETED
from returns_pipeline.records.reviews import Word
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import (
    browsing,
    chunks,
    deletion,
    explanations,
    fingerprints,
    images,
    review_queue,
    reviews,
    runs,
    tables,
)
from returns_pipeline.usecases import search
from returns_pipeline.usecases.deletion import delete, remove_files
from returns_pipeline.usecases.sweep import sweep
from tests.integration.test_reviews import closed_run
from tests.support import Installation, write_images

NAME = "image_3_label"


def _image(home: Installation, run_id: int, part: str = NAME) -> ImageResult:
    return next(image for image in images.results(home.database, run_id) if part in image.path)


def _rows_with(home: Installation, text: str) -> list[str]:
    """Return the tables in which a text occurs anywhere."""
    found = []
    with home.database.read() as connection:
        for table in tables.metadata.sorted_tables:
            rows = connection.execute(sa.select(table)).all()
            found += [table.name] if any(text in str(value) for row in rows for value in row) else []
    return found


def test_nothing_of_a_deleted_image_is_left(home: Installation) -> None:
    """File, pictures, name, digest, prediction, labels and search entry go; counts and reviews stand."""
    run_id = closed_run(home, count=6, audit_share=1.0)
    image, db, settings = _image(home, run_id), home.database, home.settings
    assert image.archived_path is not None
    sha256 = hashlib.sha256(Path(image.archived_path).read_bytes()).hexdigest()
    reviews.decide(db, "anna", image.id, Word("label", "white", "white"))
    counted = review_queue.counts(db)
    search.index_names(db, settings)
    pictures = settings.home / kept_pictures.FOLDER
    pictures.mkdir()
    for name in (kept_pictures.key(image.id, "a"), kept_pictures.key(image.id + 1000, "a")):
        (pictures / name).write_bytes(b"picture")
    context, queue = home.in_process()
    queue.lose_everything()
    done = delete(settings, db, image.id, "boss")
    assert (done.images, done.files_left) == ((image.id,), 0)
    sweep(context)
    assert run_id in queue.waiting(Task.UPDATE_REPORT)
    queue.deliver(context)
    assert not Path(image.archived_path).exists()
    assert [path.name for path in pictures.iterdir()] == [kept_pictures.key(image.id + 1000, "a")]
    for text in (NAME, sha256):
        assert _rows_with(home, text) == []
    report = settings.report_dir / f"run-{run_id}"
    for file in ("results.csv", "report.html"):
        assert NAME not in (report / file).read_text()
    assert DELETED in (report / "results.csv").read_text()
    assert fingerprints.known(db, [sha256]) == {}
    assert search.find_images(db, settings, NAME, 10)[1].images == []
    after, run = browsing.find(db, image.id), runs.existing(db, run_id)
    assert after is not None
    assert (after.name, after.label, after.final_label, after.deleted_by) == (DELETED, None, None, "boss")
    assert run.counts.seen == run.counts.classified + run.counts.quarantined + run.counts.failed == 6
    assert review_queue.counts(db) == counted
    with db.read() as connection:
        event = connection.execute(sa.select(tables.audit_events)).one()
    assert (event.who, event.action, event.subject_id) == ("boss", "image_delete", str(image.id))


def test_late_writes_do_not_bring_an_image_back(home: Installation) -> None:
    """A shadow, an explanation, a review and an undo that come after the deletion leave nothing."""
    run_id = closed_run(home, count=4, audit_share=1.0)
    image, db = _image(home, run_id), home.database
    reviews.decide(db, "anna", image.id, Word("label", "white", "white"))
    with db.read() as connection:
        version = int(connection.execute(sa.select(tables.model_versions.c.id)).scalar_one())
    delete(home.settings, db, image.id, "boss")
    prediction = Prediction(0, "dark", 0.9, "dark", 0.9, ((0, 0.9),), Decision.AUTO)
    chunks.store_shadow(db, Shadow(ModelRef("stub", 2), version, "", 1.0), [(image.id, prediction)])
    explanations.save(db, image.id, version, Explanation(None, 1, 1, b"1", ()))
    with pytest.raises(GoneError):
        reviews.decide(db, "anna", image.id, Word("label", "dark", "dark"))
    assert reviews.undo(db, "anna", 60) is None
    with pytest.raises(GoneError, match="deleted by boss"):
        delete(home.settings, db, image.id, "boss")
    with db.read() as connection:
        for table in (tables.predictions, tables.explanations, tables.image_fingerprints):
            of_image = sa.select(sa.func.count()).where(table.c.image_id == image.id)
            assert connection.execute(of_image).scalar_one() == 0


def test_an_image_that_is_being_worked_on_is_not_deleted(home: Installation) -> None:
    """A pending image, one whose file is moved, and one whose run is closing are refused with an advice."""
    write_images(home.settings.incoming_dir, 3)
    context, queue = home.in_process()
    queue.send(Task.SCAN, request_id="scan")
    USE_CASES[queue.messages.popleft().task](context, "scan")
    with home.database.read() as connection:
        image_id = int(connection.execute(sa.select(tables.images.c.id).limit(1)).scalar_one())
    with pytest.raises(ConflictError, match="cannot be deleted yet"):
        delete(home.settings, home.database, image_id, "boss")
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(state="closing"))
    with pytest.raises(ConflictError, match="written now"):
        delete(home.settings, home.database, image_id, "boss")
    with pytest.raises(NotFoundError):
        delete(home.settings, home.database, 10**12, "boss")


def test_a_deletion_that_ends_after_its_first_step_is_finished_by_the_sweep(home: Installation) -> None:
    """The rows say deleted first. Another file in the place of the photo is left, and the reason is kept."""
    run_id = closed_run(home, count=4, audit_share=0.0)
    db, found = home.database, list(images.results(home.database, run_id))
    first, second = (Path(str(image.archived_path)) for image in found[:2])
    content, times = second.read_bytes(), second.stat()
    deletion.begin(db, found[0].id, "boss", [])
    deletion.begin(db, found[1].id, "boss", [])
    # The same size and time, another content.
    second.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(second, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert first.exists()
    sweep(home.in_process()[0])
    assert not first.exists()
    assert second.exists()
    (left,) = deletion.open_removals(db)
    assert left.file.image_id == found[1].id
    assert left.error is not None
    second.write_bytes(content)
    os.utime(second, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert remove_files(home.settings, db, home.in_process()[0].photos, [found[1].id]) == 0
    assert not second.exists()


def test_no_link_leads_a_deletion_out_of_the_archive(home: Installation, tmp_path: Path) -> None:
    """A folder that was replaced by a link, and a file that was replaced by one, are not followed."""
    run_id = closed_run(home, count=3, audit_share=0.0)
    image = next(images.results(home.database, run_id))
    file = Path(str(image.archived_path))
    outside = tmp_path / "outside"
    file.parent.rename(outside)
    file.parent.symlink_to(outside)
    assert delete(home.settings, home.database, image.id, "boss").files_left == 1
    assert (outside / file.name).exists()


def test_an_empty_archive_is_no_proof_that_a_file_is_gone(home: Installation) -> None:
    """While the archive's disk is not mounted, the deletion stays open."""
    run_id = closed_run(home, count=3, audit_share=0.0)
    image, archive = next(images.results(home.database, run_id)), home.settings.archive_dir
    away = archive.with_name("away")
    archive.rename(away)
    archive.mkdir()
    assert delete(home.settings, home.database, image.id, "boss").files_left == 1
    archive.rmdir()
    away.rename(archive)
    assert remove_files(home.settings, home.database, home.in_process()[0].photos, [image.id]) == 0
    assert not Path(str(image.archived_path)).exists()


def test_images_of_the_same_file_are_deleted_together(home: Installation) -> None:
    """A photo that was tried again, and then compared with another model, is one photo."""
    (home.settings.incoming_dir / "note.png").parent.mkdir(parents=True, exist_ok=True)
    (home.settings.incoming_dir / "note.png").write_bytes(b"no picture")
    context, queue = home.in_process()
    for task, request in ((Task.SCAN, "scan"), (Task.RETRY, "retry")):
        queue.send(task, request_id=request)
        queue.deliver(context)
    with home.database.read() as connection:
        ids = list(connection.execute(sa.select(tables.images.c.id).order_by(tables.images.c.id)).scalars())
    assert len(ids) == 2
    assert deletion.same_file(home.database, ids[0]) == deletion.same_file(home.database, ids[1]) == ids
    delete(home.settings, home.database, ids[0], "boss")
    assert _rows_with(home, "note.png") == []
    assert not list(home.settings.quarantine_dir.rglob("*.png"))
    assert images.paths_to_retry(home.database, None) == []
