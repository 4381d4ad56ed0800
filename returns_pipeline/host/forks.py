"""Several processes that do the same, behind one port: forked, watched, stopped together."""

import os
import signal
import socket
import time
from collections.abc import Callable

import structlog

from returns_pipeline.child_limits import end_with_parent
from returns_pipeline.host.restarts import Restarts, reason_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_LOOK_SECONDS = 0.1
_STOP_SECONDS = 30.0


def shared_socket(host: str, port: int) -> socket.socket:
    """Return a socket at an address that several processes use; the kernel divides connections among them."""
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if found.family == socket.AF_INET6:
        # As a server of one process: an IPv6 address takes no IPv4 connections.
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind((host, port))
    return found


def run_forks(count: int, run: Callable[[], None]) -> None:
    """Run a function in `count` processes until this one gets SIGTERM or SIGINT; restart one that ends.

    This process must have no thread. `Restarts` defines the pauses before a restart.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    restarts = Restarts()
    running: dict[int, str] = {}
    try:
        waiting = [f"process {number}" for number in range(count)]
        while True:
            for name in [name for name in waiting if name not in restarts.pausing() or restarts.is_due(name)]:
                waiting.remove(name)
                running[_fork(run)] = name
                restarts.started(name)
            pid, status = os.waitpid(-1, os.WNOHANG)
            if name := running.pop(pid, ""):
                reason = reason_of(os.waitstatus_to_exitcode(status))
                log.warning("web_process_ended", process=name, reason=reason)
                restarts.ended(name, reason)
                waiting.append(name)
            else:
                time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        _stop(running)


def _fork(run: Callable[[], None]) -> int:
    """Run a function in a child process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end_with_parent()
        run()
        code = 0
    except Exception:
        log.exception("web_process_failed")
    finally:
        # Not `sys.exit`: what the parent has on its stack is not the child's to finish.
        os._exit(code)


def _stop(running: dict[int, str]) -> None:
    """Send SIGTERM to all processes, then wait for each; kill those that do not end in time."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    while running:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        running.pop(pid, None)
        if not pid:
            time.sleep(_LOOK_SECONDS)
        if time.monotonic() > until:
            for late in running:
                os.kill(late, signal.SIGKILL)
