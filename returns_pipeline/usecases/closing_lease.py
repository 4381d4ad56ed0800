"""Holds the closing of a run for as long as this process works on it."""

import threading
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from returns_pipeline.store import run_closing
from returns_pipeline.store.database import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")


class ClosingLease:
    """Renews a closing in a thread, because a report of millions of rows takes longer than a lease."""

    def __init__(self, db: Database, run_id: int, token: datetime, seconds: float) -> None:
        """Renew nothing yet. `token` is that of `run_closing.begin_closing`."""
        self._db, self._run_id, self._token, self._seconds = db, run_id, token, seconds
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="closing", daemon=True)

    def __enter__(self) -> Self:
        """Start to renew."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; the closing stays until the end of its lease."""
        self.end()

    def end(self) -> datetime:
        """Stop renewing; return the token with which the run is closed. It fails if the lease was lost."""
        self._is_over.set()
        self._thread.join()
        return self._token

    def _renew(self) -> None:
        with self._db.reading_once():
            while not self._is_over.wait(self._seconds / 4):
                try:
                    renewed = run_closing.renew_closing(self._db, self._run_id, self._token)
                except Exception as error:
                    # The next attempt may reach the database.
                    log.warning("closing_not_renewed", run=self._run_id, reason=str(error))
                    continue
                if renewed is None:
                    log.warning("closing_lost", run=self._run_id)
                    return
                self._token = renewed
