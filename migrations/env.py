"""Runs the migrations on the engine that `returns_pipeline.store.database` hands over."""

import sqlalchemy as sa
from alembic import context

from returns_pipeline.store.tables import metadata

_LOCK = 7_243_011  # any number that nothing else in the database uses


def _run() -> None:
    engine: sa.Engine = context.config.attributes["engine"]
    with engine.connect().execution_options(returns_writing=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Two containers that start together must not both migrate, and none may wait for ever.
            connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        context.run_migrations()


_run()
