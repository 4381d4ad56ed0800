"""Migrations are production code: forwards, back and forwards again, on both databases."""

import sqlalchemy as sa

from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import metadata


def test_the_head_revision_makes_the_tables_of_the_code(database_url: str) -> None:
    """After upgrading, Alembic finds nothing to change: tables, columns, types, indexes are the code's."""
    database = Database(database_url)
    database.upgrade()
    current, head = database.revision()
    assert current == head is not None
    assert database.differences() == []
    database.close()


def test_every_revision_goes_up_down_and_up_again(database_url: str) -> None:
    """Downgrading to the base leaves no table behind, and the way up is open again."""
    database = Database(database_url)
    database.upgrade()
    database.downgrade("base")
    with database.read() as connection:
        left = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
    assert left == set()
    database.upgrade()
    with database.read() as connection:
        assert set(metadata.tables) <= set(sa.inspect(connection).get_table_names())
    database.close()
