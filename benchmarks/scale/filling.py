"""Fills a database with runs of a thousand nights, table by table, by SQL; indexes are built afterwards.

Names repeat from block to block of the index of names, so that the index of one block is copied to the
others: indexing ten million names takes ten minutes.
"""

import math
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.scale import statements
from benchmarks.scale.statements import CHUNK, INTAKE, MODEL
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.records.mixes import Property
from returns_pipeline.store import search_groups, search_index
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.search_places import BLOCK
from returns_pipeline.store.tables import (
    chunks,
    compared_images,
    image_fingerprints,
    image_keys,
    images,
    model_versions,
    predictions,
    return_events,
    returns,
    review_changes,
    reviews,
    run_labels,
    run_mixes,
    runs,
    search_grams,
    search_progress,
)

#: The tables that are filled, in this order.
TABLES = (
    *(images, predictions, image_fingerprints, returns, return_events, review_changes, reviews),
    *(compared_images, image_keys),
)
_SQLITE_FILLING = (
    "PRAGMA journal_mode = DELETE",
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA cache_size = -400000",
    "PRAGMA threads = 2",
)
_POSTGRESQL_FILLING = (
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '1GB'",
    "SET work_mem = '256MB'",
    # No foreign key is checked: the rows are right by their making.
    "SET session_replication_role = replica",
)


def fill(url: str, bundle: Bundle, count: int) -> float:
    """Insert `count` images into a database with the newest tables and no rows; return the seconds."""
    began = time.monotonic()
    # Connections of its own: their settings must not stay.
    engine = sa.create_engine(_driver(url), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        for statement in _SQLITE_FILLING if is_sqlite else _POSTGRESQL_FILLING:
            connection.exec_driver_sql(statement)
        _add_runs(connection, bundle, count)
        indexes = [index for table in TABLES for index in table.indexes]
        for index in indexes:
            index.drop(connection)
        for statement in statements.of(count, is_sqlite=is_sqlite):
            connection.exec_driver_sql(statement)
        for index in indexes:
            index.create(connection)
    engine.dispose()
    database = Database(url)
    _index_names(database, count)
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE")
        if not is_sqlite:
            for table in (runs, chunks, images, review_changes, returns, return_events):
                following = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
                sequence = sa.func.pg_get_serial_sequence(table.name, "id")
                connection.execute(sa.select(sa.func.setval(sequence, following)))
    database.close()
    return time.monotonic() - began


def _driver(url: str) -> sa.URL:
    made = sa.make_url(url)
    return made.set(drivername="postgresql+psycopg") if made.drivername == "postgresql" else made


def _add_runs(connection: sa.Connection, bundle: Bundle, count: int) -> None:
    now, size = utc_now(), statements.images_of_a_run(count)
    nights = -(-count // size)
    connection.execute(
        sa.insert(model_versions).values(
            id=MODEL,
            name=bundle.name,
            version=bundle.version,
            sha256=bundle.digest,
            metrics={},
            created_at=now,
        )
    )
    first = now - timedelta(days=nights)
    opened = [first + timedelta(days=night) for night in range(nights)]
    sizes = [min(size, count - night * size) for night in range(nights)]
    connection.execute(
        sa.insert(runs),
        [
            {
                "id": night + 1,
                "request_id": f"scale-{night}",
                "kind": "nightly",
                "state": "closed",
                "model_version_id": MODEL,
                "opened_at": opened[night],
                "touched_at": opened[night],
                "closed_at": opened[night],
                "seen": sizes[night],
                "classified": sizes[night],
                "unsure": sizes[night] // 20,
                "intake": INTAKE,
            }
            for night in range(nights)
        ],
    )
    timings = {"read": 9.0, "decode": 28.0, "predict": 80.0, "store": 13.0, "archive": 14.0}
    connection.execute(
        sa.insert(chunks),
        [
            {
                "id": chunk + 1,
                "run_id": chunk * CHUNK // size + 1,
                "state": "done",
                "size": min(CHUNK, count - chunk * CHUNK),
                "sent_at": (at := opened[chunk * CHUNK // size]),
                "received_at": at,
                "finished_at": at,
                "timings": timings,
            }
            for chunk in range(-(-count // CHUNK))
        ],
    )
    labels = [
        {"run_id": night + 1, "label": label, "count": sizes[night] // len(bundle.labels)}
        for night in range(nights)
        for label in bundle.labels
    ]
    connection.execute(sa.insert(run_labels), labels)
    mixes = [
        {
            "run_id": night + 1,
            "property": Property.CATEGORY.value,
            "bin": bundle.labels[0],
            "photos": sizes[night],
        }
        for night in range(nights)
    ]
    connection.execute(sa.insert(run_mixes), mixes)


def _index_names(database: Database, count: int) -> None:
    """Index the names of two blocks as the sweep does, then copy the second block to all others."""
    while True:
        with database.read() as connection:
            done = search_index.progress(connection)
        if done >= min(2 * BLOCK, count // BLOCK * BLOCK):
            break
        search_index.index(database, (INTAKE,), 0.01)
    last = count // BLOCK
    clause, source = statements.numbers(2, last, is_sqlite=database.is_sqlite)
    with database.write() as connection:
        connection.execute(sa.delete(search_grams).where(search_grams.c.block >= 2))
        if last > 2:
            connection.exec_driver_sql(statements.COPIED_BLOCKS.format(numbers=clause, source=source))
            end = last * BLOCK
            connection.execute(
                sa.update(search_progress).values(indexed_end=end, settled_end=end, seen_end=end)
            )
    search_groups.extend(database, last, math.inf)


def sizes(database: Database, count: int) -> dict[str, dict[str, float]]:
    """Return the bytes for an image of each table and index that has any, by table and name."""
    query = _SQLITE_SIZES if database.is_sqlite else _POSTGRESQL_SIZES
    with database.read() as connection:
        rows: list[Any] = list(connection.exec_driver_sql(query))
    found: dict[str, dict[str, float]] = {}
    for table, name, size in rows:
        if size / count >= 0.05:
            found.setdefault(table, {})[name] = round(size / count, 1)
    return found


# The column `pageno` is the number of pages here. `pgsize`, their bytes, is wrong from 2 GB on.
_SQLITE_SIZES = """
SELECT objects.tbl_name, pages.name, pages.pageno * (SELECT page_size FROM pragma_page_size)
FROM dbstat AS pages JOIN sqlite_master AS objects ON objects.name = pages.name
WHERE pages.aggregate = TRUE ORDER BY 1, 3 DESC
"""
_POSTGRESQL_SIZES = """
SELECT relname, relname, pg_table_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT tables.relname, indexes.relname, pg_relation_size(indexes.oid)
FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid
JOIN pg_class AS indexes ON indexes.oid = indexrelid
WHERE tables.relnamespace = 'public'::regnamespace
ORDER BY 1, 3 DESC
"""
