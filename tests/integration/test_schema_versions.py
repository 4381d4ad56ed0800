"""A program and a schema of different versions: which pairs work together, and what is said of the others."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault
from returns_pipeline.store.database import MIGRATIONS, Database
from returns_pipeline.store.tables import schema_compatibility

_NEXT_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
schema_effect = "{effect}"


def upgrade() -> None:
    op.create_table("table_of_{revision}", sa.Column("id", sa.Integer, primary_key=True))


def downgrade() -> None:
    op.drop_table("table_of_{revision}")
"""


def _newer_program(url: str, folder: Path, *effects: str) -> Database:
    """Return a database as a newer program opens it: this one's migrations, and one for each effect."""
    copied = folder / "migrations"
    shutil.copytree(MIGRATIONS, copied)
    before = _head(url)
    for number, effect in enumerate(effects, start=1):
        revision = f"9{number:03}"
        text = _NEXT_MIGRATION.format(revision=revision, before=before, effect=effect)
        (copied / "versions" / f"{revision}_newer.py").write_text(text)
        before = revision
    return Database(url, copied)


def _head(url: str) -> str:
    head = Database(url).revision()[1]
    assert head is not None
    return head


def _listed(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(sa.select(schema_compatibility.c.revision)).scalars())


def test_a_program_starts_with_a_newer_schema_that_only_expands(database_url: str, tmp_path: Path) -> None:
    """Two expanding migrations later an older program still starts, and its `db upgrade` changes nothing."""
    newer, older = _newer_program(database_url, tmp_path, "expands", "expands"), Database(database_url)
    newer.upgrade()
    assert {"9001", "9002", _head(database_url)} <= _listed(newer)
    older.require_current()
    older.upgrade()
    assert older.revision() == ("9002", _head(database_url))
    newer.require_current()
    newer.downgrade("base")
    newer.close()
    older.close()


@pytest.mark.parametrize(
    "effects", [("contracts",), ("contracts", "expands"), ("expands", "contracts")], ids=" then ".join
)
def test_a_program_refuses_a_newer_schema_that_contracts(
    database_url: str, tmp_path: Path, effects: tuple[str, ...]
) -> None:
    """One contracting migration is enough: an older program neither starts nor migrates, and says why."""
    newer, older = _newer_program(database_url, tmp_path, *effects), Database(database_url)
    newer.upgrade()
    for refused in (older.require_current, older.upgrade):
        with pytest.raises(ConfigFault, match="newer version that this version cannot use") as caught:
            refused()
        assert caught.value.advice == "Update this program."
    newer.require_current()
    newer.downgrade(_head(database_url))
    older.require_current()
    assert _head(database_url) in _listed(older)
    newer.downgrade("base")
    newer.close()
    older.close()


def test_a_newer_program_refuses_an_older_schema(database_url: str, tmp_path: Path) -> None:
    """What a migration adds is missing from an older schema, even where the migration only expands."""
    newer, older = _newer_program(database_url, tmp_path, "expands"), Database(database_url)
    older.upgrade()
    with pytest.raises(ConfigFault, match="this version needs 9001"):
        newer.require_current()
    older.downgrade("base")
    with pytest.raises(ConfigFault, match="no tables yet"):
        older.require_current()
    newer.close()
    older.close()


def test_a_migration_says_whether_it_expands_or_contracts(database_url: str, tmp_path: Path) -> None:
    """A migration without the declaration fails, and the database stays at the revision before."""
    forgetful = _newer_program(database_url, tmp_path, "is forgotten")
    Database(database_url).upgrade()
    with pytest.raises(ValueError, match="needs a line `schema_effect"):
        forgetful.upgrade()
    assert forgetful.revision()[0] == _head(database_url)
    forgetful.downgrade("base")
    forgetful.close()
