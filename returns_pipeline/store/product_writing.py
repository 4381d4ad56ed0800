"""Writes what a catalogue says of products: what is new is added, what has changed is updated, set by set."""

# ruff: noqa: S608 - every name in these statements is a table or column of this package

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.catalogue import AttributeValue
from returns_pipeline.store import bulk, product_images, product_words, removed_products
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.product_images import Place
from returns_pipeline.store.tables import products

#: What a daily file changes, and no index has.
_DAILY = ("price", "currency", "rating", "ratings", "stock")
_TEXTS = ("title", "brand", "category", "description")
_FIELDS = (*_DAILY, *_TEXTS, "attributes")
#: Fields with words that a search finds.
_SEARCHED = ("title", "brand", "category")
#: Products whose ids are read together to find those that are gone.
_TOGETHER = 5000


class Offered(NamedTuple):
    """What a checked line says of a product; see `catalogue.checking.CheckedProduct`."""

    product_id: str
    digest: bytes
    fields: Mapping[str, Any]
    attributes: Mapping[str, AttributeValue | None]
    pictures: Sequence[Place] | None


class _Stored(NamedTuple):
    id: int
    is_listed: bool
    fields: dict[str, Any]


def known(db: Database, product_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the digests of the lines by which products were changed last, of those that are sold."""
    with db.read() as connection:
        query = "SELECT product_id, digest FROM products WHERE discontinued_at IS NULL AND product_id"
        return {row[0]: bytes(row[1]) for row in _among(connection, query, product_ids)}


def write(connection: sa.Connection, import_id: int | None, offered: Sequence[Offered]) -> list[str]:
    """Add and change products; no id is twice among them. Return what became of each.

    That is `added`, `changed` or `unchanged`. A product that was discontinued is sold again.
    """
    lock(connection)
    batch = _Batch(connection, import_id)
    return batch.write(offered)


def lock(connection: sa.Connection) -> None:
    """Let no other transaction write products until this one ends. SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("LOCK TABLE products IN SHARE ROW EXCLUSIVE MODE")


def discontinue(connection: sa.Connection, import_id: int, ids: Sequence[int]) -> None:
    """Mark products as discontinued."""
    moment = bulk.moment(connection, utc_now())
    columns = ("discontinued_at", "changed_at", "import_id", "id")
    bulk.update(connection, products, columns, [(moment, moment, import_id, each) for each in ids])


def listed(connection: sa.Connection) -> Iterable[Sequence[tuple[int, str]]]:
    """Yield the row and the id of each product that is sold, some at a time."""
    last = 0
    product = products.c
    while True:
        query = sa.select(product.id, product.product_id).where(
            product.discontinued_at.is_(None), product.id > last
        )
        rows = connection.execute(query.order_by(product.id).limit(_TOGETHER)).all()
        if not rows:
            return
        last = rows[-1].id
        yield [(row.id, row.product_id) for row in rows]


class _Batch:
    """Lines that are compared with the stored products, and then written."""

    def __init__(self, connection: sa.Connection, import_id: int | None) -> None:
        self._connection, self._import_id = connection, import_id
        self._now = bulk.moment(connection, utc_now())

    def write(self, offered: Sequence[Offered]) -> list[str]:
        stored = self._stored([each.product_id for each in offered])
        results: list[str] = []
        new: list[Offered] = []
        daily: list[bulk.Row] = []
        whole: list[bulk.Row] = []
        reworded: dict[int, frozenset[str]] = {}
        pictures: dict[int, Sequence[Place]] = {}
        placed: list[tuple[int, int]] = []
        for each in offered:
            row = stored.get(each.product_id)
            if row is None:
                new.append(each)
                results.append("added")
                continue
            fields = _merged(row.fields, each)
            changed = {name for name in _FIELDS if fields[name] != row.fields[name]}
            if each.pictures is not None:
                pictures[row.id] = each.pictures
                placed.append((row.id, len(results)))
            if changed & set(_SEARCHED):
                reworded[row.id] = _words(each.product_id, fields)
            end = (each.digest, self._now, self._import_id, row.id)
            if changed <= set(_DAILY) and row.is_listed:
                if changed:
                    daily.append((*(fields[name] for name in _DAILY), *end))
            else:
                whole.append((*_row(fields), None, *end))
            results.append("changed" if changed or not row.is_listed else "unchanged")
        last = ("digest", "changed_at", "import_id", "id")
        bulk.update(self._connection, products, (*_DAILY, *last), daily)
        bulk.update(self._connection, products, (*_FIELDS, "discontinued_at", *last), whole)
        product_words.remove(self._connection, list(reworded))
        self._add(new, reworded)
        self._note_pictures(pictures, placed, results, offered)
        return results

    def _add(self, new: Sequence[Offered], words: dict[int, frozenset[str]]) -> None:
        """Add products, and write the words of these and of those that have got others."""
        rows: list[bulk.Row] = []
        fields = {each.product_id: _merged(_EMPTY, each) for each in new}
        for each in new:
            given = _row(fields[each.product_id])
            rows.append((each.product_id, *given, each.digest, self._now, self._now, self._import_id))
        columns = ("product_id", *_FIELDS, "digest", "created_at", "changed_at", "import_id")
        bulk.add(self._connection, products, columns, rows)
        if fields:
            removed_products.forget(self._connection, list(fields))
        ids = {row[0]: row[1] for row in _among(self._connection, _IDS, list(fields))}
        for each in new:
            words[ids[each.product_id]] = _words(each.product_id, fields[each.product_id])
        product_words.write(self._connection, words.items())
        added = {ids[each.product_id]: each.pictures for each in new if each.pictures}
        product_images.place(self._connection, added, added)

    def _note_pictures(
        self,
        pictures: Mapping[int, Sequence[Place]],
        placed: Sequence[tuple[int, int]],
        results: list[str],
        offered: Sequence[Offered],
    ) -> None:
        """Write the pictures of known products; a product with another picture has changed."""
        touched: list[bulk.Row] = []
        moved = product_images.place(self._connection, pictures)
        for product, place in placed:
            if product in moved and results[place] == "unchanged":
                results[place] = "changed"
                touched.append((offered[place].digest, self._now, self._import_id, product))
        bulk.update(self._connection, products, ("digest", "changed_at", "import_id", "id"), touched)

    def _stored(self, product_ids: Sequence[str]) -> dict[str, _Stored]:
        query = f"SELECT product_id, id, discontinued_at, {', '.join(_FIELDS)} FROM products WHERE product_id"
        found: dict[str, _Stored] = {}
        for product_id, row_id, discontinued_at, *values in _among(self._connection, query, product_ids):
            fields = dict(zip(_FIELDS, values, strict=True))
            if isinstance(fields["attributes"], str):
                fields["attributes"] = json.loads(fields["attributes"])
            found[product_id] = _Stored(row_id, discontinued_at is None, fields)
        return found


_EMPTY: dict[str, Any] = {**dict.fromkeys(_FIELDS), "attributes": {}}
_IDS = "SELECT product_id, id FROM products WHERE product_id"


def _merged(before: Mapping[str, Any], offered: Offered) -> dict[str, Any]:
    """Return the fields after a line. Another price without a currency keeps the currency."""
    fields = {**before, **offered.fields}
    if isinstance(fields["price"], Decimal):
        fields["price"] = int(fields["price"].scaleb(2))
    attributes = {**before["attributes"], **offered.attributes}
    fields["attributes"] = {name: value for name, value in attributes.items() if value is not None}
    return fields


def _row(fields: Mapping[str, Any]) -> bulk.Row:
    attributes = json.dumps(fields["attributes"], ensure_ascii=False)
    return (*(fields[name] for name in _FIELDS[:-1]), attributes)


def _words(product_id: str, fields: Mapping[str, Any]) -> frozenset[str]:
    return product_words.words_of(product_id, *(fields[name] for name in _SEARCHED))


def _among(connection: sa.Connection, query: str, product_ids: Sequence[str]) -> Sequence[Any]:
    """Return the rows of a query that ends with the column of the ids."""
    if connection.dialect.name == "sqlite":
        listed = json.dumps(product_ids, ensure_ascii=False)
        return connection.exec_driver_sql(f"{query} IN (SELECT value FROM json_each(?))", (listed,)).all()
    return connection.exec_driver_sql(f"{query} = ANY(%s)", (list(product_ids),)).all()
