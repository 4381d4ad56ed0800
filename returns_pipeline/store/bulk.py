"""Many rows in one statement, the hot path of the store: plain values go to the driver as they are.

Core makes a dict of every row and asks a type about every value, which costs more than SQLite's own work on
the row. A value whose type converts (a path, JSON) is the caller's to convert. PostgreSQL gets one array for
each column: one round trip, however many rows.
"""

# ruff: noqa: S608 - every name in these statements is one of our own tables' or columns'

from collections.abc import Sequence

import sqlalchemy as sa

#: One row: values in the order of the columns.
Row = tuple[str | int | float | bool | None, ...]


def insert(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[Row],
    conflict: str = "",
) -> None:
    """Insert rows, except those that `conflict` finds there already: a unique index in SQL; empty, any."""
    if not rows:
        return
    into = f"INSERT INTO {table.name} ({', '.join(columns)})"
    unless = f"ON CONFLICT {conflict} DO NOTHING"
    if _is_sqlite(connection):
        places = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"{into} VALUES ({places}) {unless}", list(rows))
    else:
        sql = f"{into} SELECT * FROM {_unnest(connection, table, columns)} AS new {unless}"
        connection.exec_driver_sql(sql, _arrays(rows))


def update(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Set all but the last of `columns`, in the row that the last one, a unique key, names."""
    if not rows:
        return
    *values, key = columns
    if _is_sqlite(connection):
        places = ", ".join(f"{name} = ?" for name in values)
        connection.exec_driver_sql(f"UPDATE {table.name} SET {places} WHERE {key} = ?", list(rows))
    else:
        places = ", ".join(f"{name} = new.{name}" for name in values)
        sql = (
            f"UPDATE {table.name} SET {places} FROM {_unnest(connection, table, columns)} "
            f"AS new ({', '.join(columns)}) WHERE {table.name}.{key} = new.{key}"
        )
        connection.exec_driver_sql(sql, _arrays(rows))


def _is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _unnest(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> str:
    types = (table.c[name].type.compile(connection.dialect) for name in columns)
    return f"unnest({', '.join(f'%s::{of}[]' for of in types)})"


def _arrays(rows: Sequence[Row]) -> tuple[list[object], ...]:
    return tuple(map(list, zip(*rows, strict=True)))
