"""Interrupted, lost and missed work is finished, on real databases, with a queue that can lose messages."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.photos import folder_moves
from returns_pipeline.records.chunks import Claim
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.predictions import Scores
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.records.tasks import Argument, Task
from returns_pipeline.store import chunks, costs, images, resending, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.chunks import classify_chunk
from returns_pipeline.usecases.runs import scan, scan_night
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, assert_promise_kept, digests, states, write_images


def test_the_sweep_sends_what_the_broker_lost(home: Installation) -> None:
    """A flushed broker loses no image, because the database knows the open chunks."""
    write_images(home.settings.incoming_dir, 25)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.lose_everything()
    sweep(context)
    assert not queue.waiting(Task.CLASSIFY_CHUNK), "a chunk that was sent just now is not lost yet"
    _age(home, tables.chunks.c.sent_at)
    sweep(context)
    assert len(queue.waiting(Task.CLASSIFY_CHUNK)) == 3
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_the_sweep_closes_a_run_whose_closing_was_lost(home: Installation) -> None:
    """A complete run closes even if its closing message is lost."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    classify_chunk(context, queue.take(Task.CLASSIFY_CHUNK), "message")
    queue.lose_everything()
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_the_sweep_gives_a_dead_workers_chunk_to_another(home: Installation) -> None:
    """Another worker takes over an expired lease, and the late worker's results are dropped."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    held = chunks.claim(home.database, chunk_id, "its message", "a worker that dies", 600)
    assert held is not None
    classify_chunk(context, chunk_id, "message")
    assert set(states(home, run_id).values()) == {ImageState.PENDING}
    _age(home, tables.chunks.c.lease_until)
    _age(home, tables.chunks.c.sent_at)
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)
    with pytest.raises(chunks.LeaseLostError):
        chunks.store(home.database, held, [])


def test_an_interrupted_scan_is_continued(home: Installation) -> None:
    """If a worker dies during a scan, the sweep continues the scan in the same run."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    bundle = find_bundle(home.settings.models_dir, home.settings.model)
    request = RunRequest("request", RunKind.NIGHTLY, None, bundle.ref, bundle.digest, {})
    run_id = runs.open_run(home.database, request)
    sweep(context)
    assert not queue.waiting(Task.SCAN)
    _age(home, tables.runs.c.touched_at)
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_an_interrupted_move_is_finished(home: Installation) -> None:
    """If a move fails, the results are stored and the chunk is open; later the rest is moved."""
    write_images(home.settings.incoming_dir, 5)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    home.settings.archive_dir.parent.mkdir(exist_ok=True)
    home.settings.archive_dir.write_text("a file where the folder should be")
    with pytest.raises(TransientFault, match="cannot be moved"):
        classify_chunk(context, chunk_id, "message")
    home.settings.archive_dir.unlink()
    classify_chunk(context, chunk_id, "message")
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_report_that_cannot_be_written_leaves_the_run_open(home: Installation) -> None:
    """A run closes only with its report; the sweep tries again."""
    write_images(home.settings.incoming_dir, 2)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    home.settings.report_dir.write_text("a file where the folder should be")
    with pytest.raises(TransientFault, match="cannot be written"):
        queue.deliver(context)
    home.settings.report_dir.unlink()
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_an_image_that_kills_its_workers_is_found_and_set_aside(home: Installation) -> None:
    """Its chunk is split at each crash until the image is alone and quarantined; the rest is classified."""
    paths = write_images(home.settings.incoming_dir, 10)
    came_in = digests(home.settings.incoming_dir)
    deadly = paths[6]
    context, queue = home.in_process()
    run_id = scan(context, "request")
    deaths = 0
    while queue.waiting(Task.CLASSIFY_CHUNK):
        chunk_id = queue.take(Task.CLASSIFY_CHUNK)
        held = chunks.claim(home.database, chunk_id, f"message {deaths}", "a worker", 600)
        assert held is not None
        dies = str(deadly) in [image.path for image in held.images]
        if (
            dies
            and (len(held.images) == 1 or held.attempt == 1)
            and held.attempt <= home.settings.max_attempts
        ):
            deaths += 1  # the lease stays, as it does when a process dies
            _age(home, tables.chunks.c.lease_until)
            queue.send(Task.CLASSIFY_CHUNK, chunk_id)
        else:
            _unclaim(home, held)
            classify_chunk(context, chunk_id, "the next message")
    queue.deliver(context)
    found = {image.path: image.code for image in images.results(home.database, run_id)}
    assert found.pop(str(deadly)) == "killed_worker"
    assert set(found.values()) == {None}
    assert deaths <= 4 + home.settings.max_attempts
    assert_promise_kept(home, run_id, came_in, {deadly.name})


def test_an_error_of_ours_fails_the_image_that_meets_it(home: Installation) -> None:
    """An unexpected exception does not stop a run: its image is found and fails with the error."""
    write_images(home.settings.incoming_dir, 10)
    came_in = digests(home.settings.incoming_dir)

    class Broken(StubClassifier):
        def predict(self, pixels: NDArray[np.uint8]) -> Scores:
            if (pixels == 222).any():  # the seventh image
                raise ZeroDivisionError("a defect")
            return super().predict(pixels)

    context, queue = home.in_process()
    context = replace(context, load_classifier=Broken)
    run_id = scan(context, "request")
    queue.deliver(context)
    failed = list(images.results(home.database, run_id, ImageState.FAILED))
    assert [(image.name, image.code) for image in failed] == [("image_6_label_3.png", "gave_up")]
    assert "ZeroDivisionError('a defect')" in str(failed[0].detail)
    assert len(list(images.results(home.database, run_id, ImageState.CLASSIFIED))) == 9
    assert_promise_kept(home, run_id, came_in, {"image_6_label_3.png"})


def test_a_message_that_comes_again_takes_its_own_lease_over(home: Installation) -> None:
    """After a worker process died, its message is delivered again and does not wait for the lease."""
    write_images(home.settings.incoming_dir, 1)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    assert chunks.claim(home.database, chunk_id, "its message", "a worker that dies", 600)
    assert chunks.claim(home.database, chunk_id, "another message", "another worker", 600) is None
    classify_chunk(context, chunk_id, "its message")
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_progress_renews_a_lease(home: Installation) -> None:
    """A chunk that takes longer than its lease stays with its worker while it makes progress."""
    write_images(home.settings.incoming_dir, 10)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    context = replace(context, settings=home.settings.model_copy(update={"lease_seconds": 0.001}))
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    held = chunks.claim(home.database, chunk_id, "message", "worker", 0.001)
    assert held is not None
    chunks.renew(home.database, held, 600)
    assert resending.expired(home.database, 600, 0, 10) == []
    classify_chunk(context, chunk_id, "message")
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_broker_that_is_away_stops_no_scan(home: Installation) -> None:
    """Without a broker, a scan inserts every row; the sweep sends the messages later."""
    write_images(home.settings.incoming_dir, 25)
    came_in = digests(home.settings.incoming_dir)

    class Away(InProcessQueue):
        def send(self, task: Task, *arguments: Argument, **_: Any) -> None:
            raise TransientFault(f"The broker is away, {task} {arguments} is not sent.")

    context, queue = home.in_process()
    run_id = scan(replace(context, queue=Away()), "request")
    assert len(states(home, run_id)) == 25
    _age(home, tables.chunks.c.sent_at)
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_night_has_one_run_however_often_it_is_requested(home: Installation) -> None:
    """Two beats, a late one and the sweep request the same night: it has one run, and photos count once."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    due = datetime(2026, 3, 1, 2, tzinfo=UTC)
    asked = [run for late in (0, 1, 7000) for run in scan_night(context, due + timedelta(seconds=late))]
    queue.deliver(context)
    asked += scan_night(context, due + timedelta(hours=23))
    sweep(context, due + timedelta(hours=23))
    assert not queue.waiting(Task.SCAN)
    assert len(set(asked)) == 1
    assert_promise_kept(home, asked[0], came_in)


def test_a_night_that_was_missed_is_caught_up_once(home: Installation) -> None:
    """A machine that was off at the scheduled time scans once afterwards; a new installation does not."""
    context, queue = home.in_process()
    sweep(context)
    assert not queue.waiting(Task.SCAN), "nothing was missed before the first run"
    scan(context, "the first one")
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(opened_at=utc_now() - timedelta(days=3)))
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    for _ in range(3):
        sweep(context)
    queue.deliver(context)
    sweep(context)
    assert not queue.waiting(Task.SCAN)
    newest, first = runs.latest(home.database, 5)
    assert first.kind is RunKind.SCAN
    # Within minutes after the scheduled time it counts as punctual.
    assert newest.kind in {RunKind.CATCH_UP, RunKind.NIGHTLY}
    assert_promise_kept(home, newest.id, came_in)


def test_a_missing_model_marks_no_image(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its bundle, a chunk fails and its images stay pending; later they are classified."""
    monkeypatch.setattr("returns_pipeline.usecases.chunks.CONFIG_PAUSE_SECONDS", 0)
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.waiting(Task.CLASSIFY_CHUNK)[0]
    folder = home.settings.models_dir / "stub"
    shutil.move(folder, folder.with_name("hidden"))
    for _ in range(home.settings.max_attempts + 1):
        with pytest.raises(ConfigFault, match="no model bundle"):
            classify_chunk(context, chunk_id, "message")
    assert set(states(home, run_id).values()) == {ImageState.PENDING}
    shutil.move(folder.with_name("hidden"), folder)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def _unclaim(home: Installation, held: Claim) -> None:
    """Undo a claim completely."""
    chunks.release(home.database, held, "", counts=False)


def _age(home: Installation, column: sa.Column[object]) -> None:
    """Set a column of moments back by a day."""
    with home.database.write() as connection:
        connection.execute(sa.update(column.table).values({column.name: utc_now() - timedelta(days=1)}))


def test_a_disk_failure_is_recorded_and_marks_no_image(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk failure releases the chunk and does not count the attempt, even if a name is not UTF-8."""
    source = write_images(home.settings.incoming_dir, 1)[0]
    source.rename(os.fsdecode(os.fsencode(home.settings.incoming_dir) + b"/caf\xe9.png"))
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    with monkeypatch.context() as broken:
        broken.setattr(os, "read", _fails)
        for _ in range(home.settings.max_attempts + 2):
            with pytest.raises(TransientFault):
                classify_chunk(context, chunk_id, "message")
    with home.database.read() as connection:
        row = connection.execute(sa.select(tables.chunks).where(tables.chunks.c.id == chunk_id)).one()
    assert (row.state, row.attempts) == ("open", 0)
    assert "udce9.png cannot be read" in row.error
    queue.send(Task.CLASSIFY_CHUNK, chunk_id)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def _fails(_descriptor: int, _count: int) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_results_are_on_the_disk_before_a_file_is_moved(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepted requests and stored results are synced directly after their commit; others need not be."""
    write_images(home.settings.incoming_dir, 2)
    context, queue = home.in_process()
    events: list[str] = []
    engine = home.database._engine
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cursor, text, *_: events.append(text[:25]))
    sa.event.listen(engine, "commit", lambda _: events.append("commit"))

    def noted(event: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            events.append(event)
            return function(*arguments)

        return call

    monkeypatch.setattr(os, "fdatasync", noted("sync", os.fdatasync))
    monkeypatch.setattr(folder_moves, "move_all", noted("move", folder_moves.move_all))
    scan(context, "request")
    queue.deliver(context)

    def after(words: str) -> str:
        """Return what follows the commit of the first statement that begins with these words."""
        first = next(at for at, event in enumerate(events) if event.startswith(words))
        return events[events.index("commit", first) + 1]

    assert (after("INSERT INTO runs"), after("UPDATE images SET state")) == ("sync", "sync")
    assert after("INSERT INTO images") != "sync"
    stored = next(at for at, event in enumerate(events) if event.startswith("UPDATE images SET state"))
    assert stored < events.index("sync", stored) < events.index("move")


def test_the_cost_of_an_image_is_measured_in_its_models_nights(home: Installation) -> None:
    """Small chunks, other models, and chunks whose files were only moved do not count."""
    write_images(home.settings.incoming_dir, 40)
    context, queue = home.in_process()
    context = replace(context, settings=home.settings.model_copy(update={"chunk_size": 16}))
    model = ModelRef("stub", 1)
    assert costs.of_night(home.database, model) is None
    scan(context, "request")
    queue.deliver(context)
    with home.database.write() as connection:
        for chunk_id, timings in ((1, {"decode": 1000.0, "predict": 3000.0}), (2, {"archive": 90_000.0})):
            connection.execute(
                sa.update(tables.chunks).where(tables.chunks.c.id == chunk_id).values(timings=timings)
            )
    assert costs.of_night(home.database, model) == pytest.approx(0.25)
    assert costs.of_night(home.database, ModelRef("stub", 2)) is None
