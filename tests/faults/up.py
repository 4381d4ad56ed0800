"""Faults of the processes that `returns-pipeline up` runs."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from returns_pipeline.settings import PROJECT_ROOT
from tests.faults.night import Night, until
from tests.web import free_port

#: More ends than any sensible number of tries.
_KILLS = 7


def kill_a_child_of_up(night: Night) -> int:
    """SIGKILL to the worker of scans and reports each time that `up` has started it again."""
    redis = night.processes.release("redis")
    redis.terminate()
    redis.wait(30)
    environment = {"RETURNS_FLOWER_PORT": str(free_port()), "RETURNS_WEB_PORT": str(free_port())}
    command = [sys.executable, "-m", "returns_pipeline.cli", "up"]
    up = night.processes.start_command("up", command, PROJECT_ROOT, environment)
    until(lambda: "Press Ctrl-C" in night.processes.log("up").read_text(encoding="utf-8"), 120)
    night.images(int(4000 * night.scale))
    request = night.scan()
    # Redis delivers the message of a scan that did not open its run again only after an hour.
    until(lambda: night.run_of(request) is not None)
    killed: set[int] = set()
    while len(killed) < _KILLS:
        for pid in _running(night, up, "control@%h") - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        assert up.poll() is None, "`up` has ended"
        time.sleep(0.05)
    night.finish(request, 120)
    night.images(10, "later")
    night.finish(night.scan(), 120)
    up.terminate()
    assert up.wait(120) == 0
    night.processes.release("up")
    return _KILLS


def _running(night: Night, up: subprocess.Popen[bytes], argument: str) -> set[int]:
    """Return the running children of `up` with an argument."""
    found = set()
    for child in night.children(up):
        with suppress(psutil.Error):  # it has just ended
            if argument in child.cmdline():
                found.add(child.pid)
    return found
