"""Child processes by name: started with the same environment, watched, stopped together."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from returns_pipeline.child_limits import end_with_parent
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.host.restarts import Restarts, reason_of
from returns_pipeline.private_files import make_private_folders, open_private
from returns_pipeline.records.text import printable

_START_SECONDS = 60
_STOP_SECONDS = 90
#: Bytes at the end of a log that are read for its last line.
_TAIL_BYTES = 8192


class _Command(NamedTuple):
    """What started a process, to start it again."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


class ChildProcesses:
    """Processes by name. Leaving the block stops all of them.

    The output of each process is appended to `logs`/NAME.log. Processes named in `stopped_last` are stopped
    after the others.
    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        *,
        stopped_last: frozenset[str] = frozenset(),
    ) -> None:
        """Start nothing yet. `environment` is the whole environment of every process."""
        self._logs = logs
        self._environment = dict(environment)
        self._stopped_last = stopped_last
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, _Command] = {}
        self._restarts = Restarts()

    def __enter__(self) -> Self:
        """Create the folder of the logs."""
        make_private_folders([self._logs])
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
        with open(self.log(name), "ab", opener=open_private) as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**self._environment, **(environment or {})},
                start_new_session=True,
                umask=0o077,
                preexec_fn=end_with_parent,
            )
        self._running[name] = process
        self._restarts.started(name)
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
        """Restart each process that has ended and whose pause is over; return a line about each new end.

        Returns without waiting. A process is restarted for ever; `Restarts` defines its pauses, and which
        ends have a line.
        """
        lines = []
        for name in self.ended():
            if name not in self._restarts.pausing():
                reason = reason_of(self._running[name].returncode)
                lines += self._pause(name, reason, self._last_line(name))
            if self._restarts.is_due(name):
                try:
                    self.restart(name)
                except OSError as error:  # no memory for another process, or no disk for its log
                    lines += self._pause(name, "could not be started", f"{error.strerror}.")
        return lines

    def pausing(self) -> dict[str, str]:
        """Return how each process ended that waits for its next start."""
        return self._restarts.pausing()

    def _pause(self, name: str, reason: str, detail: str) -> list[str]:
        seconds = self._restarts.ended(name, reason)
        if not self._restarts.is_news(name, reason):
            return []
        pause = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
        return [f"{name} {reason}. It starts again in {pause} s. Last line of its log: {detail}"]

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
        try:
            with self.log(name).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError as error:
            return f"the log cannot be read: {error.strerror}."
        # An error is a line that begins with this word, and perhaps a line of advice.
        begin = next((n for n in (-1, -2) if len(lines) >= -n and lines[n].startswith("Error: ")), -1)
        text = printable(" ".join(line.strip() for line in lines[begin:]))
        return text.removeprefix("Error: ") or "it printed nothing."


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
