"""Faults of Redis that end no connection: it is full, or read-only. And a failover by Sentinel."""

import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from returns_pipeline.broker.app import make_app
from tests.faults.night import Night, until

#: Seconds of a fault in a full round.
_SECONDS = 20
#: Seconds after which the run must be closed. A worker looks again after at most 10 s, a lost chunk is sent
#: again when its lease of 3 s has ended, and the rest of the run takes some seconds, more on a busy machine.
_CLOSED_SECONDS = 60


def full_redis(night: Night) -> int:
    """Redis reaches `maxmemory` in the middle of a run: workers wait, and continue when it has space."""
    full = partial(_command, night, "CONFIG", "SET", "maxmemory", "1")
    return _refuse(night, full, partial(_command, night, "CONFIG", "SET", "maxmemory", "0"))


def read_only_redis(night: Night) -> int:
    """Redis becomes a replica in the middle of a run, then a master: workers wait, and continue."""
    # Nothing listens there: it stays a replica with the data that it has.
    replica = partial(_command, night, "REPLICAOF", "127.0.0.1", "1")
    return _refuse(night, replica, partial(_command, night, "REPLICAOF", "NO", "ONE"))


def fail_over(night: Night) -> int:
    """SIGKILL to the master in the middle of a run: workers find the replica that Sentinel promotes."""
    assert night.sentinels is not None
    worker, request = _half_a_run(night)
    night.sentinels.master.process.kill()
    night.finish(request)
    assert worker.poll() is None, night.ended(worker)
    return 1


def _refuse(night: Night, refuse: Callable[[], object], recover: Callable[[], object]) -> int:
    worker, request = _half_a_run(night)
    refuse()
    time.sleep(max(2, _SECONDS * night.scale))
    assert worker.poll() is None, night.ended(worker)
    recover()
    until(lambda: night.closed(request), _CLOSED_SECONDS, night.hint)
    assert worker.poll() is None, f"the worker ended with code {worker.returncode}"
    night.finish(request)
    return 1


def _half_a_run(night: Night) -> tuple[subprocess.Popen[bytes], str]:
    night.images(400)
    night.worker_environment |= {"FAULT_SECONDS": "0.004"}
    worker = night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 100))
    return worker, request


def _command(night: Night, *words: str) -> None:
    with make_app(night.home.settings).connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.client.execute_command(*words)
