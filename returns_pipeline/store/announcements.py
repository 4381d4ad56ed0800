"""Announcements of results to the web processes that wait for them, on PostgreSQL.

An announcement says only: look now. It may be lost, so no caller may rely on it.
"""

import contextlib
from collections.abc import Callable

from returns_pipeline.errors import TransientFault
from returns_pipeline.store.database import Database, safe

_CHANNEL = "returns_results"


def announce(db: Database) -> None:
    """Announce that results are committed. Does nothing on SQLite, or if the database does not answer.

    It is a statement of its own: PostgreSQL commits one transaction with an announcement after the other,
    and would wait for the disk in between.
    """
    if not db.is_sqlite:
        with contextlib.suppress(TransientFault), db.read() as connection:
            connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


async def listen(db: Database, on_announcement: Callable[[], None]) -> None:
    """Call `on_announcement` for each announcement, until the connection ends: raises TransientFault then.

    Needs PostgreSQL. A pooler between may take the connection and announce nothing.
    """
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(**db.driver_arguments(), autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {_CHANNEL}")
            async for _ in connection.notifies():
                on_announcement()
    except psycopg.Error as error:
        raise TransientFault(
            "The database {shown} announces no results: {reason}.",
            shown=safe(db.url),
            reason=str(error).strip().partition("\n")[0].rstrip("."),
        ) from error
