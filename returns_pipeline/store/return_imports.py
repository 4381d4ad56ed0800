"""Imports of returns: what is new is added, what has changed is updated, set by set."""

# ruff: noqa: S608 - every name in these statements is a table or column of this package

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.returns import (
    Announcement,
    ImportCounts,
    RefusedLine,
    ReturnAction,
    ReturnImport,
)
from returns_pipeline.store import bulk, returns
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import return_events, return_import_faults, return_imports
from returns_pipeline.store.tables import returns as table

#: Refused lines that an import keeps.
MOST_FAULTS = 10_000
_FIELDS = Announcement._fields
_DATE = _FIELDS.index("announced_on")
#: What a deletion of a customer's data removes, and later imports do not add again.
PERSONAL = ("order_number", "customer", "note")
#: Fields whose values are kept in a return's history.
_SHOWN = ("expected_label", "expected_main_label", "product", "title", "announced_on")
#: Numbers of one look-up. For many more, PostgreSQL reads the whole table in place of the index.
_LOOKED_UP = 2000
#: Attempts at a batch whose returns others open at the same time.
_ATTEMPTS = 5


class Announced(NamedTuple):
    """A checked line: the announcement, and which of its fields the line has; the others stay as they are."""

    line: int
    announcement: Announcement
    present: tuple[bool, ...]


class Origin(NamedTuple):
    """Where announcements come from. `import_id` is None for a single return, which is no import."""

    import_id: int | None
    who: str
    source: str
    missing_days: int


class _Overtaken(Exception):  # noqa: N818 - repeated, never seen by a caller
    """Another transaction opened one of the returns in between."""


def begin(db: Database, who: str, source: str) -> int:
    """Open an import; return its id."""
    values = {"at": utc_now(), "who": who[:100], "source": source[-255:]}
    with db.write() as connection:
        found = connection.execute(sa.insert(return_imports).values(values))
    return int(found.inserted_primary_key[0])  # type: ignore[index]


def finish(db: Database, import_id: int, error: str | None = None) -> None:
    """Record that the last line of an import is taken, or what ended it before."""
    with db.write() as connection:
        connection.execute(
            sa.update(return_imports)
            .where(return_imports.c.id == import_id)
            .values(finished_at=utc_now(), error=error)
        )


def take(
    db: Database,
    origin: Origin,
    lines: Sequence[Announced],
    refused: Sequence[RefusedLine] = (),
    repeated: int = 0,
) -> tuple[ImportCounts, list[str]]:
    """Add and update the returns of some lines in one transaction; no number is twice among them.

    `repeated` counts lines that say again what others say. Returns the counts, and for each line `added`,
    `changed` or `unchanged`. A changed return is queued for judging. Of a return whose customer's data were
    deleted, order, customer and note stay empty.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _take(db, origin, lines, refused, repeated)
        except _Overtaken:
            continue
        except TransientFault:  # a deadlock, or a database that is away
            if attempt == _ATTEMPTS - 1:
                raise
    raise TransientFault("Other programs announce the same returns now.", "Try again.")


def _take(
    db: Database,
    origin: Origin,
    lines: Sequence[Announced],
    refused: Sequence[RefusedLine],
    repeated: int,
) -> tuple[ImportCounts, list[str]]:
    with db.write() as connection:
        results = _Batch(connection, origin, lines).merge()
        counts = ImportCounts(
            len(lines) + len(refused) + repeated,
            results.count("added"),
            results.count("changed"),
            results.count("unchanged") + repeated,
            len(refused),
        )
        if origin.import_id is not None:
            _count(connection, origin.import_id, counts, refused)
    return counts, results


def _count(
    connection: sa.Connection, import_id: int, counts: ImportCounts, refused: Sequence[RefusedLine]
) -> None:
    columns = return_imports.c
    before = connection.execute(sa.select(columns.refused).where(columns.id == import_id)).scalar_one()
    connection.execute(
        sa.update(return_imports)
        .where(columns.id == import_id)
        .values({columns[name]: columns[name] + value for name, value in counts._asdict().items()})
    )
    kept = refused[: max(0, MOST_FAULTS - before)]
    rows = [(import_id, each.line, each.number[:100], each.reason) for each in kept]
    bulk.insert(connection, return_import_faults, ("import_id", "line", "number", "reason"), rows)


class _Batch:
    """Lines that are compared with the stored returns, and then written."""

    def __init__(self, connection: sa.Connection, origin: Origin, lines: Sequence[Announced]) -> None:
        self._connection, self._origin, self._lines = connection, origin, lines
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._now = utc_now()
        self._dues: dict[date, str] = {}

    def merge(self) -> list[str]:
        """Write what is new and what has changed; return what became of each line.

        Only returns that change are locked, which on PostgreSQL writes each row, and are then compared again.
        """
        stored = self._stored([line.announcement.number for line in self._lines])
        results, new, changes = self._compare(stored)
        if changes and not self._is_sqlite:
            numbers = sorted(old.values[0] for old, _ in changes)
            stored |= self._stored(numbers, "ORDER BY number FOR UPDATE")
            results, new, changes = self._compare(stored)
        self._add(new)
        self._change(changes)
        return results

    def _compare(
        self, stored: "dict[str, _Stored]"
    ) -> "tuple[list[str], list[Announcement], list[tuple[_Stored, list[Any]]]]":
        results: list[str] = []
        new: list[Announcement] = []
        changes: list[tuple[_Stored, list[Any]]] = []
        for _, announcement, present in self._lines:
            row = stored.get(announcement.number)
            if row is None:
                new.append(announcement)
                results.append("added")
                continue
            values = [
                new_value if has else old
                for new_value, old, has in zip(announcement, row.values, present, strict=True)
            ]
            if values[_DATE] is None:
                values[_DATE] = self._now.date()
            if row.is_closed:
                for name in PERSONAL:
                    values[_FIELDS.index(name)] = None
            if values == row.values:
                results.append("unchanged")
            else:
                changes.append((row, values))
                results.append("changed")
        return results, new, changes

    def _stored(self, numbers: list[str], lock: str = "") -> "dict[str, _Stored]":
        """Return the stored returns with these numbers, by number."""
        stored: dict[str, _Stored] = {}
        for start in range(0, len(numbers), _LOOKED_UP):
            stored |= self._some_stored(numbers[start : start + _LOOKED_UP], lock)
        return stored

    def _some_stored(self, numbers: list[str], lock: str) -> "dict[str, _Stored]":
        select = f"SELECT id, customer_removed_at, {', '.join(_FIELDS)} FROM returns WHERE number"
        if self._is_sqlite:
            found = self._connection.exec_driver_sql(
                f"{select} IN (SELECT value FROM json_each(?))", (json.dumps(numbers),)
            )
        else:
            found = self._connection.exec_driver_sql(f"{select} = ANY(%s) {lock}", (numbers,))
        stored = {}
        for number, removed_at, *values in found.fetchall():
            if self._is_sqlite and values[_DATE] is not None:
                values[_DATE] = date.fromisoformat(values[_DATE])
            stored[values[0]] = _Stored(number, removed_at is not None, values)
        return stored

    def _add(self, new: list[Announcement]) -> None:
        moment, source = self._moment(self._now), self._origin.source[-255:]
        rows: list[bulk.Row] = []
        # In the order of the numbers, so that two transactions never wait for each other.
        for each in sorted(new):
            day = each.announced_on or self._now.date()
            given: list[Any] = [*each[:_DATE], day.isoformat(), *each[_DATE + 1 :]]
            rows.append((*given, source, moment, moment, self._due(day)))
        columns = (*_FIELDS, "source", "created_at", "changed_at", "due_at")
        try:
            bulk.add(self._connection, table, columns, rows)
        except sa.exc.IntegrityError as error:
            raise _Overtaken from error

    def _change(self, changes: "list[tuple[_Stored, list[Any]]]") -> None:
        if not changes:
            return
        moment = self._moment(self._now)
        # A return that a photo opened, or whose date is corrected, gets another day from which it is missing.
        for moved in (False, True):
            some = [each for each in changes if (each[0].values[_DATE] != each[1][_DATE]) is moved]
            rows = [
                (*self._written(new), moment, *((self._due(new[_DATE]),) if moved else ()), old.id)
                for old, new in some
            ]
            columns = (*_FIELDS, "changed_at", *(("due_at",) if moved else ()), "id")
            bulk.update(self._connection, table, columns, rows)
        events = [
            (
                old.id,
                moment,
                self._origin.who[:100],
                str(ReturnAction.IMPORTED if old.values[_DATE] is None else ReturnAction.CHANGED),
                json.dumps(_difference(old.values, new)),
            )
            for old, new in changes
        ]
        bulk.insert(self._connection, return_events, ("return_id", "at", "who", "action", "detail"), events)
        returns.queue(self._connection, [old.id for old, _ in changes])

    def _written(self, values: list[Any]) -> list[Any]:
        return [*values[:_DATE], values[_DATE].isoformat(), *values[_DATE + 1 :]]

    def _due(self, day: date) -> str:
        if day not in self._dues:
            due = datetime.combine(day, time(), UTC) + timedelta(days=self._origin.missing_days)
            self._dues[day] = self._moment(due)
        return self._dues[day]

    def _moment(self, moment: datetime) -> str:
        """Return a moment as the driver takes it."""
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") if self._is_sqlite else moment.isoformat()


class _Stored(NamedTuple):
    """A stored return: the fields of an Announcement. `is_closed`: the customer's data were deleted."""

    id: int
    is_closed: bool
    values: list[Any]


def _difference(old: list[Any], new: list[Any]) -> dict[str, Any]:
    """Return what has changed: old and new values, but only the names of fields about the customer."""
    changed = [(name, a, b) for name, a, b in zip(_FIELDS, old, new, strict=True) if a != b]
    return {
        "fields": [name for name, _, _ in changed],
        "before": {name: _plain(a) for name, a, _ in changed if name in _SHOWN},
        "after": {name: _plain(b) for name, _, b in changed if name in _SHOWN},
    }


def _plain(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, date) else value


def latest(db: Database, limit: int) -> list[ReturnImport]:
    """Return the newest imports, newest first."""
    query = sa.select(return_imports).order_by(return_imports.c.id.desc()).limit(limit)
    with db.read() as connection:
        return [
            ReturnImport(
                row.id,
                row.at,
                row.finished_at,
                row.who,
                row.source,
                ImportCounts(row.lines, row.added, row.changed, row.unchanged, row.refused),
                row.error,
            )
            for row in connection.execute(query)
        ]


def faults(db: Database, import_id: int, most: int = MOST_FAULTS) -> list[RefusedLine]:
    """Return the refused lines of an import, at most MOST_FAULTS, in the order of the file."""
    columns = return_import_faults.c
    query = sa.select(columns.line, columns.number, columns.reason).where(columns.import_id == import_id)
    with db.read() as connection:
        return [
            RefusedLine._make(row) for row in connection.execute(query.order_by(columns.line).limit(most))
        ]
