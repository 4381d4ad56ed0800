"""Runs on real databases, with the stub model and a queue that delivers on demand."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault, RefusedError
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.runs import RunKind, RunRequest, RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import images, resending, runs
from returns_pipeline.usecases.chunks import classify_chunk
from returns_pipeline.usecases.closing import close_run
from returns_pipeline.usecases.context import queue_of
from returns_pipeline.usecases.runs import classify_paths, retry, scan
from tests.support import Installation, assert_promise_kept, digests, states, write_images


def test_a_run_keeps_the_promise(home: Installation) -> None:
    """Every file in the intake is classified or quarantined, moved, and counted once."""
    incoming = home.settings.incoming_dir
    write_images(incoming / "counter 1", 25)
    (incoming / "empty.png").touch()
    (incoming / "notes.jpg").write_text("not an image")
    came_in = digests(incoming)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)
    found = states(home, run_id)
    assert found["empty.png"] == found["notes.jpg"] == ImageState.QUARANTINED
    assert list(found.values()).count(ImageState.CLASSIFIED) == 25
    assert not [path for path in incoming.rglob("*") if path.is_file()]


def test_the_same_names_may_come_back(home: Installation) -> None:
    """An image is identified by its row, not by its name: a new photo with an old name is another image."""
    context, queue = home.in_process()
    came_in = digests(home.settings.incoming_dir)
    for night in range(2):
        path = write_images(home.settings.incoming_dir, 1)[0]
        with path.open("ab") as stream:
            stream.write(bytes([night]))
        came_in += digests(home.settings.incoming_dir)
        scan(context, f"night {night}")
        queue.deliver(context)
    assert digests(home.settings.archive_dir) == came_in
    assert came_in.total() == 2


def test_two_scans_never_take_the_same_file(home: Installation) -> None:
    """A file in the intake belongs to one row, however many scans find it."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    first = scan(context, "first")
    second = scan(context, "second")
    queue.deliver(context)
    assert_promise_kept(home, first, came_in)
    empty = runs.find(home.database, second)
    assert empty is not None
    assert (empty.state, empty.counts.seen) == (RunState.CLOSED, 0)


def test_a_scan_that_is_delivered_twice_is_one_run(home: Installation) -> None:
    """The second delivery has the same request id, so it continues the run of the first one."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "same")
    assert scan(context, "same") == run_id
    queue.deliver(context)
    assert scan(context, "same") == run_id
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_chunk_that_is_delivered_twice_counts_once(home: Installation) -> None:
    """A chunk that is delivered again while open, when done, and after the run closed counts once."""
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    twice = queue.waiting(Task.CLASSIFY_CHUNK) * 2
    queue.messages.extend([*queue.messages, *queue.messages])
    queue.deliver(context)
    for chunk_id in twice:
        classify_chunk(context, chunk_id, "message")
    close_run(context, run_id)
    assert_promise_kept(home, run_id, came_in)


def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_seen(home: Installation) -> None:
    """The new file stays in the intake for the next scan; the row says `changed`."""
    path = write_images(home.settings.incoming_dir, 1)[0]
    context, queue = home.in_process()
    first = scan(context, "first")
    path.write_bytes(path.read_bytes() + b"more")
    newer = digests(home.settings.incoming_dir)
    queue.deliver(context)
    assert [image.code for image in images.results(home.database, first)] == ["changed"]
    second = scan(context, "second")
    queue.deliver(context)
    assert_promise_kept(home, second, newer)


def test_a_file_that_vanished_is_a_row(home: Installation) -> None:
    """A file that was deleted after the scan is counted, with its reason."""
    paths = write_images(home.settings.incoming_dir, 2)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    paths[0].unlink()
    queue.deliver(context)
    found = {image.path: image.code for image in images.results(home.database, run_id)}
    assert found == {str(paths[0]): "vanished", str(paths[1]): None}


def test_ad_hoc_files_stay_where_they_are(home: Installation, tmp_path: Path) -> None:
    """`classify_paths` classifies every name once, even if it is given twice, and moves nothing."""
    paths = write_images(tmp_path / "elsewhere", 12)
    names = [str(path) for path in [*paths, paths[0]]] + ["/nowhere/gone.png"]
    before = digests(tmp_path / "elsewhere")
    context, queue = home.in_process()
    run_ids = [classify_paths(context, request, names) for request in ("a", "a", "b")]
    queue.deliver(context)
    assert run_ids[0] == run_ids[1] != run_ids[2]
    for run_id in set(run_ids):
        found = list(images.results(home.database, run_id))
        assert [image.state for image in found] == ["classified"] * 12 + ["quarantined"]
        assert found[-1].code == "vanished"
    assert digests(tmp_path / "elsewhere") == before


def test_retry_classifies_quarantined_images(home: Installation) -> None:
    """A retried image gets a row in a new run and is moved by its new result; a second retry finds none."""
    bad = home.settings.incoming_dir / "image_1_label_0.png"
    bad.write_bytes(b"")
    context, queue = home.in_process()
    first = scan(context, "request")
    queue.deliver(context)
    (quarantined,) = images.results(home.database, first)
    assert quarantined.archived_path is not None
    good = write_images(home.settings.home / "repaired", 1)[0]
    shutil.copy(good, quarantined.archived_path)
    second = retry(context, "again", first)
    queue.deliver(context)
    (retried,) = images.results(home.database, second)
    assert (retried.state, retried.label) == (ImageState.CLASSIFIED, "dark")
    assert retried.archived_path is not None
    assert Path(retried.archived_path).is_relative_to(home.settings.archive_dir)
    assert not Path(quarantined.archived_path).exists()
    third = retry(context, "once more", None)
    queue.deliver(context)
    assert list(images.results(home.database, third)) == []


def test_a_missing_intake_folder_opens_no_run(home: Installation) -> None:
    """The scan of a missing folder is refused with advice, and inserts no row."""
    home.settings.incoming_dir.rmdir()
    context, _ = home.in_process()
    with pytest.raises(ConfigFault, match="does not exist"):
        scan(context, "request")
    assert runs.latest(home.database, 10) == []


def test_names_of_any_bytes_are_kept(home: Installation) -> None:
    """A file whose name is not UTF-8, or has 255 bytes, is classified, stored and archived under its name."""
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
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    found = list(images.results(home.database, run_id))
    assert {os.fsencode(image.name) for image in found} == set(names)
    assert {image.state for image in found} == {"classified"}
    assert digests(home.settings.archive_dir) == came_in


def test_a_scan_never_takes_the_programs_own_files(home: Installation) -> None:
    """A folder that contains the database, archive or models, or is inside one, is refused and unchanged."""
    settings = home.settings
    write_images(settings.incoming_dir, 1)
    context, queue = home.in_process()
    scan(context, "request")
    queue.deliver(context)
    before = digests(settings.home)
    own = [settings.home, settings.home.parent, settings.archive_dir, settings.archive_dir / "run-1"]
    for folder in [*own, settings.models_dir / "stub", settings.incoming_dir / ".." / "archive"]:
        with pytest.raises(RefusedError, match="cannot be scanned"):
            scan(context, f"scan of {folder}", folder)
    assert digests(settings.home) == before
    assert len(runs.latest(home.database, 10)) == 1


def test_a_file_that_is_moved_while_it_is_scanned_is_counted_once(home: Installation) -> None:
    """A scan that listed a file before another run's worker moved it inserts no row for it."""
    write_images(home.settings.incoming_dir, 10)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    listed = list(FolderSource().find(str(home.settings.incoming_dir)))
    first = scan(context, "first")
    queue.deliver(context)
    bundle = find_bundle(home.settings.models_dir, home.settings.model)
    second = runs.open_run(
        home.database, RunRequest("late", RunKind.NIGHTLY, None, bundle.ref, bundle.digest, {})
    )
    assert runs.add_chunks(home.database, second, [listed], FolderSource().unchanged) == []
    assert_promise_kept(home, first, came_in)


def test_archiving_overwrites_no_file_of_another_installation(home: Installation) -> None:
    """If an archive path is taken, for example by an older database, nothing is overwritten or deleted."""
    path = write_images(home.settings.incoming_dir, 1)[0]
    came_in = digests(home.settings.incoming_dir)
    stranger = home.settings.archive_dir / "run-1" / "1" / f"1-{path.name}"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"an older photo")
    context, queue = home.in_process()
    run_id = scan(context, "request")
    with pytest.raises(ConfigFault, match="another file"):
        queue.deliver(context)
    assert digests(home.settings.incoming_dir) == came_in
    assert stranger.read_bytes() == b"an older photo"
    stranger.unlink()
    _resend(home, queue)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_file_that_cannot_be_moved_does_not_stop_the_others(home: Installation) -> None:
    """The other files of its chunk are moved; the run closes once this file can be moved."""
    write_images(home.settings.incoming_dir, 5)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    first = next(images.results(home.database, run_id))
    in_the_way = home.settings.archive_dir / "run-1" / "1" / f"{first.id}-{first.name}"
    in_the_way.mkdir(parents=True)
    with pytest.raises(ConfigFault):
        queue.deliver(context)
    assert digests(home.settings.incoming_dir).total() == 1
    in_the_way.rmdir()
    _resend(home, queue)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_bundle_that_was_replaced_is_not_used_by_open_runs(home: Installation) -> None:
    """A run uses exactly the model that it was opened for, not the present bundle of that name."""
    write_images(home.settings.incoming_dir, 2)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    bundle = find_bundle(home.settings.models_dir, home.settings.model)
    replace(bundle, labels=("a", "b", "c", "d")).save()
    with pytest.raises(ConfigFault, match="not the one"):
        queue.deliver(context)
    assert set(states(home, run_id).values()) == {ImageState.PENDING}


def _resend(home: Installation, queue: InProcessQueue) -> None:
    """Send every open chunk, as the sweep does after a while."""
    for chunk_id, kind, _ in resending.lost(home.database, 0, 10):
        queue.send(Task.CLASSIFY_CHUNK, chunk_id, queue=queue_of(kind))
