"""The closing of a run: one process does it, for as long as it takes, and another after a failure."""

import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import run_closing, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import reports
from returns_pipeline.usecases.closing import CLOSING_LEASES, close_run
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, assert_promise_kept, digests, write_images

#: Long enough for a busy machine.
_LEASE = 2.0


def _complete(home: Installation) -> tuple[Context, InProcessQueue, int, Counter[str]]:
    """Return a complete run that no message closes, and the digests of its photos."""
    write_images(home.settings.incoming_dir, 2)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    context = replace(context, settings=context.settings.model_copy(update={"lease_seconds": _LEASE}))
    run_id = scan(context, "request")
    queue.deliver_one(context)
    queue.lose_everything()
    return context, queue, run_id, came_in


def test_a_closing_is_held_while_it_goes_on(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that takes several leases is written once; the sweep sends its closing to no other process."""
    context, _, run_id, came_in = _complete(home)
    write, begun, refused = reports.write, [], []

    def slow(*arguments: Any) -> Any:
        begun.append(run_id)
        until = time.monotonic() + 2 * _LEASE
        while time.monotonic() < until:
            refused.append(run_closing.to_close(home.database, _LEASE) == [])
            time.sleep(_LEASE / 10)
        return write(*arguments)

    monkeypatch.setattr(reports, "write", slow)
    close_run(context, run_id)
    assert begun == [run_id]
    assert all(refused)
    assert_promise_kept(home, run_id, came_in)


def test_a_closing_of_a_killed_process_is_taken_over(home: Installation) -> None:
    """After its leases the sweep sends the closing again; a process that comes back late changes nothing."""
    context, queue, run_id, came_in = _complete(home)
    token = run_closing.begin_closing(home.database, run_id, _LEASE)
    assert token is not None
    sweep(context)
    assert queue.waiting(Task.CLOSE_RUN) == []
    _touch(home, utc_now() - timedelta(seconds=CLOSING_LEASES * _LEASE + 1))
    sweep(context)
    assert queue.waiting(Task.CLOSE_RUN) == [run_id]
    summary = run_closing.closing_summary(home.database, run_id, utc_now())
    other = run_closing.begin_closing(home.database, run_id, CLOSING_LEASES * _LEASE)
    assert other is not None
    assert run_closing.renew_closing(home.database, run_id, token) is None
    assert not run_closing.close(home.database, summary, token)
    run_closing.abandon_closing(home.database, run_id, token)
    assert run_closing.renew_closing(home.database, run_id, other) is not None
    _touch(home, utc_now() - timedelta(seconds=CLOSING_LEASES * _LEASE + 1))
    queue.deliver(context)
    assert runs.existing(home.database, run_id).state is RunState.CLOSED
    assert_promise_kept(home, run_id, came_in)


def _touch(home: Installation, moment: datetime) -> None:
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(touched_at=moment))


def test_a_report_that_fails_is_tried_again(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an unexpected error in closing, the next sweep closes the run, without waiting for a lease."""
    write_images(home.settings.incoming_dir, 2)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    with monkeypatch.context() as broken:
        broken.setattr("returns_pipeline.usecases.reports.write_report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            queue.deliver(context)
    sweep(context)
    assert queue.waiting(Task.CLOSE_RUN) == [run_id]
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)
