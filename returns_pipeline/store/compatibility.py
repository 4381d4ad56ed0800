"""Which programs can use the present schema. `migrations/README.md` says how a migration declares it.

Each migration expands or contracts the schema. A program works with the revision that it was written for, and
with every later one until the first that contracts. The table `schema_compatibility` holds the revisions
whose programs work with the present schema, so that an older program does not need the newer
migrations. Every migration, forwards or backwards, ends with `record`.
"""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from returns_pipeline.store.tables import schema_compatibility

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

#: Programs of the revision before still work.
EXPANDS = "expands"
#: Programs of the revision before no longer work.
CONTRACTS = "contracts"
#: The first revision with the table; earlier programs use their own revision only.
FIRST = "0007"


def compatible_revisions(scripts: "ScriptDirectory", revision: str) -> list[str]:
    """Return the revisions whose programs work with the schema of `revision`, newest first.

    Raises ValueError for a migration that declares neither effect.
    """
    found = []
    for script in scripts.iterate_revisions(revision, "base"):
        found.append(script.revision)
        if _effect_of(script) == CONTRACTS:
            break
    return found


def record(connection: sa.Connection, scripts: "ScriptDirectory", revision: str | None) -> None:
    """Write which revisions' programs work with the schema of `revision`, which the database has now."""
    if not sa.inspect(connection).has_table(schema_compatibility.name):
        return
    connection.execute(sa.delete(schema_compatibility))
    if revision is not None:
        rows = [{"revision": each} for each in compatible_revisions(scripts, revision)]
        connection.execute(sa.insert(schema_compatibility), rows)


def is_compatible(connection: sa.Connection, revision: str) -> bool:
    """Whether the database lists the programs of `revision` among those that can use its schema."""
    if not sa.inspect(connection).has_table(schema_compatibility.name):
        return False
    listed = sa.select(sa.true()).where(schema_compatibility.c.revision == revision)
    return connection.execute(listed).scalar() is not None


def _effect_of(script: "Script") -> str:
    if script.revision < FIRST:
        return CONTRACTS
    effect = getattr(script.module, "schema_effect", None)
    if effect not in (EXPANDS, CONTRACTS):
        raise ValueError(
            f'Migration {script.revision} needs a line `schema_effect = "{EXPANDS}"` or "{CONTRACTS}".'
        )
    return str(effect)
