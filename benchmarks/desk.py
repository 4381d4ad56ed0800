"""How long a clerk waits: searches and pages among many photos, and what the search costs a photo.

Option `database`: sqlite or postgresql.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
import sqlalchemy as sa

from benchmarks.data.desk_rows import INTAKE, fill
from benchmarks.home import own_settings
from benchmarks.measuring import Job, Measurement
from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import Settings
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images
from returns_pipeline.usecases import search

#: A search of each kind: frequent and rare parts of names, names with other words, and each other word.
SEARCHES = (
    *("rücksendung_", "4711", "0004711", "rucksendung 4711 bag", "shelf-39", "no such name", "12", "r"),
    *("bag", "run 3", "#4711", "unusable", "unsure", "reviewed", "corrected", "waiting", "by anna"),
    *("yesterday", "last week", "unusable last week", "bag run 2", "unsure 4711", "bag jpg"),
    *("unsure last week", "corrected last week", "4711 last week", "by anna last week"),
)
_PAGES = (
    *("/", "/runs", "/runs/3", "/runs/3?label=Bag", "/runs/3?decision=review&order=doubt"),
    *("/runs/3/report", "/images/5"),
    *("/search?q=4711", "/search?q=bag&order=oldest", "/search", "/review", "/review/grid"),
    *("/review?label=Bag", "/review?kind=doubt", "/upload", "/models"),
)
_COLUMNS = ("run_id", "chunk_id", "source_path", "in_intake", "size", "mtime_ns", "identity", "state")
_INDEX = "ix_images_not_classified"
_LIMIT, _REPEATED, _START_SECONDS = 60, 5, 60


def measure(job: Job) -> Measurement:
    """Fill a database and measure it; the seconds are those of one search of each kind."""
    with _database_url(job) as url:
        settings = own_settings(job, database_url=url, web_port=_free_port())
        database = Database(settings.database_url)
        database.upgrade()
        fill(database, job.count)
        index = _index(database, settings)
        repeated = 1 if job.is_tiny else _REPEATED
        searches = {
            text: _milliseconds(partial(search.find_images, database, settings, text, _LIMIT), repeated)
            for text in SEARCHES
        }
        pages = _pages(settings, repeated)
        insert = _insert_cost(database, job.count // 10)
        detail = {
            "searches_ms": searches,
            "slowest_search_ms": max(searches.values()),
            "pages_ms": pages,
            "slowest_page_ms": max(pages.values()),
            **index,
            **insert,
            "search_us": round(index["index_us"] + insert["index_insert_us"], 1),
        }
        database.close()
    return Measurement([sum(searches.values()) / 1000], rows=job.count, labels={}, detail=detail)


@contextlib.contextmanager
def _database_url(job: Job) -> Iterator[str]:
    if job.options["database"] == "sqlite":
        job.work.mkdir(parents=True, exist_ok=True)
        yield f"sqlite:///{job.work / 'desk.sqlite3'}"
        return
    from tests.databases import postgres_server

    with postgres_server() as url:
        yield url


def _free_port() -> int:
    from tests.web import free_port

    return free_port()


def _milliseconds(what: Callable[[], object], repeated: int) -> float:
    """Return the duration of the quickest of a few calls: the others waited for other programs."""
    spent = []
    for _ in range(repeated):
        began = time.perf_counter()
        what()
        spent.append(time.perf_counter() - began)
    return round(1000 * min(spent), 1)


def _index(database: Database, settings: Settings) -> dict[str, float]:
    """Index all names as the sweep does; return what it costs an image."""
    began, cpu, count = time.perf_counter(), time.process_time(), 0
    calls_without = 0
    while calls_without < 2:
        found = search.index_names(database, settings)
        count += found
        calls_without = 0 if found else calls_without + 1
    return {
        "index_us": round(1e6 * (time.perf_counter() - began) / max(count, 1), 1),
        "index_cpu_us": round(1e6 * (time.process_time() - cpu) / max(count, 1), 1),
    }


def _pages(settings: Settings, repeated: int) -> dict[str, float]:
    with Processes(settings) as processes:
        processes.start("web", "web")
        url = f"http://127.0.0.1:{settings.web_port}"
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            processes.check()
            if time.monotonic() > deadline:
                raise TimeoutError(url)
            time.sleep(0.05)
        token = (settings.home / "web-token").read_text(encoding="ascii")
        session = requests.Session()
        session.headers.update({"Authorization": f"Bearer {token}", "Accept": "text/html"})

        def load(path: str) -> None:
            session.get(url + path, timeout=60).raise_for_status()

        return {path: _milliseconds(partial(load, path), repeated) for path in _PAGES}


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{url}/healthz", timeout=5).ok
    return False


def _insert_cost(database: Database, count: int) -> dict[str, float]:
    """Insert and classify `count` images with and without the index that the search added to their table."""
    drop = f"DROP INDEX IF EXISTS {_INDEX}"
    index = next(each for each in images.indexes if each.name == _INDEX)
    spent: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(4):
        kind = "with" if number % 2 else "without"
        with database.write() as connection:
            connection.exec_driver_sql(drop)
            if kind == "with":
                index.create(connection)
        spent[kind].append(_insert(database, count, number))
    best = {kind: min(seconds) for kind, seconds in spent.items()}
    return {
        "index_insert_us": round(1e6 * (best["with"] - best["without"]) / count, 1),
        "insert_us": round(1e6 * best["with"] / count, 1),
        "insert_us_before": round(1e6 * best["without"] / count, 1),
        "insert_ratio": round(best["with"] / best["without"], 3),
    }


def _insert(database: Database, count: int, number: int) -> float:
    """Insert images chunk by chunk and set their state, as a scan and a worker do; return the seconds."""
    began = time.perf_counter()
    for start in range(0, count, 1000):
        rows: list[Any] = [
            (1, 1, f"{INTAKE}/new-{number}/photo-{place:07}.jpg", True, 700, 1, "1-700-1", "pending")
            for place in range(start, min(count, start + 1000))
        ]
        with database.write() as connection:
            bulk.insert(connection, images, _COLUMNS, rows, conflict="(source_path) WHERE in_intake")
            paths = [row[2] for row in rows]
            these = sa.and_(images.c.source_path.in_(paths), images.c.in_intake)
            ids = list(connection.execute(sa.select(images.c.id).where(these)).scalars())
        with database.write() as connection:
            updated: list[Any] = [("classified", "Bag", "model", False, image_id) for image_id in ids]
            columns = ("state", "final_label", "final_source", "in_intake", "id")
            bulk.update(connection, images, columns, updated)
    return time.perf_counter() - began
