"""How the columns of a shop's files are named, saved under a name: of manifests, and of the catalogue."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import NotFoundError
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import catalogue_mappings, return_mappings


class Mappings:
    """The saved mappings of one kind of files."""

    def __init__(self, table: sa.Table) -> None:
        """Read and write the rows of `table`."""
        self._table = table

    def save(self, db: Database, name: str, columns: Mapping[str, Any]) -> None:
        """Save a mapping {field: column}, in place of the one of this name."""
        values = {"columns": dict(columns), "changed_at": utc_now()}
        statement = db.insert(self._table).values(name=name, **values)
        with db.write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[self._table.c.name], set_=values)
            )

    def find(self, db: Database, name: str) -> dict[str, Any]:
        """Return a saved mapping. Raises NotFoundError if none has this name."""
        columns = self._table.c
        with db.read() as connection:
            found = connection.execute(sa.select(columns["columns"]).where(columns.name == name)).scalar()
            query = sa.select(columns.name).order_by(columns.name).limit(20)
            names = list(connection.execute(query).scalars())
        if found is None:
            raise NotFoundError(
                "There is no saved mapping {name}.",
                "Saved ones: {names}. A file's name ends with .json.",
                name=name,
                names=", ".join(names) or "-",
            )
        return dict(found)


OF_RETURNS = Mappings(return_mappings)
OF_CATALOGUE = Mappings(catalogue_mappings)
