"""The tables of the code are those of the migrations; every revision goes up, down and up again."""

import subprocess
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from returns_pipeline.store.database import MIGRATIONS, Database
from returns_pipeline.store.tables import metadata
from tests.support import CLI, Installation


def test_the_head_revision_makes_the_tables_of_the_code(database_url: str) -> None:
    """After an upgrade, the tables, columns, types and indexes equal those of the code."""
    database = Database(database_url)
    database.upgrade()
    current, head = database.revision()
    assert current == head is not None
    assert database.differences() == []
    database.close()


def test_the_newest_file_is_the_only_head() -> None:
    """Revisions are numbered in a line: the program reads its own from the names of the files."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    names = sorted(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert scripts.get_heads() == [names[-1].partition("_")[0]]
    assert [script.revision for script in scripts.walk_revisions()] == [
        name.partition("_")[0] for name in reversed(names)
    ]


def test_every_revision_goes_up_down_and_up_again(database_url: str) -> None:
    """A downgrade to the base leaves no table, and an upgrade works again."""
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


def test_migrations_that_start_together_wait_for_each_other(home: Installation, tmp_path: Path) -> None:
    """Four `db upgrade` at the same time all succeed, and the database has the newest revision."""
    database = home.database
    database.downgrade("base")
    processes = [
        subprocess.Popen(
            [*CLI, "db", "upgrade"],
            env=home.environment(),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, printed
    assert database.revision() == (database.revision()[1],) * 2
    assert database.differences() == []
