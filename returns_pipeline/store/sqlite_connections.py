"""The connections to a SQLite file: how they are opened, how much memory each has, how they begin."""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from returns_pipeline.store import checkpoints

_BUSY_SECONDS = 30
#: Page cache of a connection, KiB: for the pages of one transaction, because a commit of another process
#: empties it. Files come in blocks of sorted names, so those of a chunk are near each other in the index of
#: the intake. SQLite sorts in as much memory again.
_CACHE_KIB = 12 * 1024
#: The same for work that reads each row once: more than a chunk's rows. A process that closes a run has two
#: connections, and each would grow by a cache and by what it sorts.
_READS_ONCE_KIB = 4 * 1024
#: Seconds between two attempts to take SQLite's write lock. SQLite itself waits up to 0.1 s, and meanwhile
#: others take the lock again and again.
_LOCK_PAUSE = 0.001


def engine(url: sa.URL, reads_once: Callable[[], bool]) -> sa.Engine:
    """Return the engine of a file. `reads_once`: whether this thread's transactions need a small cache."""
    # The connection that was used last comes first, so a second one is used only beside it.
    made = sa.create_engine(
        url, connect_args={"timeout": _BUSY_SECONDS}, poolclass=sa.QueuePool, pool_use_lifo=True
    )
    sa.event.listen(made, "connect", _open)
    sa.event.listen(made, "checkout", partial(_give_cache, reads_once))
    sa.event.listen(made, "begin", _begin)
    return made


def _open(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the "begin" listener starts transactions
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        # Without WAL, a power failure could lose commits out of order.
        raise sqlite3.OperationalError("SQLite needs a local disk here, for its write-ahead log")
    for pragma in (
        "foreign_keys = ON",
        "synchronous = NORMAL",
        f"wal_autocheckpoint = {checkpoints.LONGEST}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _give_cache(reads_once: Callable[[], bool], driver: Any, record: Any, _proxy: Any) -> None:
    """Set the page cache that this thread's next transaction may have. A smaller one frees pages at once."""
    kib = _READS_ONCE_KIB if reads_once() else _CACHE_KIB
    if record.info.get("cache_kib") != kib:
        driver.execute(f"PRAGMA cache_size = -{kib}")
        record.info["cache_kib"] = kib


def _begin(connection: sa.Connection) -> None:
    # Every write needs these statements, and through SQLAlchemy they cost ten times as much.
    driver: Any = connection.connection.driver_connection
    if not connection.get_execution_options().get("returns_writes"):
        driver.execute("BEGIN")
        return
    until = time.monotonic() + _BUSY_SECONDS
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while not _has_lock(driver, until):
            time.sleep(_LOCK_PAUSE)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")


def _has_lock(driver: sqlite3.Connection, until: float) -> bool:
    """Try to begin a transaction that has the write lock. Raises sqlite3's OperationalError after `until`."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
        if not is_busy or time.monotonic() > until:
            raise
        return False
    return True
