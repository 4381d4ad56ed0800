"""Faults of processes that run more than once: two control workers, two beats."""

import signal
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.records.runs import NIGHTS
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import runs, tables
from tests.faults.night import Night, digests_of, log_of, until
from tests.receivers import SECRET, Receiver, receiver

_BEATS = ("beat-1", "beat-2")
_ENTRIES = "sweep,nightly-scan"


def two_of_each(night: Night) -> int:
    """Two beats with one schedule file and two control workers request, close, match and tell the same.

    One beat is stopped for a run and continues in the next one, while the other beat is dead.
    """
    database = night.home.database
    with receiver() as outside:
        night.worker_environment |= {
            "RETURNS_WEBHOOKS": f"{outside.url}/hook",
            "RETURNS_WEBHOOK_SECRET": SECRET,
            "RETURNS_NOTICE_EVENTS": "run.finished",
        }
        originals = [(path, path.read_bytes()) for path in night.images(max(20, int(1000 * night.scale)))]
        for number in (1, 2):
            night.start_worker(f"control-{number}", "-Q", "control", "-c", "2")
        night.start_worker("cpu", "-Q", "interactive,bulk")
        first, second = (night.start_beat(name, _ENTRIES) for name in _BEATS)
        until(lambda: len(runs.latest(database, 9)) == 1)
        _crowd(night, 1)
        first.send_signal(signal.SIGSTOP)
        for path, content in originals:
            again = path.with_name(f"again_{path.name}")
            again.write_bytes(content)
            night.came_in += digests_of(again)
        night.scan()
        _crowd(night, 2)
        night.kill(second)
        night.processes.release(_BEATS[1])
        first.send_signal(signal.SIGCONT)
        night.images(20, "later")
        night.scan()
        _crowd(night, 3)
        night.finish(night.scan())
        count = len(runs.latest(database, 9))
        until(lambda: len(outside.requests) >= count, 60, "the runs are told")
        until(lambda: not _is_uncompared(night), 60, "the photos are compared")
        assert first.poll() is None, night.ended(first)
        _require_once(night, outside, len(originals))
    return 2 * len(_BEATS)


def _crowd(night: Night, count: int) -> None:
    """Ask several times for all that closes the newest of `count` runs and follows, until all are closed."""
    database = night.home.database

    def is_closed() -> bool:
        found = runs.latest(database, 9)
        if len(found) >= count and not runs.unclosed(database):
            return True
        if night.queue().lengths()["control"] < 20:
            for _ in range(4):
                for run in runs.unclosed(database):
                    night.queue().send(Task.CLOSE_RUN, run.id)
                night.queue().send(Task.MATCH_PHOTOS)
                night.queue().send(Task.DELIVER_NOTICES)
        return False

    until(is_closed, 180, night.hint)


def _require_once(night: Night, outside: Receiver, copies: int) -> None:
    """Raise AssertionError unless there is one night, one notice of each run, and one match of each copy."""
    found = runs.latest(night.home.database, 9)
    assert len([run for run in found if run.kind in NIGHTS]) == 1, found
    told = Counter((request.content["type"], request.content["data"]["run"]) for request in outside.requests)
    assert told == Counter(("run.finished", run.id) for run in found), told
    closed = Counter(line.split("run=")[1].split()[0] for line in _lines(night, "run_closed"))
    assert closed == Counter(str(run.id) for run in found), closed
    matches = sa.select(tables.image_matches.c.image_id).where(tables.image_matches.c.kind == "exact")
    with night.home.database.read() as connection:
        matched = Counter(connection.execute(matches).scalars())
    assert (len(matched), set(matched.values())) == (copies, {1}), matched
    reports = [path for run in found for path in (run.csv, run.report)]
    assert len(set(reports)) == len(reports)
    assert all(path is not None and Path(path).is_file() for path in reports), reports


def _lines(night: Night, event: str) -> list[str]:
    return [line for line in log_of(night).splitlines() if event in line]


def _is_uncompared(night: Night) -> bool:
    with night.home.database.read() as connection:
        return connection.execute(sa.select(tables.uncompared_chunks.c.chunk_id).limit(1)).first() is not None
