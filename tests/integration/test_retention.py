"""Photos older than RETURNS_KEEP_DAYS go, results stay; nothing that waits or is open is touched."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from beat_schedule import beat_schedule
from returns_pipeline.errors import ConflictError, RefusedError
from returns_pipeline.host.doctor import examine
from returns_pipeline.records.removal import RetentionCounts
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import browsing, image_history, images, retention, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import strays
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.retention import preview, remove_all, remove_some
from tests.integration.test_reviews import closed_run
from tests.support import Installation, digests, write_images


def _aged(home: Installation, days: float) -> Context:
    """Let every photo have come in `days` ago; return the pipeline, which keeps photos for 30 days."""
    with home.database.write() as connection:
        connection.execute(sa.update(tables.chunks).values(received_at=utc_now() - timedelta(days=days)))
    context, _ = home.in_process()
    object.__setattr__(context, "settings", context.settings.model_copy(update={"keep_days": 30}))
    return context


def test_old_photos_go_and_their_results_stay(home: Installation) -> None:
    """File, vector and explanation go, folders that are empty too; name, label and counts stay."""
    incoming = home.settings.incoming_dir
    incoming.mkdir(parents=True, exist_ok=True)
    (incoming / "note.png").write_bytes(b"no picture")
    run_id = closed_run(home, count=12, audit_share=0.0)
    before = list(images.results(home.database, run_id))
    context = _aged(home, 31)
    seen = preview(context.settings, home.database)
    assert digests(home.settings.archive_dir).total() == 12
    remove_some(context)
    done = retention.last(home.database)
    assert done is not None
    assert done.finished_at is not None
    assert done.counts == seen.counts == RetentionCounts(archive=12, quarantine=1, size=seen.counts.size)
    assert seen.counts.size > 0
    for folder in (home.settings.archive_dir, home.settings.quarantine_dir):
        assert list(folder.iterdir()) == []
    after = list(images.results(home.database, run_id))
    assert [(each.name, each.label, each.state) for each in after] == [
        (each.name, each.label, each.state) for each in before
    ]
    assert all(each.photo_removed_at and not each.archived_path for each in after)
    assert browsing.picture(home.database, after[0].id) is None
    assert "photo_removed" in {event.what for event in image_history.history(home.database, after[0].id)}
    with home.database.read() as connection:
        assert connection.execute(sa.select(tables.embeddings)).all() == []
    # The report is written again: it links no photo that is gone.
    _, queue = home.in_process()
    queue.send(Task.UPDATE_REPORT, run_id)
    queue.deliver(context)
    assert "<img" not in (home.settings.report_dir / f"run-{run_id}" / "report.html").read_text()
    assert runs.existing(home.database, run_id).counts.seen == 13


def test_photos_that_wait_or_are_young_or_open_are_kept(home: Installation) -> None:
    """A review that waits keeps its photo, however old, and is counted; so is an open run."""
    closed_run(home, count=6, audit_share=0.5, review_threshold=0.0)
    with home.database.read() as connection:
        waiting = connection.execute(sa.select(sa.func.count()).select_from(tables.reviews)).scalar_one()
    assert waiting == 6
    remove_some(_aged(home, 29))
    assert digests(home.settings.archive_dir).total() == 6
    context = _aged(home, 31)
    assert preview(context.settings, home.database).counts == RetentionCounts(waiting=6)
    assert remove_all(context.settings, home.database, context.photos) == RetentionCounts(waiting=6)
    assert digests(home.settings.archive_dir).total() == 6
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(state="running"))
        connection.execute(sa.delete(tables.reviews))
    assert preview(context.settings, home.database).counts == RetentionCounts(open_runs=6)
    with pytest.raises(ConflictError, match="A run is open"):
        remove_all(context.settings, home.database, context.photos)
    remove_some(context, utc_now() + timedelta(days=1))
    assert digests(home.settings.archive_dir).total() == 6


def test_a_pass_goes_on_after_it_was_killed(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies after it removed files leaves rows that the next one completes, all counted."""
    closed_run(home, count=30, audit_share=0.0)
    context = _aged(home, 31)
    record, calls = retention.record, []

    def die(*arguments: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return record(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(retention, "record", die)
    with pytest.raises(KeyboardInterrupt):
        remove_some(context)
    monkeypatch.undo()
    # Another process waits for the first one's lease.
    remove_some(context)
    assert digests(home.settings.archive_dir).total() == 10
    with home.database.write() as connection:
        connection.execute(
            sa.update(tables.retention_passes).values(touched_at=utc_now() - timedelta(hours=1))
        )
    remove_some(context)
    done = retention.last(home.database)
    assert done is not None
    assert (done.counts.removed, done.counts.gone) == (20, 10)
    assert digests(home.settings.archive_dir).total() == 0
    with home.database.read() as connection:
        kept = sa.select(sa.func.count()).where(tables.images.c.photo_removed_at.is_(None))
        assert connection.execute(kept).scalar_one() == 0


def test_another_file_in_a_photos_place_is_left_and_told(home: Installation) -> None:
    """A file with another content stays, and the doctor says so; its photo keeps its place."""
    run_id = closed_run(home, count=3, audit_share=0.0)
    image = next(images.results(home.database, run_id))
    file = Path(str(image.archived_path))
    content, times = file.read_bytes(), file.stat()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    context = _aged(home, 31)
    counts = remove_all(context.settings, home.database, context.photos)
    assert (counts.archive, counts.different) == (2, 1)
    assert file.exists()
    check = next(each for each in examine(context.settings) if each.name == "retention")
    assert (check.ok, "could not be removed" in check.message) == (False, True), check


def test_the_command_shows_before_it_removes(home: Installation) -> None:
    """`--dry-run` changes nothing and counts strays; old strays go only with `--strays`."""
    closed_run(home, count=4, audit_share=0.0)
    _aged(home, 31)
    refused = home.run("retention")
    assert (refused.returncode, "RETURNS_KEEP_DAYS is 0" in refused.stderr) == (3, True)
    (stray,) = write_images(home.settings.archive_dir, 1, start=90)
    with pytest.raises(RefusedError):
        preview(home.settings, home.database)
    dry = home.run("retention", "--dry-run", "--json", RETURNS_KEEP_DAYS="30")
    told = json.loads(dry.stdout)
    assert (told["archive"], told["dry_run"], told["strays"][0]["files"]) == (4, True, 1)
    assert digests(home.settings.archive_dir).total() == 5
    done = home.run("retention", "--strays", RETURNS_KEEP_DAYS="30")
    assert "Removed 4 photos" in done.stdout, done.stderr
    assert stray.exists()
    found = strays.look(home.settings, home.database, home.in_process()[0].photos)
    assert [each.files for each in found if each.folder == str(home.settings.archive_dir)] == [1]


def test_retention_is_scheduled_only_with_a_limit(home: Installation) -> None:
    """Without RETURNS_KEEP_DAYS beat sends nothing and a message that comes all the same does nothing."""
    assert "retention" not in beat_schedule(home.settings)
    limited = home.settings.model_copy(update={"keep_days": 1})
    assert beat_schedule(limited)["retention"]["task"] == Task.RETENTION
    closed_run(home, count=2, audit_share=0.0)
    _aged(home, 5000)
    remove_some(home.in_process()[0])
    assert retention.last(home.database) is None
