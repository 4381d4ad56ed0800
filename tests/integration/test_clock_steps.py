"""A machine's clock was ahead and is right again: what was taken in that future blocks nothing now."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from beat_schedule import Every
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import chunks, jobs, resending, review_queue, run_closing, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import schedule
from returns_pipeline.usecases.runs import scan, scan_night
from returns_pipeline.usecases.sweep import sweep
from returns_pipeline.usecases.uploads import write_spool
from tests.support import Installation, assert_promise_kept, digests, sent, write_images

_AHEAD = [timedelta(minutes=10), timedelta(days=40)]


def _set(home: Installation, table: sa.Table, **moments: datetime) -> None:
    """Write moments as a machine does whose clock is ahead."""
    with home.database.write() as connection:
        connection.execute(sa.update(table).values(moments))


@pytest.mark.parametrize("ahead", _AHEAD, ids=str)
def test_a_lease_from_the_future_is_taken_over(home: Installation, ahead: timedelta) -> None:
    """Its process died while the clock was ahead: the sweep sends the chunk, another process claims it."""
    write_images(home.settings.incoming_dir, 10)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    seconds = home.settings.lease_seconds
    assert chunks.claim(home.database, chunk_id, "dead", "host:1", seconds) is not None
    until = utc_now() + timedelta(seconds=seconds)
    assert chunks.claim(home.database, chunk_id, "other", "host:2", seconds) is None
    _set(home, tables.chunks, lease_until=until + ahead, sent_at=utc_now() + ahead)
    sweep(context)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_clock_that_is_a_little_ahead_takes_no_lease_away(home: Installation) -> None:
    """Machines may differ by less than a lease: a valid lease of the faster one stays valid."""
    write_images(home.settings.incoming_dir, 1)
    context, queue = home.in_process()
    scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    assert chunks.claim(home.database, chunk_id, "one", "host:1", 60) is not None
    _set(home, tables.chunks, lease_until=utc_now() + timedelta(seconds=60 + 50))
    assert chunks.claim(home.database, chunk_id, "other", "host:2", 60) is None


@pytest.mark.parametrize("ahead", _AHEAD, ids=str)
def test_open_work_from_the_future_is_sent_again(home: Installation, ahead: timedelta) -> None:
    """A lost chunk, an interrupted scan, a job and a closing that were written by a clock that was ahead."""
    write_images(home.settings.incoming_dir, 5)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.take(Task.CLASSIFY_CHUNK)
    _set(home, tables.chunks, sent_at=utc_now() + ahead)
    assert [found[0] for found in resending.lost(home.database, 60, 10)]
    future = utc_now() + ahead
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(state=RunState.SCANNING, touched_at=future))
    assert [request for request, _ in runs.interrupted_scans(home.database, 60)] == ["request"]
    jobs.add(home.database, "job", JobKind.SCAN, None, "anna")
    _set(home, tables.jobs, created_at=future)
    assert [job.id for job in jobs.not_begun(home.database, 60)] == ["job"]
    with home.database.write() as connection:
        connection.execute(sa.update(tables.chunks).values(state="done"))
        connection.execute(sa.update(tables.runs).values(state=RunState.CLOSING, touched_at=future))
    lease = 60 if ahead < timedelta(days=1) else 900
    assert run_closing.to_close(home.database, lease) == [run_id]
    assert run_closing.begin_closing(home.database, run_id, lease) is not None


def test_a_night_of_the_future_does_not_stop_tonights(home: Installation) -> None:
    """The clock was a day ahead at the night's time. When that night comes, its photos are scanned."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 3)
    now = utc_now()
    tomorrow = now + timedelta(days=1)
    (early,) = scan_night(context, tomorrow)
    queue.deliver(context)
    _set(home, tables.runs, opened_at=tomorrow)
    sweep(context, now)
    queue.deliver(context)
    write_images(home.settings.incoming_dir, 4, start=50)
    (true,) = scan_night(context, tomorrow)
    queue.deliver(context)
    assert true != early
    assert runs.existing(home.database, true).counts.classified == 4
    night = schedule.night_request(schedule.last_due(home.settings, tomorrow))
    assert runs.find_request(home.database, night) == true


def test_a_first_run_of_the_future_does_not_hide_a_missed_night(home: Installation) -> None:
    """A night counts as missed if a run existed before; a run of the future counts as earlier."""
    context, queue = home.in_process()
    scan(context, "first")
    queue.deliver(context)
    _set(home, tables.runs, opened_at=utc_now() + timedelta(days=30))
    sweep(context)
    assert len(queue.waiting(Task.SCAN)) == 1


def test_a_day_of_uploads_of_the_future_ends_now(home: Installation) -> None:
    """Its run closes, and when that day comes, uploads open a run of their own."""
    context, queue = home.in_process()
    first = sent(context, write_spool(context, [("a.png", b"x")]))
    _set(home, tables.runs, opened_at=utc_now() + timedelta(days=2))
    sweep(context)
    queue.deliver(context)
    sweep(context)
    queue.deliver(context)
    run = runs.existing(home.database, first.run_id)
    assert (run.kind, run.state) == (RunKind.API, RunState.CLOSED)
    assert run.seconds == 0
    assert sent(context, write_spool(context, [("b.png", b"x")])).run_id != first.run_id


def test_a_hold_of_the_future_is_free_for_other_reviewers(home: Installation) -> None:
    """An image that a reviewer took while the clock was ahead is not lost to the others."""
    settings = home.settings.model_copy(update={"audit_share": 1.0})
    write_images(settings.incoming_dir, 1)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    review_queue.enqueue(home.database, run_id, 1.0)
    assert review_queue.take(home.database, "anna", 300) is not None
    assert review_queue.take(home.database, "ben", 300) is None
    _set(home, tables.reviews, held_until=utc_now() + timedelta(days=1))
    assert review_queue.take(home.database, "ben", 300) is not None


def test_beat_sweeps_although_its_last_sweep_lies_in_the_future() -> None:
    """Beat keeps the time of its last sweep in a file; a time of the future counts as long ago."""
    now = datetime(2026, 5, 4, 2, tzinfo=UTC)
    sweeping = Every(60.0, nowfun=lambda: now)
    for last, is_due in ((0, False), (-30, False), (-61, True), (3600, True), (86_400 * 30, True)):
        assert sweeping.is_due(now + timedelta(seconds=last)).is_due == is_due
