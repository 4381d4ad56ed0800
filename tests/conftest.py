"""Real parts for the tests: a PostgreSQL for the session, a home with its own Redis for each installation."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from tests.databases import KINDS, empty_database, migrated_database, postgres_server, write_migrated_sqlite
from tests.objects import new_bucket, s3_server, use
from tests.support import Installation, write_stub_bundle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each process begin with its share of the slow tests, so that none of them runs alone at the end.

    xdist gives each process one part of the list; a process without tests takes some from another's end.
    Every other process begins with the last of its slow tests: trainings run beside tests that wait.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = iter([item for item in items if not item.get_closest_marker("slow")])
    processes, rest = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)), len(items)
    ordered: list[pytest.Item] = []
    for number in range(processes):
        share = slow[number::processes]
        size = rest // (processes - number)
        ordered += [*(reversed(share) if number % 2 else share), *islice(quick, max(0, size - len(share)))]
        rest -= size
    items[:] = [*ordered, *quick]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the URL of a PostgreSQL server that lives as long as the tests of this process."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Give the address of an S3 server that lives as long as the tests of a module."""
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a new bucket, which this process and those that it starts may use."""
    use(s3, monkeypatch)
    return new_bucket(s3)


@pytest.fixture(scope="module", params=KINDS)
def database_url(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of an empty database, on SQLite and on PostgreSQL."""
    server = partial(request.getfixturevalue, "postgres")
    with empty_database(request.param, tmp_path_factory.mktemp("database"), server) as url:
        yield url


@pytest.fixture(params=KINDS)
def home(request: Any, tmp_path: Path) -> Iterator[Installation]:
    """Give a migrated installation with the stub model, fresh for each test; no process runs."""
    server = partial(request.getfixturevalue, "postgres")
    with migrated_database(request.param, tmp_path, server) as url:
        yield from _installation(tmp_path, database_url=url)


@pytest.fixture
def sqlite_home(tmp_path: Path) -> Iterator[Installation]:
    """Give a migrated installation on SQLite with the stub model; no process runs."""
    write_migrated_sqlite(tmp_path / "home" / "returns.sqlite3")
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
    database.require_current()
    yield Installation(settings, database)
    database.close()
