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
from pathlib import Path

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["tests.command_imports"])


def run_command(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run `returns-pipeline ARGUMENTS` in `folder` and wait for it.

    Raises subprocess.TimeoutExpired after `timeout` seconds; the process is killed then.
    """
    with tempfile.TemporaryDirectory(prefix="command-") as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        process = _FORK_SERVER.Process(
            target=_run, args=(list(arguments), dict(environment), str(folder), str(output), str(errors))
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
            output.read_text(encoding="utf-8"),
            errors.read_text(encoding="utf-8"),
        )


def _run(arguments: list[str], environment: dict[str, str], folder: str, output: str, errors: str) -> None:
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT),
        (2, errors, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the end
        for descriptor, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.argv = ["returns-pipeline", *arguments]
    from returns_pipeline.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
