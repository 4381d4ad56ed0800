"""The use-cases on real databases, with the stub model and a broker that delivers when told to."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline import nightly
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records import ImageState, RunKind, RunRequest, RunState
from returns_pipeline.store import chunks, images, runs, tables
from returns_pipeline.store.database import utc_now
from tests.support import Installation, assert_promise_kept, digests, write_images


def _states(home: Installation, run_id: int) -> dict[str, str]:
    return {image.path.name: image.state for image in images.results(home.database, run_id)}


def test_a_run_keeps_the_promise(home: Installation) -> None:
    """Every file that came in is classified or quarantined, moved, and counted once."""
    incoming = home.settings.incoming_dir
    write_images(incoming / "counter 1", 25)
    (incoming / "empty.png").touch()
    (incoming / "notes.jpg").write_text("not an image")
    came_in = digests(incoming)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)
    states = _states(home, run_id)
    assert states["empty.png"] == states["notes.jpg"] == ImageState.QUARANTINED
    assert list(states.values()).count(ImageState.CLASSIFIED) == 25
    assert not [path for path in incoming.rglob("*") if path.is_file()]


def test_the_same_names_may_come_back(home: Installation) -> None:
    """Identity is the row, not the name: another picture of the same name is another image."""
    pipeline, queue = home.inline()
    came_in = digests(home.settings.incoming_dir)
    for night in range(2):
        path = write_images(home.settings.incoming_dir, 1)[0]
        with path.open("ab") as stream:
            stream.write(bytes([night]))
        came_in += digests(home.settings.incoming_dir)
        nightly.scan(pipeline, f"night {night}")
        queue.deliver(pipeline)
    assert digests(home.settings.archive_dir) == came_in
    assert came_in.total() == 2


def test_two_scans_never_take_the_same_file(home: Installation) -> None:
    """While a file waits in the intake it belongs to one row, whoever scans."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    first = nightly.scan(pipeline, "first")
    second = nightly.scan(pipeline, "second")
    queue.deliver(pipeline)
    assert_promise_kept(home, first, came_in)
    empty = runs.find(home.database, second)
    assert empty is not None
    assert (empty.state, empty.counts.seen) == (RunState.CLOSED, 0)


def test_a_scan_that_is_delivered_twice_is_one_run(home: Installation) -> None:
    """The request's id makes the second delivery go on with the first one's run."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "same")
    assert nightly.scan(pipeline, "same") == run_id
    queue.deliver(pipeline)
    assert nightly.scan(pipeline, "same") == run_id
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_a_chunk_that_is_delivered_twice_counts_once(home: Installation) -> None:
    """Delivered again while open, when done and after the run closed, a chunk changes nothing."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    twice = [*queue.chunks, *queue.chunks]
    queue.chunks.extend(twice)
    queue.deliver(pipeline)
    for chunk_id in twice:
        nightly.classify_chunk(pipeline, chunk_id)
    nightly.close_run(pipeline, run_id)
    assert_promise_kept(home, run_id, came_in)


def test_the_sweep_sends_what_the_broker_lost(home: Installation) -> None:
    """Emptying the broker loses no image: the database knows what is open."""
    write_images(home.settings.incoming_dir, 25)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    queue.lose_everything()
    nightly.sweep(pipeline)
    assert not queue.chunks, "a chunk that was sent just now is not lost yet"
    _age(home, tables.chunks.c.sent_at)
    nightly.sweep(pipeline)
    assert len(queue.chunks) == 3
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_the_sweep_closes_a_run_whose_closing_was_lost(home: Installation) -> None:
    """A run closes because its rows say so, even when the message that should close it is gone."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    nightly.classify_chunk(pipeline, queue.chunks.popleft())
    queue.lose_everything()
    nightly.sweep(pipeline)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_the_sweep_gives_a_dead_workers_chunk_to_another(home: Installation) -> None:
    """A lease that ends without a result is taken over, and the late worker's result is dropped."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    chunk_id = queue.chunks.popleft()
    held = chunks.claim(home.database, chunk_id, "a worker that dies", 600)
    assert held is not None
    nightly.classify_chunk(pipeline, chunk_id)
    assert set(_states(home, run_id).values()) == {ImageState.PENDING}
    _age(home, tables.chunks.c.lease_until)
    nightly.sweep(pipeline)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)
    with pytest.raises(chunks.LeaseLostError):
        chunks.store(home.database, held, [])


def test_a_scan_that_was_cut_short_goes_on(home: Installation) -> None:
    """The sweep starts a scan again whose worker died in the middle of it, in the same run."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    bundle = find_bundle(home.settings.models_dir, home.settings.model)
    request = RunRequest("request", RunKind.NIGHTLY, None, bundle.ref, bundle.digest, {})
    run_id = runs.open_run(home.database, request)
    nightly.sweep(pipeline)
    assert not queue.scans
    _age(home, tables.runs.c.touched_at)
    nightly.sweep(pipeline)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_a_move_that_was_cut_short_is_finished(home: Installation) -> None:
    """A disk that refuses leaves the result stored and the chunk open; afterwards the rest is moved."""
    write_images(home.settings.incoming_dir, 5)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    chunk_id = queue.chunks.popleft()
    home.settings.archive_dir.parent.mkdir(exist_ok=True)
    home.settings.archive_dir.write_text("a file where the folder should be")
    with pytest.raises(TransientFault, match="cannot be moved"):
        nightly.classify_chunk(pipeline, chunk_id)
    home.settings.archive_dir.unlink()
    nightly.classify_chunk(pipeline, chunk_id)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_a_report_that_cannot_be_written_leaves_the_run_open(home: Installation) -> None:
    """A run is closed with its report or not at all; the sweep tries again."""
    write_images(home.settings.incoming_dir, 2)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    home.settings.report_dir.write_text("a file where the folder should be")
    with pytest.raises(TransientFault, match="cannot be written"):
        queue.deliver(pipeline)
    home.settings.report_dir.unlink()
    nightly.sweep(pipeline)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_seen(home: Installation) -> None:
    """The new file stays in the intake for the next scan; the row says `changed`."""
    path = write_images(home.settings.incoming_dir, 1)[0]
    pipeline, queue = home.inline()
    first = nightly.scan(pipeline, "first")
    path.write_bytes(path.read_bytes() + b"more")
    newer = digests(home.settings.incoming_dir)
    queue.deliver(pipeline)
    assert [image.code for image in images.results(home.database, first)] == ["changed"]
    second = nightly.scan(pipeline, "second")
    queue.deliver(pipeline)
    assert_promise_kept(home, second, newer)


def test_a_file_that_vanished_is_a_row(home: Installation) -> None:
    """A file that somebody removed after the scan is counted, with its reason."""
    paths = write_images(home.settings.incoming_dir, 2)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    paths[0].unlink()
    queue.deliver(pipeline)
    found = {image.path: image.code for image in images.results(home.database, run_id)}
    assert found == {paths[0]: "vanished", paths[1]: None}


def test_ad_hoc_files_stay_where_they_are(home: Installation, tmp_path: Path) -> None:
    """`classify_paths` answers once for every name, however often it is asked, and moves nothing."""
    paths = write_images(tmp_path / "elsewhere", 12)
    names = [str(path) for path in [*paths, paths[0]]] + ["/nowhere/gone.png"]
    before = digests(tmp_path / "elsewhere")
    pipeline, queue = home.inline()
    run_ids = [nightly.classify_paths(pipeline, request, names) for request in ("a", "a", "b")]
    queue.deliver(pipeline)
    assert run_ids[0] == run_ids[1] != run_ids[2]
    for run_id in set(run_ids):
        found = list(images.results(home.database, run_id))
        assert [image.state for image in found] == ["classified"] * 12 + ["quarantined"]
        assert found[-1].code == "vanished"
    assert digests(tmp_path / "elsewhere") == before


def test_a_chunk_that_kills_every_worker_ends_as_failed(home: Installation) -> None:
    """After MAX_ATTEMPTS claims without a result the images are failed and set aside, not tried for ever."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    chunk_id = queue.chunks[0]
    for _ in range(home.settings.max_attempts):
        assert chunks.claim(home.database, chunk_id, "a worker that dies", 600)
        _age(home, tables.chunks.c.lease_until)
    queue.deliver(pipeline)
    assert set(_states(home, run_id).values()) == {ImageState.FAILED}
    assert_promise_kept(home, run_id, came_in)


def test_a_missing_model_marks_no_image(home: Installation) -> None:
    """A bundle that is gone stops the chunk with a sentence; after the repair the work goes on."""
    write_images(home.settings.incoming_dir, 3)
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    chunk_id = queue.chunks[0]
    folder = home.settings.models_dir / "stub"
    shutil.move(folder, folder.with_name("hidden"))
    for _ in range(home.settings.max_attempts + 1):
        with pytest.raises(ConfigFault, match="no model bundle"):
            nightly.classify_chunk(pipeline, chunk_id)
    assert set(_states(home, run_id).values()) == {ImageState.PENDING}
    shutil.move(folder.with_name("hidden"), folder)
    queue.deliver(pipeline)
    assert_promise_kept(home, run_id, came_in)


def test_a_missing_intake_folder_opens_no_run(home: Installation) -> None:
    """A scan of a folder that is not there is refused with what to do, and leaves no row."""
    home.settings.incoming_dir.rmdir()
    pipeline, _ = home.inline()
    with pytest.raises(ConfigFault, match="does not exist"):
        nightly.scan(pipeline, "request")
    assert runs.latest(home.database, 10) == []


def test_names_that_are_no_text_are_kept(home: Installation) -> None:
    """A name of any bytes, also of 255, is classified, stored and archived under its own name."""
    folder = os.fsencode(home.settings.incoming_dir)
    source = write_images(home.settings.incoming_dir / "source", 1)[0]
    names = [
        b"caf\xe9.png",
        "日本 🙂.png".encode(),
        b"two\nlines.png",
        b"back\\slash.png",
        b"-rf.png",
        b"x" * 251 + b".png",
    ]
    for name in names:
        shutil.copy(os.fsencode(source), folder + b"/" + name)
    source.unlink()
    came_in = digests(home.settings.incoming_dir)
    pipeline, queue = home.inline()
    run_id = nightly.scan(pipeline, "request")
    queue.deliver(pipeline)
    found = list(images.results(home.database, run_id))
    assert {os.fsencode(image.path.name) for image in found} == set(names)
    assert {image.state for image in found} == {"classified"}
    assert digests(home.settings.archive_dir) == came_in


def _age(home: Installation, column: sa.Column[object]) -> None:
    """Set a moment back by a day, as if that much time had passed."""
    with home.database.write() as connection:
        connection.execute(sa.update(column.table).values({column.name: utc_now() - timedelta(days=1)}))
