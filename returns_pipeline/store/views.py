"""Named views, stored for their owners."""

from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConflictError, RefusedError
from returns_pipeline.records.views import View
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import SHARED, views

#: The most views that a person saves: each list shows them all.
MOST_OF_OWNER = 100
#: The most shared views that a list shows.
_MOST_SHARED = 200


def visible(db: Database, who: str) -> list[View]:
    """Return the views of a person and the shared ones of others, by name."""
    own = sa.select(views).where(views.c.owner == who)
    shared = sa.select(views).where(SHARED, views.c.owner != who).order_by(views.c.name)
    with db.read() as connection:
        rows = [*connection.execute(own), *connection.execute(shared.limit(_MOST_SHARED))]
    return sorted((View(*row) for row in rows), key=lambda view: (view.name.casefold(), view.owner))


def find(db: Database, view_id: int) -> View | None:
    """Return a view; None if there is none with this id."""
    with db.read() as connection:
        row = connection.execute(sa.select(views).where(views.c.id == view_id)).one_or_none()
    return View(*row) if row else None


def find_name(db: Database, owner: str, name: str) -> View | None:
    """Return the view of an owner with a name; None if there is none."""
    query = sa.select(views).where(views.c.owner == owner, views.c.name == name)
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
    return View(*row) if row else None


def save(
    db: Database, owner: str, name: str, path: str, query: str, *, shared: bool, overwrite: bool = False
) -> View:
    """Save a view, with `overwrite` in place of the owner's view of this name.

    Raises ConflictError if the owner has a view of this name, RefusedError if they have MOST_OF_OWNER.
    """
    values: dict[str, Any] = {"path": path, "query": query, "shared": shared}
    count = sa.select(sa.func.count()).select_from(views).where(views.c.owner == owner)
    with db.write() as connection:
        if connection.execute(count).scalar_one() >= MOST_OF_OWNER and not overwrite:
            raise RefusedError("You have {most} views.", "Remove one first.", most=MOST_OF_OWNER)
        statement = db.insert(views).values(owner=owner, name=name, created_at=utc_now(), **values)
        key = [views.c.owner, views.c.name]
        statement = (
            statement.on_conflict_do_update(index_elements=key, set_=values)
            if overwrite
            else statement.on_conflict_do_nothing(index_elements=key)
        )
        row = connection.execute(statement.returning(*views.c)).one_or_none()
    if row is None:
        raise _taken(name)
    return View(*row)


def change(db: Database, view: View) -> None:
    """Store name, address and `shared` of a view. Raises ConflictError if the owner has the name already."""
    values = {"name": view.name, "path": view.path, "query": view.query, "shared": view.shared}
    is_taken = sa.exists().where(
        views.c.owner == view.owner, views.c.name == view.name, views.c.id != view.id
    )
    with db.write() as connection:
        if connection.execute(sa.select(is_taken)).scalar():
            raise _taken(view.name)
        connection.execute(sa.update(views).where(views.c.id == view.id).values(values))


def remove(db: Database, view_id: int) -> None:
    """Remove a view; one that is gone stays gone."""
    with db.write() as connection:
        connection.execute(sa.delete(views).where(views.c.id == view_id))


def _taken(name: str) -> ConflictError:
    return ConflictError("You have a view {name} already.", "Choose another name, or replace it.", name=name)
