"""`make compose-check`. WORK is the folder that keeps the engine and the images for the next time.

ONLY=stack or ONLY=day runs one of its two parts.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.compose import operators_day, outages, releases, tls
from tests.compose.base_images import prepare
from tests.compose.engine import Docker, engine
from tests.compose.progress import CheckError, say
from tests.compose.stack import Stack


def main() -> int:
    """Run every step; return 1 after the first that fails."""
    work = Path(os.environ.get("WORK") or Path(tempfile.gettempdir()) / "returns-compose-check").absolute()
    work.mkdir(parents=True, exist_ok=True)
    try:
        parts = _chosen(os.environ.get("ONLY", ""))
        with _alone(work), engine(work) as docker:
            prepare(docker, work)
            for part in parts:
                with _stack(docker, work / "site") as stack:
                    part(stack)
    except CheckError as error:
        say(f"FAILED: {error}")
        return 1
    say("everything is ok")
    return 0


def _chosen(only: str) -> list[Callable[[Stack], None]]:
    parts = {"stack": _check, "day": operators_day.check}
    if only and only not in parts:
        raise CheckError(f"There is no part {only}. The parts are {' and '.join(parts)}.")
    return [parts[only]] if only else list(parts.values())


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Refuse to run beside another check in the same folder: they would share the engine and the stack."""
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckError(f"Another check uses {work}. Set WORK to another folder.") from None
        yield


@contextlib.contextmanager
def _stack(docker: Docker, folder: Path) -> Iterator[Stack]:
    """Give a stack in a new clone. Its containers, volumes and files go with the block."""
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(docker, folder)
    try:
        yield stack
    except CheckError:
        if (folder / ".env").exists():
            say(f"the ends of the logs:\n{stack.logs()}")
        raise
    finally:
        if (folder / ".env").exists():
            stack.stop(forget=True)
        shutil.rmtree(folder, ignore_errors=True)


def _check(stack: Stack) -> None:
    releases.install(stack)
    releases.send_requests(stack)
    first, count = releases.first_night(stack)
    releases.upgrade(stack, first, count)
    releases.closed_images(stack)
    releases.small_image(stack)
    outages.restart_workers(stack)
    outages.kill(stack, "postgres")
    outages.kill(stack, "redis")
    outages.lose_everything(stack)
    tls.serve(stack)


if __name__ == "__main__":
    sys.exit(main())
