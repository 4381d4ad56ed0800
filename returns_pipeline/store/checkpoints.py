"""Checkpoints of SQLite's write-ahead log, beside the transactions.

SQLite by itself copies the log into the database file within the commit that makes it long: that commit takes
as long as the disk needs for it, up to seconds. Here a thread does it, and no transaction waits.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any

#: Seconds between two checkpoints of one process, while it writes.
_EVERY = 2.0
#: Pages of the log from which writers wait for a checkpoint, so that the next one begins the log again. While
#: several processes write all the time, they would make it longer and longer.
_LONG = 16_000
#: Pages of the log from which SQLite copies within a commit after all: no thread has been able to.
LONGEST = 100_000
_BUSY_SECONDS = 10.0


class Checkpoints:
    """Copies the log of one database file. Each process has its own; only one works at a time."""

    def __init__(self, file: str) -> None:
        """Copy nothing yet."""
        self._file = file
        self._next = time.monotonic() + _EVERY
        self._thread: threading.Thread | None = None

    def after_commit(self) -> None:
        """Begin a checkpoint if the last one is some time ago. Returns without waiting."""
        if time.monotonic() < self._next or (self._thread and self._thread.is_alive()):
            return
        self._next = time.monotonic() + _EVERY
        self._thread = threading.Thread(target=self._copy, name="checkpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for a checkpoint that runs."""
        if self._thread:
            self._thread.join()

    def _copy(self) -> None:
        # A disk that is full now is a fault of the next transaction, and the log keeps everything.
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(self._file, timeout=_BUSY_SECONDS)) as connection,
        ):
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > _LONG:
                connection.execute("PRAGMA wal_checkpoint(RESTART)")


class QuickReads:
    """Reads of a database file that wait for nothing and take some microseconds. For one thread."""

    def __init__(self, file: str) -> None:
        """Connect at the first use."""
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def version(self) -> int | None:
        """Return a number that another one follows after each commit of others; None if it is unknown."""
        rows = self.rows("PRAGMA data_version")
        return int(rows[0][0]) if rows else None

    def rows(self, query: str, values: Sequence[int | str] = ()) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query; None if the file cannot be read now."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._file, timeout=0, check_same_thread=False)
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error:
            return None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def sync(file: str) -> None:
    """Make every transaction durable that is committed to a database file.

    What the log lacks is in the database file already, and durable. Raises OSError if the disk fails.
    """
    try:
        log = os.open(f"{file}-wal", os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(log)
    finally:
        os.close(log)
