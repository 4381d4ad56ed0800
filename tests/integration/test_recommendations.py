"""Events and recommendations, on both databases."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.recommendations import (
    EventCounts,
    EventKind,
    Part,
    RecommendationKind,
    Recommendations,
)
from returns_pipeline.report.recommendation_words import reasons
from returns_pipeline.store import catalogue_imports, product_writing, returns
from returns_pipeline.store import events as stored
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import (
    audit_events,
    embedding_spaces,
    events,
    product_images,
    product_neighbours,
    product_vectors,
    products,
)
from returns_pipeline.store.tables import returns as returns_table
from returns_pipeline.usecases import customers, recommendations
from returns_pipeline.usecases.events import evaluate, forget, import_file, take
from returns_pipeline.usecases.learning import learn
from returns_pipeline.usecases.product_search import ProductSearch
from tests.products import add_products, keep, product
from tests.support import Installation

HEADER = ("customer", "product", "kind", "at")
ROWS = [
    ("K1", "A", "kept", "2026-11-01T10:00:00Z"),
    ("K1", "B", "returned", "2026-11-02"),
    ("K2", "A", "Viewed", "2026-11-03T10:00:00+01:00"),
]
SUBSTITUTES, SIMILAR = RecommendationKind.SUBSTITUTES, RecommendationKind.SIMILAR
START = datetime(2026, 11, 1, tzinfo=UTC)


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write events as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def ids(found: Recommendations) -> list[str]:
    """Return the ids of what is recommended."""
    return [each.product.product_id for each in found.products]


def search_of(home: Installation) -> ProductSearch:
    """Return what finds products by their look."""
    return ProductSearch(home.settings, home.database)


def instead(
    home: Installation, product_id: str, kind: RecommendationKind, limit: int, customer: str | None = None
) -> Recommendations:
    """Recommend instead of a product."""
    return recommendations.for_product(search_of(home), home.database, product_id, kind, limit, customer)


def test_events_are_imported_once_and_wrong_lines_are_refused(home: Installation, tmp_path: Path) -> None:
    """The first import adds, a second one in any form changes nothing, and a wrong line is refused alone."""
    db = home.database
    assert import_file(db, write_csv(tmp_path / "a.csv", ROWS)).counts == EventCounts(3, added=3)
    objects = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, objects)))
    assert import_file(db, tmp_path / "a.jsonl").counts == EventCounts(3, unchanged=3)
    (tmp_path / "a.json").write_text(json.dumps(objects))
    assert import_file(db, tmp_path / "a.json").counts == EventCounts(3, unchanged=3)
    bad = [
        ("", "A", "kept", "2026-11-01"),
        ("K1", "A", "eaten", "2026-11-01"),
        ("K1", "A", "kept", "yesterday"),
        ("K" * 101, "A", "kept", "2026-11-01"),
        ("K\x01", "A", "kept", "2026-11-01"),
        ("K3", "A", "kept", "2026-11-01"),
    ]
    found = import_file(db, write_csv(tmp_path / "b.csv", bad))
    assert found.counts == EventCounts(6, added=1, refused=5)
    assert [each.line for each in found.refused] == [2, 3, 4, 5, 6]
    (tmp_path / "c.csv").write_text("customer,product,at\nK,A,2026-11-01\n")
    with pytest.raises(RefusedError, match="kind"):
        import_file(db, tmp_path / "c.csv")
    assert [each.kind for each in stored.of_customer(db, "K1", 10)] == [EventKind.RETURNED, EventKind.KEPT]


def test_a_forgotten_customer_stays_forgotten(home: Installation, tmp_path: Path) -> None:
    """The same file does not bring events of before back; later events count; no name is left."""
    db = home.database
    path = write_csv(tmp_path / "a.csv", ROWS)
    import_file(db, path)
    assert forget(db, "K1", "ann") == 2
    assert import_file(db, path).counts == EventCounts(3, unchanged=3)
    assert stored.of_customer(db, "K1", 10) == []
    later = {"customer": "K1", "product": "A", "kind": "kept", "at": "2099-01-01"}
    assert take(db, [later]).counts == EventCounts(1, added=1)
    assert forget(db, "K1", "ann") == 1
    with pytest.raises(NotFoundError):
        forget(db, "K1", "ann")
    with db.read() as connection:
        log = connection.execute(sa.select(audit_events)).all()
        left = connection.execute(sa.select(events.c.customer)).scalars().all()
    assert left == ["K2"]
    assert "K1" not in str(log)


def test_the_deletion_of_a_customer_removes_the_events_too(home: Installation) -> None:
    """With or without returns, nothing of the customer is left in the events."""
    db = home.database
    keep(db, "K1", "A", "B")
    keep(db, "K2", "A")
    with db.write() as connection:
        returns.ensure(connection, ["R-1"], "manifest.csv")
        connection.execute(sa.update(returns_table).values(customer="K1"))
    for customer, count in (("K1", 1), ("K2", 0)):
        assert customers.delete(home.settings, db, customer, "ann").returns == count
        assert stored.count_of(db, customer) == 0
        with pytest.raises(NotFoundError):
            customers.delete(home.settings, db, customer, "ann")


def test_what_a_customer_returned_is_never_recommended(home: Installation) -> None:
    """Neither by an event nor by a return; nor the product itself, what is sold out or of another kind."""
    db = home.database
    given = [product(name) for name in ("A", "B", "C", "D", "E")]
    given += [product("sold out", stock=0), product("shoes", category="Shoes")]
    add_products(db, given)
    keep(db, "K1", "B", kind=EventKind.RETURNED)
    with db.write() as connection:
        returns.ensure(connection, ["R-1", "R-2"], "manifest.csv")
        for number, product_id in (("R-1", "A"), ("R-2", "C")):
            connection.execute(
                sa.update(returns_table)
                .where(returns_table.c.number == number)
                .values(customer="K1", product=product_id)
            )
    item = returns.find(db, "R-1")
    assert item is not None
    for kind in (SUBSTITUTES, SIMILAR):
        assert ids(recommendations.for_return(search_of(home), db, item, kind, 10)) == [
            "D",
            "E",
        ]
        assert ids(instead(home, "A", kind, 10, "K1")) == ["D", "E"]
    assert ids(instead(home, "A", SUBSTITUTES, 10)) == ["B", "C", "D", "E"]
    with pytest.raises(NotFoundError):
        instead(home, "unknown", SUBSTITUTES, 10)


def test_a_return_without_a_product_gets_products_of_its_category(home: Installation) -> None:
    """The expected label is found as the end of a category's path, whatever its spelling."""
    db = home.database
    add_products(db, [product("A", category="Apparel/T-Shirt"), product("B", category="Apparel/Trousers")])
    with db.write() as connection:
        returns.ensure(connection, ["R-1"], "manifest.csv")
        connection.execute(sa.update(returns_table).values(expected_label="t shirt"))
    item = returns.find(db, "R-1")
    assert item is not None
    assert ids(recommendations.for_return(search_of(home), db, item, SUBSTITUTES, 10)) == ["A"]
    unknown = item._replace(expected_label=None)
    assert ids(recommendations.for_return(search_of(home), db, unknown, SUBSTITUTES, 10)) == []


def test_of_a_large_category_the_next_in_price_are_scored(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of scored products cuts those whose prices are farthest; other currencies come last."""
    monkeypatch.setattr(recommendations, "_MOST_SCORED", 3)
    given = [product(f"{price}", price=Decimal(price)) for price in (12, 19, 20, 21, 22, 28)]
    add_products(home.database, [*given, product("yen", price=Decimal(20), currency="JPY")])
    assert set(ids(instead(home, "20", SUBSTITUTES, 10))) <= {"19", "21", "20"}


def test_what_an_import_changes_counts_at_once(home: Installation) -> None:
    """The next answer of the same process has the new price, and not what is sold out or gone since."""
    db, search = home.database, search_of(home)

    def found() -> dict[str, Decimal | None]:
        products = recommendations.for_product(search, db, "A", SUBSTITUTES, 5).products
        return {each.product.product_id: each.product.price for each in products}

    add_products(db, [product(name) for name in ("A", "B", "C", "D")])
    assert found().keys() == {"B", "C", "D"}
    rows = add_products(db, [product("B", price=Decimal(19)), product("C", stock=0)])
    assert found() == {"B": Decimal(19), "D": Decimal(20)}
    import_id = catalogue_imports.begin(db, "ann", "shop.csv", is_complete=True)
    with db.write() as connection:
        product_writing.discontinue(connection, import_id, [rows["B"]])
    assert found().keys() == {"D"}


def give_looks(db: Database, rows: Mapping[str, int], looks: Mapping[str, Sequence[int]]) -> None:
    """Give products pictures with these vectors in the active space, and others in one that is building."""
    with db.write() as connection:
        for space, state in ((1, "active"), (2, "building")):
            connection.execute(
                sa.insert(embedding_spaces).values(
                    id=space,
                    name=f"space-{space}",
                    version=1,
                    dimensions=2,
                    metric="cosine",
                    digest="x",
                    state=state,
                    created_at=utc_now(),
                )
            )
        for place, (name, look) in enumerate(looks.items(), 1):
            picture = {"id": place, "product": rows[name], "position": 0, "address": "a", "state": "embedded"}
            connection.execute(sa.insert(product_images).values(picture))
            for space, vector in ((1, look), (2, look[::-1] if name == "B" else [0, 1])):
                connection.execute(
                    sa.insert(product_vectors).values(
                        space_id=space, product_image_id=place, vector=np.array(vector, np.int8).tobytes()
                    )
                )


def test_the_look_counts_in_the_active_space_alone(home: Installation) -> None:
    """Without vectors the part is named as missing; with them, the product that looks like it comes first."""
    db = home.database
    rows = add_products(db, [product(name) for name in ("A", "B", "C")])
    assert Part.LOOK in instead(home, "A", SUBSTITUTES, 5).missing
    give_looks(db, rows, {"A": [100, 1], "B": [1, 100], "C": [50, 1]})
    found = instead(home, "A", SUBSTITUTES, 5)
    assert Part.LOOK not in found.missing
    assert ids(found) == ["C", "B"]
    assert found.products[0].look == pytest.approx(1, abs=0.001)
    keep(db, "K1", "B")
    keep(db, "K1", "A", kind=EventKind.RETURNED)
    assert ids(instead(home, "C", SUBSTITUTES, 5, "K1")) == ["B"]


def test_products_of_any_category_come_by_their_look(home: Installation) -> None:
    """What looks alike is similar; it is a substitute only if it is known to be of the same kind."""
    db = home.database
    shirt = {"articleType": "Shirt", "gender": "Men"}
    others: dict[str, dict[str, Any]] = {
        "shirt": {"attributes": shirt},
        "women's shirt": {"attributes": shirt | {"gender": "Women"}},
        "trousers": {"attributes": {"articleType": "Trousers"}},
        "unknown kind": {},
        "sold out": {"attributes": shirt, "stock": 0},
        "dear": {"attributes": shirt, "price": Decimal(50)},
        "returned": {"attributes": shirt},
    }
    given = [product(name, category=f"Sale/{name}", **fields) for name, fields in others.items()]
    rows = add_products(db, [product("A", category="Men/Shirts", attributes=shirt), *given])
    give_looks(db, rows, {name: [100, place] for place, name in enumerate(("A", *others))})
    keep(db, "K1", "returned", kind=EventKind.RETURNED)
    found = instead(home, "A", SUBSTITUTES, 9, "K1")
    assert ids(found) == ["shirt"]
    assert "looks alike" in reasons(found.products[0])
    assert set(ids(instead(home, "A", SIMILAR, 9, "K1"))) == others.keys() - {"sold out", "returned"}


def test_a_photo_leads_to_products_by_its_look(home: Installation) -> None:
    """A photo of a known label gets what looks like it and is of that category; similar ones are of any."""
    db = home.database
    given = [product("A", category="Shop/Shirts"), product("B", category="Shop/Trousers")]
    rows = add_products(db, [*given, product("C", category="Shop/Shirts")])
    give_looks(db, rows, {"A": [100, 1], "B": [100, 2], "C": [1, 100]})
    look = np.array([100, 0], np.int8).tobytes()

    def found(kind: RecommendationKind, look: bytes | None, label: str | None = "Shirt") -> list[str]:
        return ids(recommendations.for_image(search_of(home), db, label, look, None, kind, 9))

    assert found(SUBSTITUTES, look) == ["A", "C"]
    assert found(SIMILAR, look) == ["A", "B", "C"]
    assert found(SUBSTITUTES, look, None) == []
    assert found(SUBSTITUTES, None) == []


def test_customers_who_kept_the_same_lead_to_products_of_other_kinds(home: Installation) -> None:
    """`learn` finds what is kept together, for a product and a customer, without what the customer has."""
    db = home.database
    names = ("A", "B", "C")
    add_products(db, [product(name, category=f"Apparel/{name}") for name in names])
    for number in range(5):
        keep(db, f"K{number}", "A", "B")
    keep(db, "new", "A")
    assert learn(db) == 2
    assert ids(recommendations.for_customer(db, "new", SIMILAR, 5)) == ["B"]
    assert ids(recommendations.for_customer(db, "unknown", SIMILAR, 5)) == []
    assert "B" in ids(instead(home, "A", SIMILAR, 5))
    assert ids(instead(home, "A", SUBSTITUTES, 5)) == []
    keep(db, "new", "B", kind=EventKind.RETURNED)
    assert ids(recommendations.for_customer(db, "new", SIMILAR, 5)) == []
    assert evaluate(db).customers == 5
    assert learn(db) == 2
    with db.write() as connection:
        connection.execute(sa.delete(events))
    assert learn(db) == 0
    with db.read() as connection:
        assert connection.execute(sa.select(product_neighbours)).all() == []


_NUMBERS = "FROM generate_series(1, 20000) AS n"
_LOAD = (
    "INSERT INTO products (id, product_id, category, price, currency, stock, attributes, digest, created_at, "
    "changed_at, description) SELECT n, 'P' || n, 'Shop/' || mod(n, 100), 1000 + mod(n, 977), 'EUR', "
    f"mod(n, 5), '{{}}', 'x', now(), now(), repeat('text ', 150) {_NUMBERS}",
    "INSERT INTO events (customer, at, product, kind) SELECT 'K' || mod(n, 2000), "
    f"now() - n * interval '1 s', 'P' || n, 'kept' {_NUMBERS}",
    f"INSERT INTO product_images (product, position, address, state) SELECT n, 0, 'x', 'new' {_NUMBERS}",
    "INSERT INTO embedding_spaces (id, name, version, dimensions, metric, digest, state, created_at) "
    "VALUES (1, 'x', 1, 256, 'cosine', 'x', 'active', now())",
    "INSERT INTO product_vectors SELECT 1, id, repeat('x', 256)::bytea FROM product_images",
    f"INSERT INTO product_neighbours SELECT 'P' || n, 'P' || (n + 1), 0.5 {_NUMBERS}",
    "INSERT INTO returns (number, product, customer, source, created_at, changed_at) SELECT 'R' || n, "
    f"'P' || n, 'K' || mod(n, 2000), 'x', now(), now() {_NUMBERS}",
    "ANALYZE",
)


@pytest.mark.parametrize("home", ["postgresql"], indirect=True)
def test_no_statement_of_a_recommendation_reads_a_whole_table_of_postgresql(home: Installation) -> None:
    """Among 20,000 products, each statement finds its rows by an index."""
    with home.database.write() as connection:
        for statement in _LOAD:
            connection.exec_driver_sql(statement)
    for statement, values in _statements_of(home):
        with home.database.read() as connection:
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())
        assert not re.search(r"Seq Scan on (products|events|product_|returns)", plan), plan


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_no_statement_of_a_recommendation_reads_a_whole_table_of_sqlite(home: Installation) -> None:
    """On SQLite, whose plans do not depend on the number of rows, each statement uses an index."""
    add_products(home.database, [product("P1", category="Shop/1"), product("P2", category="Shop/1")])
    keep(home.database, "K1", "P2")
    for statement, values in _statements_of(home):
        with home.database.read() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        assert not re.search(r"SCAN (products|events|product_\w+|returns)\b(?! USING COVERING)", str(plan)), (
            plan
        )


def _statements_of(home: Installation) -> list[tuple[str, Any]]:
    """Return the statements of each kind of question, with their parameters.

    The vectors are read before: once for a process, and not for each question.
    """
    db, search = home.database, search_of(home)
    seen: list[tuple[str, Any]] = []

    def ask() -> None:
        for kind in RecommendationKind:
            recommendations.for_product(search, db, "P1", kind, 10, "K1")
            recommendations.for_customer(db, "K1", kind, 10)

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    ask()
    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    reading = [each for each in seen if each[0].lstrip().startswith("SELECT")]
    assert len(reading) > 15
    assert products.name in str(reading)
    return reading
