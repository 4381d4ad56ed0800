"""Child processes by name: started with the same environment, watched, stopped together."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from returns_pipeline.errors import ConfigFault, TransientFault

_START_SECONDS = 60
_STOP_SECONDS = 90
_MAX_RESTARTS = 5
_PR_SET_PDEATHSIG = 1


class _Command(NamedTuple):
    """What started a process, to start it again."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


class ChildProcesses:
    """Processes by name. Leaving the block stops all of them.

    The output of each process is appended to `logs`/NAME.log. Processes named in `optional` may fail for
    good without ending the others. Processes named in `stopped_last` are stopped after the others.
    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        *,
        optional: frozenset[str] = frozenset(),
        stopped_last: frozenset[str] = frozenset(),
    ) -> None:
        """Start nothing yet. `environment` is the whole environment of every process."""
        self._logs = logs
        self._environment = dict(environment)
        self._optional = optional
        self._stopped_last = stopped_last
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, _Command] = {}
        self._restarts: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Create the folder of the logs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process."""
        _stop([process for name, process in self._running.items() if name not in self._stopped_last])
        _stop([process for name, process in self._running.items() if name in self._stopped_last])

    def start_command(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in `folder` as the process `name`; `environment` adds to the common one."""
        self._commands[name] = _Command(command, folder, dict(environment or {}))
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**self._environment, **(environment or {})},
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._running[name] = process
        return process

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """Return a process that was started, running or not. Raises KeyError for an unknown name."""
        return self._running[name]

    def release(self, name: str) -> subprocess.Popen[bytes]:
        """Return a process and neither check, restart nor stop it any more."""
        return self._running.pop(name)

    def restart(self, name: str) -> subprocess.Popen[bytes]:
        """Start a process again with the command that started it before."""
        return self.start_command(name, *self._commands[name])

    def ended(self) -> list[str]:
        """Return the names of the processes that have ended."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def check(self) -> None:
        """Raise a fault if a process has ended: ConfigFault if that is its exit code, else TransientFault."""
        for name in self.ended():
            exit_code = self._running[name].returncode
            fault = ConfigFault if exit_code == ConfigFault.exit_code else TransientFault
            raise fault(
                "The process {name} ended with exit code {exit_code}: {line}",
                "Its log is {log}.",
                name=name,
                exit_code=exit_code,
                line=self._last_line(name),
                log=self.log(name),
            )

    def restart_ended(self) -> list[str]:
        """Restart the processes that have ended; return a line about each.

        After `_MAX_RESTARTS` restarts an optional process is given up. Any other process raises its fault.
        """
        lines = []
        for name in self.ended():
            self._restarts[name] = self._restarts.get(name, 0) + 1
            last = self._last_line(name)
            if self._restarts[name] <= _MAX_RESTARTS:
                self.restart(name)
                lines.append(f"{name} ended and was restarted: {last}")
            elif name in self._optional:
                self.release(name)
                lines.append(f"{name} ended {self._restarts[name]} times and is not restarted: {last}")
            else:
                self.check()
        return lines

    def wait_until(self, ready: Callable[[], bool], name: str) -> None:
        """Return when `ready` returns true.

        Raises TransientFault with the last log line of the process `name` if that takes too long, and the
        fault of any process that ends meanwhile.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise TransientFault(
                    "The process {name} did not start within {start_seconds} s: {line}",
                    "Its log is {log}.",
                    name=name,
                    start_seconds=_START_SECONDS,
                    line=self._last_line(name),
                    log=self.log(name),
                )
            time.sleep(0.02)

    def log(self, name: str) -> Path:
        """Return the file that holds a process's output."""
        return self._logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip().removeprefix("Error: ") if lines else "it printed nothing."


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Send SIGTERM to all processes, then wait for each; kill one that does not end in time."""
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    """Ask Linux to send this process SIGTERM when its parent dies for any reason."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
