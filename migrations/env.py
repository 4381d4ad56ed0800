"""Runs the migrations on the engine that `returns_pipeline.store.database` passes in."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import context

from returns_pipeline.store import compatibility
from returns_pipeline.store.database import WRITING
from returns_pipeline.store.tables import metadata

_LOCK = 7_243_011  # an arbitrary key that nothing else in the database uses


def _run() -> None:
    engine: sa.Engine = context.config.attributes["engine"]
    # On SQLite this takes the write lock first, so a second migration waits and then finds nothing to do.
    connection = engine.connect().execution_options(**WRITING)
    with connection, _unchecked(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            # Two containers that start together must not both migrate, and neither may wait forever.
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        context.run_migrations()
        reached = context.get_context().get_current_revision()
        compatibility.record(connection, context.script, reached)
        if connection.dialect.name == "sqlite" and (
            broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        ):
            raise RuntimeError(f"the migration would break references: {broken[:5]}")


@contextmanager
def _unchecked(connection: sa.Connection) -> Iterator[None]:
    """Switch off SQLite's foreign keys to rebuild referenced tables; only possible outside a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.driver_connection
    assert raw is not None  # noqa: S101 - the connection is open; for the type checker
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


_run()
