"""A worker's side of the processes that read codes: starts them, sends them pictures, notices their end."""

import contextlib
import select
import subprocess
import sys
import threading

import structlog

from returns_pipeline.child_limits import environment_without_settings
from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.codes.orders import read_reply, write_order
from returns_pipeline.photos.codes.picture import CodePicture
from returns_pipeline.records.codes import Code, CodeRules

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_MODULE = "returns_pipeline.photos.codes.reading_process"
#: Seconds that a process may take for one picture. It ends itself much earlier, by the processor's time.
_MOST_SECONDS = 60.0
#: Seconds that a process may take to end after it closed its output.
_END_SECONDS = 5.0
#: Pictures that a process reads before it is replaced, so that a library that leaks does no harm.
_MOST_READ = 20_000

_Process = subprocess.Popen[bytes]


class CodeReader:
    """Reads codes in pictures, in one process for each thread that calls at the same time.

    A process starts with the first picture and is used again.
    """

    def __init__(self, rules: CodeRules) -> None:
        """Start nothing yet."""
        self._rules = rules
        self._lock = threading.Lock()
        #: Processes that no thread uses, with the pictures that each has read.
        self._idle: list[tuple[_Process, int]] = []

    def read(self, picture: CodePicture) -> tuple[Code, ...]:
        """Return the codes in a picture; none if reading it took too long or ended the process.

        Raises ConfigFault if no process can be started.
        """
        with self._lock:
            process, count = self._idle.pop() if self._idle else (None, 0)
        if process is None or process.poll() is not None:
            process, count = _started(self._rules), 0
        try:
            codes = _codes(process, picture)
        except BaseException:
            # A reply that was not read must not become the reply to the next picture.
            _end(process)
            raise
        if codes is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            _end(process)
            # By a signal: SIGPROF if it took too long.
            log.warning("codes_unread", exit_code=process.returncode)
            return ()
        if count + 1 < _MOST_READ:
            with self._lock:
                self._idle.append((process, count + 1))
        else:
            _end(process)
        return codes

    def close(self) -> None:
        """End the processes that no thread uses."""
        with self._lock:
            ended, self._idle = self._idle, []
        for process, _ in ended:
            _end(process)


def _started(rules: CodeRules) -> _Process:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", _MODULE, ",".join(rules.formats), rules.pattern],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment_without_settings(),
        start_new_session=True,
    )
    if _reply(process) is None:
        _end(process)
        raise ConfigFault(
            "The process that reads codes in photos ended with exit code {code} before it was ready.",
            "Run `python -m {module} qr ''` to see why, or unset RETURNS_CODES.",
            code=process.returncode,
            module=_MODULE,
        )
    return process


def _codes(process: _Process, picture: CodePicture) -> tuple[Code, ...] | None:
    """Return the process's reply to a picture; None if it ended."""
    assert process.stdin is not None  # noqa: S101 - a pipe
    try:
        write_order(process.stdin, picture)
    except OSError:  # it ended while it read
        return None
    return _reply(process)


def _reply(process: _Process) -> tuple[Code, ...] | None:
    assert process.stdout is not None  # noqa: S101 - a pipe
    waiting = select.poll()
    waiting.register(process.stdout, select.POLLIN)
    return read_reply(process.stdout) if waiting.poll(_MOST_SECONDS * 1000) else None


def _end(process: _Process) -> None:
    # One that ended by itself keeps its exit code.
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what it did not read is lost
                pipe.close()
