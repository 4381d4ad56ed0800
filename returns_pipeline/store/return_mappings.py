"""How the columns of a shop's manifests are named, saved under a name."""

import sqlalchemy as sa

from returns_pipeline.errors import NotFoundError
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import return_mappings


def save(db: Database, name: str, columns: dict[str, str]) -> None:
    """Save a mapping {field: column}, in place of the one of this name."""
    values = {"columns": columns, "changed_at": utc_now()}
    statement = db.insert(return_mappings).values(name=name, **values)
    with db.write() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=[return_mappings.c.name], set_=values)
        )


def find(db: Database, name: str) -> dict[str, str]:
    """Return a saved mapping. Raises NotFoundError if none has this name."""
    columns = return_mappings.c
    with db.read() as connection:
        found = connection.execute(sa.select(columns["columns"]).where(columns.name == name)).scalar()
        names = list(connection.execute(sa.select(columns.name).order_by(columns.name).limit(20)).scalars())
    if found is None:
        raise NotFoundError(
            "There is no saved mapping {name}.",
            "Saved ones: {names}. A file's name ends with .json.",
            name=name,
            names=", ".join(names) or "-",
        )
    return dict(found)
