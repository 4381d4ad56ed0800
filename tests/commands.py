"""Runs `returns-pipeline` commands in processes of their own, without the second that their imports take.

A fork server imports the libraries once for all commands of a test process. Each command is a fresh fork of
it: its own process with its own environment, folder, output and exit code. The modules of the command line
itself are not imported in the server, so that a command reads its environment as it does on a terminal.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["tests.command_imports"])


class Output(StrEnum):
    """What standard output of a command is."""

    FILE = "a file"
    FULL = "a full disk"
    LEFT = "a pipe whose reader has left"
    CLOSED = "closed, like standard input and error"


def run_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float = 240,
    to: Output = Output.FILE,
) -> subprocess.CompletedProcess[str]:
    """Run `returns-pipeline ARGUMENTS` in `folder` and wait for it.

    Raises subprocess.TimeoutExpired after `timeout` seconds; the process is killed then.
    """
    with tempfile.TemporaryDirectory(prefix="command-") as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        process = _FORK_SERVER.Process(
            target=_run,
            args=(list(arguments), dict(environment), str(folder), str(output), str(errors), to),
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        return subprocess.CompletedProcess(
            list(arguments),
            process.exitcode,
            _text(output),
            _text(errors),
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, output: str, errors: str, to: Output
) -> None:
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, "/dev/full" if to is Output.FULL else output, os.O_WRONLY | os.O_CREAT),
        (2, errors, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    if to is Output.LEFT:
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(writer)
        os.close(reader)
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdin, sys.stdout, sys.stderr = (
        open(descriptor, mode, encoding=encoding, closefd=False)  # noqa: SIM115 - open until the end
        for descriptor, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    if to is Output.CLOSED:
        # As an interpreter starts without them.
        sys.stdin = sys.stdout = sys.stderr = None
        for descriptor in (0, 1, 2):
            os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["returns-pipeline", *arguments]
    from returns_pipeline.cli import main

    try:
        main()
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
