"""A day with object storage: a night outlives a killed worker, an upgrade, and the loss of the machine.

Intake, archive, quarantine and reports are in a bucket. The bucket is not lost: an object store is another
machine. But it goes on after the backup, so it is newer than what the backup has.
"""

import shutil
from collections import Counter
from typing import NamedTuple

from returns_pipeline.settings import PROJECT_ROOT
from tests.compose import nights
from tests.compose.progress import CheckError, expect, say, step
from tests.compose.releases import SERVICES, head, older_revision
from tests.compose.stack import Stack
from tests.compose.storage import Storage
from tests.web import free_port

_PHOTOS = 10_000
#: Beside the plain stack: the storage, and the worker on a network of its own.
_HEALTHY = SERVICES + 2
_WORKERS = ("worker-cpu", "worker-far")
_NETWORKS = "two-networks.yml"
_NIGHT_SECONDS = 1800
#: What the kill, the upgrade, the backup and the loss wait for: so many photos are done.
_KILL, _UPGRADE, _BACKUP, _LOSS = 500, 2000, 4000, 6000
#: Connects to a host and a port.
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"


class _Night(NamedTuple):
    """A run, the photos that came in by their content's digest, and how many of them are no photos."""

    run: int
    came_in: Counter[str]
    bad: int


def check(stack: Stack) -> None:
    """Run the day. Raises CheckError where it went wrong."""
    storage = _install(stack)
    night = _begin(stack, storage)
    _kill_a_worker(stack, night)
    _upgrade(stack, night)
    _lose_the_machine(stack, night)
    _finish(stack, night)
    _require_all(stack, storage, night)


def _install(stack: Stack) -> Storage:
    """Start an object store, and the release before the newest migration with two workers on two networks."""
    stack.clone(head())
    stack.fill_in()
    shutil.copy(PROJECT_ROOT / "tests/compose" / _NETWORKS, stack.folder)
    storage = Storage(f"127.0.0.1:{free_port()}")
    stack.set(
        COMPOSE_FILE=f"docker-compose.yml:{_NETWORKS}",
        STORAGE_ADDRESS=storage.address,
        RETURNS_CHUNK_SIZE="100",
        RETURNS_WORKER_PROCESSES="1",
        **storage.settings(),
    )
    with step("the newest release is built, and an object store starts"):
        _build(stack)
        stack.compose("--profile", "s3", "up", "--detach", "--wait", "storage")
    with step("the release before it starts from nothing, with a worker on each of two networks"):
        stack.clone(older_revision())
        _build(stack)
        stack.compose("up", "--detach", "--quiet-pull")
        stack.add_people()
        stack.wait_healthy(_HEALTHY)
        for host, port in (("redis", "6379"), ("postgres", "5432"), ("storage", "9000")):
            stack.compose("exec", "-T", "worker-far", "python", "-c", _CONNECT, host, port)
        refused = stack.is_refused("exec", "-T", "worker-far", "python", "-c", _CONNECT, "web", "8000")
        expect("the second worker reaches the web", refused, True)
    return storage


def _build(stack: Stack) -> None:
    stack.compose("--profile", "s3", "build", "--quiet")


def _begin(stack: Stack, storage: Storage) -> _Night:
    with step(f"{_PHOTOS:,} photos are put into the bucket, and a night begins"):
        came_in, bad = storage.fill(_PHOTOS)
        return _Night(nights.begin(stack), came_in, bad)


def _reach(stack: Stack, night: _Night, photos: int) -> int:
    """Wait until so many photos of the night are done; return how many. It must be open then."""
    found = nights.wait(
        lambda: stack.get(f"/api/v1/runs/{night.run}"),
        lambda run: run["state"] == "closed" or _done(run) >= photos,
        _NIGHT_SECONDS,
    )
    nights.require_open(stack, night.run)
    return _done(found)


def _done(run: dict[str, int]) -> int:
    return run["classified"] + run["quarantined"] + run["failed"]


def _kill_a_worker(stack: Stack, night: _Night) -> None:
    with step("a worker is killed in the open night, and the one on the other network goes on alone"):
        done = _reach(stack, night, _KILL)
        stack.compose("kill", "worker-cpu")
        say(f"{done:,} photos were done when worker-cpu was killed")
        _reach(stack, night, _UPGRADE)


def _upgrade(stack: Stack, night: _Night) -> None:
    with step("the upgrade in the open night"):
        stack.clone(head())
        _build(stack)
        nights.require_open(stack, night.run)
        before = _version(stack)
        # Without its profile the storage goes on: an object store is no part of the stack.
        stack.compose("down")
        stack.compose("up", "--detach")
        stack.wait_healthy(_HEALTHY)
        after = _version(stack)
        if before == after:
            raise CheckError("no migration ran")
        nights.require_open(stack, night.run)
        say(f"revision {before} became {after}; the run is still open")


def _version(stack: Stack) -> str:
    return stack.sql("SELECT version_num FROM alembic_version")


def _lose_the_machine(stack: Stack, night: _Night) -> None:
    backup = stack.folder / "backup"
    backup.mkdir()
    stack.give([backup])
    with step("deploy/backup.sh in the open night"):
        done = _reach(stack, night, _BACKUP)
        stack.script("deploy/backup.sh", str(backup))
        nights.require_open(stack, night.run)
        say(f"{done:,} photos were done when the backup began")
    with step("all containers, volumes and folders of the machine are lost while the run is open"):
        done = _reach(stack, night, _LOSS)
        stack.compose("down", "--volumes")
        shutil.rmtree(stack.data)
        stack.new_data()
        say(f"{done:,} photos were done when everything was lost")
    with step("deploy/restore.sh"):
        for line in stack.script("deploy/restore.sh", str(backup)).splitlines():
            say(f"  {line}")


def _finish(stack: Stack, night: _Night) -> None:
    with step("both workers finish the night"):
        stack.compose("up", "--detach")
        stack.wait_healthy(_HEALTHY)
        nights.require_open(stack, night.run)
        nights.wait(
            lambda: stack.get(f"/api/v1/runs/{night.run}"),
            lambda run: run["state"] == "closed",
            _NIGHT_SECONDS,
        )
        for worker in _WORKERS:
            (container,) = stack.containers(worker)
            host = stack.inspect(container, ".Config.Hostname")
            chunks = stack.sql(
                f"SELECT count(*) FROM chunks WHERE run_id = {night.run} AND worker LIKE '{host}:%'"  # noqa: S608
            )
            say(f"{worker} finished {chunks} chunks after the restore")
            if int(chunks) == 0:
                raise CheckError(f"{worker} did nothing")


def _require_all(stack: Stack, storage: Storage, night: _Night) -> None:
    """Raise CheckError unless every photo is counted once, and is in the bucket once."""
    with step("nothing is lost and nothing is there twice"):
        run = stack.get(f"/api/v1/runs/{night.run}")
        seen, classified, quarantined, failed = (
            run[name] for name in ("seen", "classified", "quarantined", "failed")
        )
        say(f"seen {seen:,} = classified {classified:,} + quarantined {quarantined:,} + failed {failed:,}")
        wanted = (_PHOTOS, _PHOTOS - night.bad, night.bad, 0)
        expect("the sum", (seen, classified, quarantined, failed), wanted)
        rows = f"FROM images WHERE run_id = {night.run} AND state = 'classified'"
        counted = stack.sql(f"SELECT count(*), count(DISTINCT source_path), count(DISTINCT sha256) {rows}")
        expect("classified rows, their names and their contents", counted, "|".join([str(classified)] * 3))
        places = {name: storage.digests(name) for name in ("incoming", "archive", "quarantine")}
        say("objects in the bucket: " + ", ".join(f"{name} {len(each):,}" for name, each in places.items()))
        expect("objects", [len(each) for each in places.values()], [0, classified, quarantined])
        contents = Counter(digest for each in places.values() for digest in each)
        expect("contents that are not there as often as they came", contents - night.came_in, Counter())
        for key, size in storage.listed(f"reports/run-{night.run}"):
            say(f"s3://returns/{key} {size:,} bytes")
        expect("lines of the report", storage.report(night.run), _PHOTOS + 1)
