"""The faults. Each function inflicts one on a night and returns how often; the caller audits afterwards."""

import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from returns_pipeline.broker.app import make_app
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import BULK, Task
from returns_pipeline.store import runs, tables
from tests import places
from tests.databases import postgres_away
from tests.faults import stores
from tests.faults.feeds import kill_fetching
from tests.faults.files import (
    change_files,
    deadly_image,
    fill_the_disk,
    hanging_image,
    no_report_folder,
    odd_files,
)
from tests.faults.intake import (
    clock_step,
    dates_in_the_future,
    immovable_photo,
    nas_folders,
    reserved_space,
    stalled_move,
    unmounted_intake,
)
from tests.faults.night import Night, log_of, scanned, signal_all, until
from tests.faults.products import kill_product_comparisons
from tests.faults.redis import fail_over, full_redis, read_only_redis
from tests.faults.removal import kill_deletions
from tests.faults.returns import kill_judges
from tests.faults.reuse import kill_comparisons
from tests.faults.twins import two_of_each
from tests.faults.up import kill_a_child_of_up
from tests.support import states

SLOW = {"FAULT_SECONDS": "0.004"}


@dataclass(frozen=True)
class Fault:
    """One fault, with the databases and the settings for it.

    `tested_on` are the databases of the quick tests. `make faults` uses all of `databases`. With
    `has_sentinels` the broker is a master with a replica and Sentinels, with `has_twins` two control workers
    and two beats run. `places` says where the photos lie: in a `folder`, or in `s3`, where one database is
    enough.
    """

    name: str
    inflict: Callable[[Night], int]
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    tested_on: tuple[str, ...] = ("sqlite", "postgresql")
    settings: dict[str, Any] = field(default_factory=dict)
    has_sentinels: bool = False
    has_twins: bool = False
    places: tuple[str, ...] = ("folder",)

    def cases(self, *, quick: bool = False) -> list[tuple[str, str]]:
        """Return each kind of database with each kind of place that this fault is inflicted on.

        `quick`: those of the test suite. There the night in an object store is that of PostgreSQL.
        """
        kinds = [kind for kind in self.databases if not quick or kind in self.tested_on]
        if quick and "s3" in self.places:
            kinds = kinds[:-1] or kinds
        return [
            (kind, place)
            for place in self.places
            for kind in (kinds if place == "folder" else [self.databases[-1]])
        ]


def kill_children(night: Night) -> int:
    """SIGKILL to a random child, or to every fourth time the whole worker, throughout one run."""
    count, kills = int(5000 * night.scale), max(4, int(20 * night.scale))
    night.images(count)
    night.worker_environment |= SLOW
    worker = night.start_worker()
    request = night.scan()
    for number in range(kills):
        reached = count * number // (kills + 4)
        until(partial(night.progressed, request, reached))
        children = night.children(worker)
        if number % 4 == 3 or not children:
            night.kill(worker)
            worker = night.start_worker()
        else:
            signal_all([night.random.choice(children)], signal.SIGKILL)
    night.finish(request, 300)
    return kills


def terminate(night: Night) -> int:
    """SIGTERM in the middle of a chunk, once and twice: it is finished or released before its lease ends."""
    night.images(400)
    night.worker_environment |= SLOW
    request = ""
    for times in (1, 2):
        worker = night.start_worker(f"worker{times}")
        request = request or night.scan()
        until(partial(night.progressed, request, 50 * times))
        for _ in range(times):
            worker.terminate()
            time.sleep(0.3)
        worker.wait(30)
        night.processes.release(f"worker{times}")
    night.start_worker()
    night.finish(request)
    return 3


def flush(night: Night) -> int:
    """FLUSHALL in the middle of a run."""
    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    for part in (1, 3):
        until(partial(night.progressed, request, 50 * part))
        with make_app(night.home.settings).connection_for_write() as connection:
            channel: Any = connection.default_channel
            channel.client.flushall()
    night.finish(request)
    return 2


def restart_redis(night: Night) -> int:
    """SIGKILL to Redis in the middle of a run; it restarts later without its data."""
    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 100))
    _restart_redis(night)
    night.finish(request)
    return 1


def no_redis_while_scanning(night: Night) -> int:
    """Kill Redis while a scan sends chunks: every file has its row, and the sweep sends the chunks."""
    night.images(int(20_000 * night.scale))
    night.start_worker()
    request = night.scan()
    until(lambda: night.run_of(request) is not None)
    _restart_redis(night)
    night.finish(request, 180)
    return 1


def restart_postgres(night: Night) -> int:
    """Immediate shutdown of PostgreSQL in the middle of a run; it restarts later."""
    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 100))
    with postgres_away(night.home.settings.database_url):
        time.sleep(max(2, 30 * night.scale))
    night.finish(request)
    return 1


def lock_sqlite(night: Night) -> int:
    """Another writer holds SQLite's lock in the middle of a run."""
    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 50))
    connection = sqlite3.connect(night.home.database.url.database or "", isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(max(3, 20 * night.scale))
    connection.rollback()
    connection.close()
    night.finish(request)
    return 1


def deliver_twice(night: Night) -> int:
    """Every chunk's message several times at the same moment, and again after the run has closed."""
    night.images(400)
    request = night.scan()
    night.start_worker()
    until(lambda: scanned(night, request))
    chunks = _chunks(night)
    for _ in range(3):
        for chunk_id in chunks:
            night.queue().send(Task.CLASSIFY_CHUNK, chunk_id, queue=BULK)
    night.finish(request)
    for chunk_id in _chunks(night):
        night.queue().send(Task.CLASSIFY_CHUNK, chunk_id, queue=BULK)
    until(lambda: not night.queue().lengths()[BULK])
    return 3 * len(chunks)


def simultaneous_scans(night: Night) -> int:
    """Several scans at the same moment, and two beats that send the same nightly scan."""
    night.images(1000)
    night.start_worker("one")
    night.start_worker("two")
    requests = [night.scan() for _ in range(4)]
    for _ in range(2):
        night.queue().send(Task.SCAN, None, True)
    for request in requests:
        until(partial(night.closed, request))
    until(lambda: len(runs.latest(night.home.database, 10)) == len(requests) + 1)
    until(lambda: not runs.unclosed(night.home.database))
    return len(requests) + 2


def broken_bundle(night: Night) -> int:
    """Break the bundle while workers run: images stay pending, and are classified after the repair.

    Of a bundle that breaks in a store, the copies on the machines serve on.
    """
    night.images(400)
    night.worker_environment |= SLOW
    # A new process for every chunk, which loads the model again.
    worker = night.start_worker("worker", *([] if night.store else ["--max-tasks-per-child", "1"]))
    request = night.scan()
    until(lambda: night.progressed(request, 50))
    settings = night.home.settings
    models = folder_of(settings.models_store) if night.store else settings.models_dir
    manifest = models / "stub" / "1" / "bundle.json"
    content = places.read(manifest) or b""
    places.write(manifest, b"{")
    if night.store:
        night.kill(worker)
        night.start_worker()
    until(lambda: ("bundle_left_out" if night.store else "ConfigFault") in log_of(night))
    places.write(manifest, content)
    night.finish(request)
    assert set(states(night.home, 1).values()) == {"classified"}
    return 1


def replace_children(night: Night) -> int:
    """Replace every child after one task: the replacements classify too."""
    night.images(600)
    worker = night.start_worker("worker", "--max-tasks-per-child", "1")
    seen: set[int] = set()
    request = night.scan()
    while not night.closed(request):
        seen |= {child.pid for child in night.children(worker)}
        time.sleep(0.02)
    night.finish(request)
    assert len(seen) >= 6, f"only {len(seen)} processes were seen"
    return len(seen)


def leak(night: Night) -> int:
    """Let a model leak memory: its process is replaced at the memory limit, without losing its chunk."""
    night.images(1000)
    night.worker_environment |= {"FAULT_LEAK_MB": "40"}
    worker = night.start_worker()
    seen: set[int] = set()
    request = night.scan()
    while not night.closed(request):
        seen |= {child.pid for child in night.children(worker)}
        time.sleep(0.02)
    night.finish(request)
    assert len(seen) > 2, "no process was replaced"
    return len(seen) - 2


def missed_night(night: Night) -> int:
    """Switch the machine off at the time of the scan: exactly one run catches up, despite many sweeps."""
    control = night.start_worker("control", "-Q", "control", "-c", "1")
    first = night.scan()
    until(lambda: night.closed(first))
    night.kill(control)
    night.processes.release("control")
    night.images(100)
    with night.home.database.write() as connection:
        moment = connection.execute(sa.select(sa.func.min(tables.runs.c.opened_at))).scalar_one()
        assert moment is not None
        connection.execute(sa.update(tables.runs).values(opened_at=moment - timedelta(days=3)))
    night.start_worker()
    until(lambda: len(runs.latest(night.home.database, 9)) == 2, 120)
    until(lambda: not runs.unclosed(night.home.database))
    time.sleep(2)
    newest, _ = runs.latest(night.home.database, 9)
    assert newest.kind in {RunKind.CATCH_UP, RunKind.NIGHTLY}
    return 1


# For a fault that does not involve the database, the quick tests use one.
_SQLITE, _POSTGRESQL = ("sqlite",), ("postgresql",)
# What concerns the photos' files happens in a store too.
_BOTH, _S3 = ("folder", "s3"), ("s3",)

FAULTS = [
    Fault("workers and children are killed", kill_children, places=_BOTH),
    # With such a lease, a chunk that waited for its end would exceed the time limit of the test.
    Fault("SIGTERM once and twice", terminate, settings={"lease_seconds": 900}, places=_BOTH),
    Fault("FLUSHALL", flush, tested_on=_SQLITE),
    Fault("Redis is killed and loses its data", restart_redis, tested_on=_POSTGRESQL),
    Fault("no Redis while scanning", no_redis_while_scanning, tested_on=_SQLITE),
    Fault("PostgreSQL is shut down", restart_postgres, databases=("postgresql",)),
    Fault("SQLite is locked", lock_sqlite, databases=("sqlite",)),
    Fault("messages are delivered again", deliver_twice, places=_BOTH),
    Fault("simultaneous scans, two beats", simultaneous_scans, has_twins=True),
    Fault("the archive's disk is full", fill_the_disk, tested_on=_POSTGRESQL),
    Fault("the report folder is not writable", no_report_folder, tested_on=_SQLITE, places=_BOTH),
    Fault("files change after the scan", change_files, tested_on=_SQLITE, places=_BOTH),
    Fault("odd names, links, folders", odd_files, tested_on=_POSTGRESQL, settings={"chunk_size": 1000}),
    Fault("images that kill their worker", deadly_image, tested_on=_SQLITE, places=_BOTH),
    Fault(
        "an image that hangs",
        hanging_image,
        tested_on=_POSTGRESQL,
        settings={"chunk_seconds": 2, "lease_seconds": 4},
        places=_BOTH,
    ),
    Fault("a broken model bundle", broken_bundle, tested_on=_POSTGRESQL, places=_BOTH),
    Fault("children are replaced", replace_children, tested_on=_SQLITE),
    Fault("a worker leaks", leak, tested_on=_POSTGRESQL, settings={"worker_memory_mb": 250}),
    Fault("a missed night", missed_night, has_twins=True),
    Fault("Redis is full", full_redis, tested_on=_SQLITE),
    Fault("Redis is read-only after a failover", read_only_redis, tested_on=_POSTGRESQL),
    Fault("Sentinel fails over to a replica", fail_over, tested_on=_SQLITE, has_sentinels=True),
    Fault(
        "copies of full size that still arrive",
        reserved_space,
        tested_on=_SQLITE,
        settings={"settle_seconds": 0.5},
    ),
    Fault("folders of network drives", nas_folders, tested_on=_POSTGRESQL),
    Fault("dates in the future", dates_in_the_future, tested_on=_SQLITE, settings={"settle_seconds": 0.5}),
    Fault("the clock was a month ahead", clock_step, tested_on=_POSTGRESQL),
    Fault("photos that cannot be moved", immovable_photo, tested_on=_SQLITE, places=_BOTH),
    Fault(
        "a move stalls longer than its lease",
        stalled_move,
        tested_on=_POSTGRESQL,
        settings={"lease_seconds": 2, "chunk_seconds": 60},
        places=_BOTH,
    ),
    Fault("an intake that is not mounted", unmounted_intake, tested_on=_SQLITE),
    Fault("deletions are killed in the middle", kill_deletions, places=_BOTH),
    Fault(
        "a process dies between photos and verdicts",
        kill_judges,
        settings={"folder_pattern": "^(RMA-[0-9]+)$", "lease_seconds": 1},
    ),
    Fault("a process dies between photos and matches", kill_comparisons, settings={"lease_seconds": 1}),
    Fault(
        "a process dies between photos and products",
        kill_product_comparisons,
        settings={"file_pattern": "(R-[0-9]+)", "lease_seconds": 1},
    ),
    Fault(
        "a process dies while it fetches a feed",
        kill_fetching,
        tested_on=_SQLITE,
        settings={"lease_seconds": 1},
    ),
    Fault("two control workers, two beats, one stopped", two_of_each),
    Fault("a child of `up` ends again and again", kill_a_child_of_up, tested_on=_SQLITE),
    Fault("a store refuses requests for a while", stores.throttled, places=_S3),
    Fault("bodies end in the middle, responses are lost", stores.cut_off, places=_S3),
    Fault("a store answers slowly", stores.slow, places=_S3),
    Fault("a store refuses to write", stores.refused_writes, places=_S3),
    Fault("listings are stale", stores.stale_listings, places=_S3),
    Fault("credentials expire in the middle of a run", stores.expired_credentials, places=_S3),
    Fault("the store's clock is wrong", stores.skewed_clock, places=_S3, settings={"settle_seconds": 0.5}),
    Fault("odd keys", stores.odd_keys, places=_S3),
]


def _restart_redis(night: Night) -> None:
    """Kill Redis, wait, and start it without its data."""
    redis = night.processes.process("redis")
    redis.kill()
    redis.wait()
    time.sleep(max(2, 30 * night.scale))
    ended = night.processes.ended()
    for name in ended:
        night.processes.release(name)
    night.start_redis()
    for name in set(ended) - {"redis"}:
        # As `up` and a container's restart policy do.
        night.processes.restart(name)


def _chunks(night: Night) -> list[int]:
    with night.home.database.read() as connection:
        return list(connection.execute(sa.select(tables.chunks.c.id)).scalars())
