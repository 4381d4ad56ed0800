"""Standard input, output and error of a command: always open, and able to write every character."""

import codecs
import errno
import io
import os
import sys
from typing import TextIO

from returns_pipeline.errors import PipelineError

#: The exit code of a program that SIGPIPE ends, as a shell shows it.
READER_GONE = 141

#: Characters of this program's own sentences, for a terminal that has only ASCII.
_ASCII = {"…": "...", "\u2013": "-", "·": "-", "\u00d7": "x", "→": "->"}


class OutputError(PipelineError):
    """Standard output takes no more: its disk is full, or it is closed."""


class _Output(io.TextIOWrapper):
    """Standard output, whose failures are OutputError, or the end of this process if its reader has gone."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _fault(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _fault(error) from error


class _Errors(io.TextIOWrapper):
    """Standard error. A failure is ignored, because no place is left to report it."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            discard(self)


def prepare_streams() -> None:
    """Open the standard streams that are closed, and let both outputs write every character.

    A descriptor 0, 1 or 2 that is closed would become that of the next file, and a library that prints would
    write into the database.
    """
    missing = [_open_if_closed(descriptor) for descriptor in (0, 1, 2)]
    codecs.register_error("returns-ascii", _in_ascii)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
    sys.stdout = _Output(*_parts(sys.stdout, 1, is_lost=missing[1]))
    sys.stderr = _Errors(*_parts(sys.stderr, 2, is_lost=False))


def discard_output() -> None:
    """Write what is left of the outputs, or discard it if that fails: the interpreter ends quietly."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OutputError, SystemExit):
            discard(stream)


def discard(stream: TextIO) -> None:
    """Let a stream write to nowhere from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _open_if_closed(descriptor: int) -> bool:
    """Open a standard descriptor to nowhere if it is closed; return whether it was."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)
        return True
    return False


def _parts(
    stream: TextIO | None, descriptor: int, *, is_lost: bool
) -> tuple[io.BufferedWriter, str, str, str, bool, bool]:
    """Return what a new stream is made of; with `is_lost` it refuses every character."""
    if isinstance(stream, io.TextIOWrapper):
        encoding, lines, through = stream.encoding, stream.line_buffering, stream.write_through
        stream.flush()
        return stream.detach(), encoding, "returns-ascii", "\n", lines, through
    opened = os.open(os.devnull, os.O_RDONLY) if is_lost else descriptor
    raw = io.FileIO(opened, "w", closefd=is_lost)
    return io.BufferedWriter(raw), "utf-8", "returns-ascii", "\n", False, False


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks: by the nearest ASCII characters, else by an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_ASCII.get(letter) or ascii(letter)[1:-1] for letter in letters), error.end


def _fault(error: OSError) -> BaseException:
    if error.errno == errno.EPIPE:
        return SystemExit(READER_GONE)
    return OutputError(
        "The output cannot be written: {reason}.",
        advice="Free some disk space, or redirect the output to another place.",
        reason=error.strerror,
    )
