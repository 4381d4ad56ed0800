"""Products for tests, rows of the catalogue as an import writes them, and what customers did with them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from returns_pipeline.records.catalogue import Product
from returns_pipeline.records.recommendations import Event, EventKind
from returns_pipeline.store import candidates, events, product_writing
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.product_writing import Offered

_START = datetime(2026, 11, 1, tzinfo=UTC)


def product(product_id: str, **fields: Any) -> Product:
    """Return a product of a shirt shop that is not in any database; `fields` are those of `Product`."""
    values: dict[str, Any] = {
        **dict.fromkeys(Product._fields),
        "id": sum(product_id.encode()),
        "product_id": product_id,
        "title": None,
        "category": "Apparel/Shirts",
        "price": Decimal("20.00"),
        "currency": "EUR",
        "stock": 3,
        "attributes": {},
        "created_at": utc_now(),
        "changed_at": utc_now(),
    }
    return Product(**values | fields)


def add_products(db: Database, given: Sequence[Product]) -> Mapping[str, int]:
    """Write products; return their rows by id."""
    fields = ("title", "brand", "category", "price", "currency", "rating", "ratings", "stock")
    offered = [
        Offered(
            each.product_id, b"x" * 16, {name: getattr(each, name) for name in fields}, each.attributes, None
        )
        for each in given
    ]
    with db.write() as connection:
        product_writing.write(connection, None, offered)
    return {each.product_id: each.id for each in candidates.by_ids(db, [each.product_id for each in given])}


def keep(db: Database, customer: str, *product_ids: str, kind: EventKind = EventKind.KEPT) -> None:
    """Add events of a customer."""
    events.add(
        db,
        [
            Event(customer, each, kind, _START + timedelta(hours=place))
            for place, each in enumerate(product_ids)
        ],
    )
