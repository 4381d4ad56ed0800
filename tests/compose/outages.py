"""Faults during a night: workers that are restarted, a database and a broker that are killed."""

import shutil

from tests.compose import nights
from tests.compose.progress import CheckError, say, step
from tests.compose.releases import SERVICES
from tests.compose.stack import Stack

#: Of each of 303 photos.
_COPIES = 20
#: Share of a processor for each worker, with which a night outlasts a backup.
_SLOW = 0.05


def restart_workers(stack: Stack) -> None:
    """Restart both workers while a night is open."""
    stack.set(CPU_WORKERS="2")
    stack.compose("up", "--detach", "--no-recreate")
    stack.wait_healthy(SERVICES + 1)
    with step("two workers were restarted in an open night"):
        count = nights.put_photos(stack, "restarted", _COPIES)
        run = nights.begin(stack)
        nights.require_open(stack, run)
        stack.compose("restart", "worker-cpu")
        nights.require_complete(stack, run, count)
        nights.require_files(stack, run, count)


def kill(stack: Stack, service: str) -> None:
    """Kill the only process of a service while a night is open. Docker starts it again."""
    with step(f"{service} was killed in an open night"):
        count = nights.put_photos(stack, service, _COPIES)
        run = nights.begin(stack)
        nights.require_open(stack, run)
        stack.kill(service)
        nights.require_complete(stack, run, count)
        nights.require_files(stack, run, count)
    stack.wait_healthy(SERVICES + 1)


def lose_everything(stack: Stack) -> None:
    """Back up during a night, lose every volume and folder, restore, and let the night end."""
    backup = stack.folder / "backup"
    backup.mkdir()
    stack.give([backup])
    with step("a backup is made"):
        stack.script("deploy/backup.sh", str(backup))
    # It copies only what is new, so that the night outlasts it on a busy machine too.
    with step("it is brought up to date in an open night"):
        count = nights.put_photos(stack, "restored", _COPIES)
        stack.slow_down("worker-cpu", _SLOW)
        run = nights.begin(stack)
        stack.script("deploy/backup.sh", str(backup))
        stack.stop(forget=True)
        shutil.rmtree(stack.data)
        stack.new_data()
    with step("it is restored after all volumes and folders are lost, and the night ends"):
        stack.script("deploy/restore.sh", str(backup))
        left = len(list((stack.data / "incoming").iterdir()))
        say(f"{left} of {count} photos wait in the restored intake")
        if left == 0:
            raise CheckError("the backup was made after the night: it needs more photos")
        stack.compose("up", "--detach")
        stack.wait_healthy(SERVICES + 1)
        nights.require_complete(stack, run, count)
        nights.require_files(stack, run, count)
