"""Checks a bundle in a process of its own, which may crash, hang or need too much memory.

A command or the web starts it, so that neither ever loads a model. This module is that process too.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from returns_pipeline.child_limits import environment_without_settings, limit_memory
from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.errors import ConfigFault, PipelineError

#: Keras needs 10 s to start, and more on a busy machine.
SECONDS = 600.0
#: Share of this machine's or container's memory that the process may use.
_MEMORY_SHARE = 0.75
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
#: The kernel ends this process first when the machine has no memory left.
_FIRST_TO_END = "1000"
#: One check at a time: each may need most of the memory.
_turn = threading.Lock()


class _Depth(StrEnum):
    """`whole`: files and their contents. `sound`: also that the model runs."""

    WHOLE = "whole"
    SOUND = "sound"


def require_whole(bundle: Bundle) -> None:
    """Do vetting.require_whole in another process. Raises ConfigFault, also if that process crashes."""
    _check(bundle, _Depth.WHOLE, "auto", SECONDS)


def require_sound(bundle: Bundle, runtime: str, seconds: float = SECONDS) -> None:
    """Do vetting.require_sound in another process, for at most `seconds`.

    Raises ConfigFault, also if that process crashes, needs too much memory or does not end in time.
    """
    _check(bundle, _Depth.SOUND, runtime, seconds)


def _check(bundle: Bundle, depth: _Depth, runtime: str, seconds: float) -> None:
    if not bundle.sha256:  # there is nothing to load
        vetting.require_whole(bundle) if depth is _Depth.WHOLE else vetting.require_sound(bundle, runtime)
        return
    command = [
        sys.executable,
        "-m",
        __name__,
        str(bundle.folder),
        bundle.digest,
        depth,
        runtime,
        str(seconds),
    ]
    with _turn:
        returncode, output = _run(command, bundle, seconds)
    try:
        fault = json.loads(output)
    except ValueError:
        raise _crashed(bundle, returncode) from None
    if fault:
        raise ConfigFault(*fault)


def _run(command: Sequence[str], bundle: Bundle, seconds: float) -> tuple[int, bytes]:
    """Return the exit code and the output of a process; end it after `seconds`."""
    # The workers have all memory of the GPU.
    environment = environment_without_settings() | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ConfigFault(
            "The check of {bundle_ref} did not end within {seconds:g} s.",
            "Train a smaller model, or try again when this machine has less to do.",
            bundle_ref=bundle.ref,
            seconds=seconds,
        ) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode, output


def _crashed(bundle: Bundle, returncode: int) -> ConfigFault:
    if returncode == -signal.SIGKILL:
        return ConfigFault(
            "The check of {bundle_ref} was killed, probably because this machine has no memory left.",
            "Try again when it has less to do, or train a smaller model.",
            bundle_ref=bundle.ref,
        )
    reason = f"exit code {returncode}"
    if returncode < 0:
        reason = f"signal {-returncode}, {signal.strsignal(-returncode)}"
    return ConfigFault(
        "Checking {bundle_ref} crashed ({reason}): its model cannot be run safely.",
        "Train or export the model again.",
        bundle_ref=bundle.ref,
        reason=reason,
    )


def main(folder: str, digest: str, depth: str, runtime: str, seconds: str) -> None:
    """Check a bundle and print its fault as a JSON list of message and advice, empty without one."""
    # Libraries may print to standard output, so it is theirs, and the result has another descriptor.
    result = os.dup(1)
    os.dup2(2, 1)
    _limit(float(seconds))
    fault: list[str] = []
    try:
        bundle = load_bundle(Path(folder), placed=False)
        if bundle.digest != digest:
            fault = [f"The bundle {bundle.ref} was changed while it was checked.", "Try again."]
        elif depth == _Depth.WHOLE:
            vetting.require_whole(bundle)
        else:
            vetting.require_sound(bundle, runtime)
    except PipelineError as error:
        fault = [error.message, error.advice]
    os.write(result, json.dumps(fault).encode())
    # Libraries may crash while they unload.
    os._exit(0)


def _limit(seconds: float) -> None:
    """Limit this process before it loads anything: memory, time, no core file."""
    limit_memory(int(_MEMORY_SHARE * _machine_bytes()))
    # For the case that the parent is killed and cannot end this process.
    signal.alarm(int(seconds) + 1)
    try:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END, encoding="ascii")
    except OSError:
        return  # some containers forbid it


def _machine_bytes() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no limit is "max"
        return physical


if __name__ == "__main__":
    main(*sys.argv[1:])
