"""Results are announced on PostgreSQL, and no response depends on that."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psutil
import pytest
import sqlalchemy as sa

from returns_pipeline.errors import TransientFault
from returns_pipeline.store import announcements
from returns_pipeline.store.database import Database
from tests.databases import migrated_database
from tests.faults.night import until
from tests.web import Site, batch_of, site

#: Seconds that a response may take on a busy machine; without predictions it takes `RETURNS_API_SECONDS`.
QUICK, API_SECONDS = 10.0, 60.0
_LISTENING = sa.text(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Site]:
    """Give an installation on PostgreSQL."""
    folder = tmp_path_factory.mktemp("site")
    with (
        migrated_database("postgresql", folder, lambda: postgres) as url,
        site(folder, database_url=url, api_seconds=API_SECONDS) as running,
    ):
        yield running


def listening(database: Database) -> list[int]:
    """Return the server's processes of connections that listen."""
    with database.read() as connection:
        return list(connection.execute(_LISTENING).scalars())


def end(database: Database, process: int) -> None:
    """End a connection as an administrator does."""
    with database.read() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:process)"), {"process": process})


def assert_answered(here: Site, start: int, count: int) -> None:
    """Send images one by one, from four clients; each gets its own label in time."""
    images, right = batch_of(here, count, start)

    def label(image: str) -> int:
        began = time.monotonic()
        answer = here.ask("POST", "/process_batch", json={"images": [image]})
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - began < QUICK
        (found,) = answer.json()["predictions"]
        return int(found)

    with ThreadPoolExecutor(4) as clients:
        assert list(clients.map(label, images)) == right


def test_responses_come_while_the_listening_connection_is_ended(here: Site) -> None:
    """Each request gets its label while the connection ends again and again; then the web listens again."""
    database = here.home.database
    assert_answered(here, 0, 4)
    until(lambda: bool(listening(database)), 30, "the web listens")
    stopped, ended = threading.Event(), []

    def end_again() -> None:
        while not stopped.wait(0.05):
            for process in listening(database):
                end(database, process)
                ended.append(process)

    with ThreadPoolExecutor(1) as other:
        ending = other.submit(end_again)
        try:
            while len(set(ended)) < 2:
                assert_answered(here, 10, 40)
        finally:
            stopped.set()
        ending.result()
    until(lambda: bool(listening(database)), 30, "the web listens again")
    assert_answered(here, 100, 4)


@contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    """Let processes stand still: their connections stay open, and nothing arrives."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_responses_come_if_announcements_are_lost(here: Site) -> None:
    """A connection that is open but announces nothing, as behind a pooler, delays no response for long."""
    until(lambda: bool(listening(here.home.database)), 30, "the web listens")
    with stopped(listening(here.home.database)):
        assert_answered(here, 200, 20)
    assert_answered(here, 300, 4)


def test_an_announcement_reaches_every_listener_until_its_connection_ends(here: Site) -> None:
    """Each of two listeners gets it; the end of the connection is a TransientFault. SQLite has none."""
    database = here.home.database
    before = set(listening(database))
    heard = [0, 0]

    def count(at: int) -> None:
        heard[at] += 1

    async def listen() -> list[BaseException | None]:
        tasks = [announcements.listen(database, partial(count, at)) for at in range(len(heard))]
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    with ThreadPoolExecutor(1) as other:
        found = other.submit(asyncio.run, listen())
        until(lambda: len(set(listening(database)) - before) == len(heard), 30, "both listen")
        announcements.announce(database)
        until(lambda: min(heard) > 0, 30, "both have the announcement")
        for process in set(listening(database)) - before:
            end(database, process)
        assert all(isinstance(each, TransientFault) for each in found.result(30))


def test_a_connection_that_the_server_has_ended_is_replaced(here: Site) -> None:
    """The next statement of a process works, although its idle connection is gone."""
    database = Database(here.home.settings.database_url)
    me = sa.text("SELECT pg_backend_pid()")
    with database.read() as connection:
        first = connection.execute(me).scalar_one()
    end(here.home.database, first)
    until(lambda: not psutil.pid_exists(first), 30, "the connection has ended")
    with database.read() as connection:
        assert connection.execute(me).scalar_one() != first
    end(here.home.database, first)
    database.close()
