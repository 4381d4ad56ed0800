"""Products are removed from the catalogue for good, with all that came from them."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.errors import GoneError, NotFoundError
from returns_pipeline.records.audit import AuditAction, AuditFilter
from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.store import audit, product_removal, products, removed_products, spaces, tables
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import catalogue
from returns_pipeline.usecases import product_removal as removal
from returns_pipeline.usecases.catalogue import ImportOptions, import_path, put_one
from returns_pipeline.usecases.learning import learn
from returns_pipeline.usecases.product_search import ProductSearch, refresh_index
from returns_pipeline.usecases.sweep import sweep
from returns_pipeline.vectors import index
from tests.integration.test_expected_products import Shop
from tests.products import keep
from tests.returns import night
from tests.support import Installation


def _listed(db: Database) -> list[str]:
    with db.read() as connection:
        return list(
            connection.scalars(sa.select(tables.products.c.product_id).order_by(tables.products.c.id))
        )


def _removals(db: Database) -> list[tuple[str, dict[str, int]]]:
    found = audit.page(db, AuditFilter(action=AuditAction.PRODUCT_REMOVE), None, 100)
    return [(each.subject_id, each.detail) for each in found]


def _import(home: Installation, folder: Path, text: str, *, is_complete: bool = False) -> None:
    path = folder / "shop.csv"
    path.write_text(text, encoding="utf-8")
    import_path(home.settings, home.database, path, "ann", ImportOptions({}, is_complete, force=True))


def test_nothing_of_a_removed_product_is_found(home: Installation, tmp_path: Path) -> None:
    """Pictures, vectors, words and neighbours go; the revision rises; events stay and teach nothing of it."""
    shop = Shop(home, tmp_path)
    db, before = shop.db, spaces.active(shop.db)
    assert before is not None
    gone = products.find(db, "6")
    assert gone is not None
    for number in range(5):
        keep(db, f"K{number}", "2", "4", "6")
    assert learn(db) == 3
    assert removal.remove_one(shop.context, " 6 ", "ann") == "6"

    after = spaces.active(db)
    assert after is not None
    assert after.revision > before.revision
    other = products.find(db, "2")
    assert other is not None
    found = ProductSearch(shop.context.settings, db).like_product(other.id, 100)
    assert len(found) == 14
    assert gone.id not in {each.product for each in found}
    assert products.page(db, ProductFilter(q="6"), None, 10).products == []
    with db.read() as connection:
        for table, column in (
            (tables.product_images, "product"),
            (tables.product_words, "product"),
            (tables.products, "id"),
        ):
            rows = sa.select(sa.func.count()).select_from(table).where(table.c[column] == gone.id)
            assert connection.execute(rows).scalar_one() == 0
        vectors = sa.select(sa.func.count()).select_from(tables.product_vectors)
        assert connection.execute(vectors).scalar_one() == 15
    neighbours = sa.select(tables.product_neighbours.c.product, tables.product_neighbours.c.neighbour)
    for _ in range(2):
        with db.read() as connection:
            assert sorted(map(tuple, connection.execute(neighbours))) == [("2", "4"), ("4", "2")]
        assert learn(db) == 2
    assert _removals(db) == [("6", {})]
    with pytest.raises(GoneError, match="Product 6 was removed from the catalogue by ann on"):
        catalogue.find(db, "6")
    with pytest.raises(NotFoundError):
        removal.remove_one(shop.context, "unknown", "ann")

    put_one(shop.context.settings, db, "ann", {"id": "6", "title": "again"})
    assert catalogue.find(db, "6").title == "again"
    assert removed_products.ids(db) == frozenset()


def test_returns_of_a_removed_product_are_judged_by_their_category(
    home: Installation, tmp_path: Path
) -> None:
    """Neither the expected product nor the one that was found counts once it is removed."""
    shop = Shop(home, tmp_path)
    for number, product in (("R-1", "2"), ("R-2", "4")):
        shop.announce(number, product, "6")
        shop.photo(number, "6")
    night(shop.pipeline)
    assert shop.seen("R-1") == ("mismatch", "other product", "6")
    removal.remove(shop.context, ["2"], "ann")
    shop.deliver()
    assert shop.seen("R-1") == ("match", "probable", None)
    assert shop.seen("R-2") == ("mismatch", "other product", "6")
    removal.remove(shop.context, ["6"], "ann")
    shop.deliver()
    assert shop.seen("R-2")[2] != "6"


def test_a_removal_that_was_broken_off_goes_on(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction removes a few; what is on sale stays, also what is sold again meanwhile."""
    monkeypatch.setattr(product_removal, "TOGETHER", 3)
    db, (context, _) = home.database, home.in_process()
    lines = "".join(f"P{number},t\n" for number in range(10))
    _import(home, tmp_path, f"id,title\n{lines}")
    _import(home, tmp_path, "id,title\nP0,t\n", is_complete=True)

    def broken(done: int) -> None:
        assert done == 3
        put_one(home.settings, db, "ann", {"id": "P9", "title": "sold again"})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        removal.remove_discontinued(context, "ann", broken)
    assert _listed(db) == ["P0", *(f"P{number}" for number in range(4, 10))]
    assert removal.remove_discontinued(context, "ann") == 5
    assert _listed(db) == ["P0", "P9"]
    assert removal.remove_discontinued(context, "ann") == 0
    assert _removals(db) == [("P7", {"products": 2}), ("P4", {"products": 3}), ("P1", {"products": 3})]


def test_a_worker_writes_the_index_anew(
    home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep notices an index of older vectors, once; it asks for none if there are few."""
    pytest.importorskip("usearch")
    shop = Shop(home, tmp_path)
    db, settings = shop.db, shop.context.settings
    monkeypatch.setattr(index, "LEAST_VECTORS", 15)
    assert refresh_index(settings, db)
    removal.remove(shop.context, ["6"], "ann")

    def indexes() -> list[str]:
        return [path.name for path in (settings.home / "vectors").glob("*.usearch")]

    old = indexes()
    for _ in range(2):
        sweep(shop.context, utc_now() + timedelta(seconds=1))
        assert len(shop.queue.messages) <= 2
    shop.deliver()
    new = indexes()
    assert (len(new), new == old) == (1, False)
    assert not refresh_index(settings, db)
    removal.remove(shop.context, ["4"], "ann")
    sweep(shop.context)
    shop.deliver()
    assert indexes() == new


def test_the_command_removes_what_is_named(home: Installation, tmp_path: Path) -> None:
    """It asks first; ids, a file, or all that are not sold; unknown ids are told and nothing else is lost."""
    db = home.database
    _import(home, tmp_path, "id,title\n" + "".join(f"P{number},t\n" for number in range(8)))
    _import(home, tmp_path, "id,title\n" + "".join(f"P{number},t\n" for number in range(6)), is_complete=True)
    asked = home.run("catalogue", "remove", "P0")
    assert (asked.returncode, len(_listed(db))) == (1, 8)
    assert "Remove 1 product (1 on sale) from the catalogue for good?" in asked.stdout + asked.stderr
    assert home.run("catalogue", "remove", "P0", "--all-discontinued").returncode == 2

    some = home.run("catalogue", "remove", "P0", "zz", "P0", "--yes")
    assert (some.returncode, some.stdout) == (1, "Removed 1 product.\nNot in the catalogue: zz.\n")
    whole = home.run("catalogue", "remove", "--all-discontinued", "--yes")
    assert (whole.returncode, whole.stdout) == (0, "Removed 2 products.\n")
    file = tmp_path / "gone.csv"
    file.write_text("sku;price\nP1;3\nP2;4\nP1;5\n", encoding="utf-8")
    listed = home.run("catalogue", "remove", "--file", str(file), "--yes")
    assert (listed.returncode, listed.stdout) == (0, "Removed 2 products.\n")
    assert _listed(db) == ["P3", "P4", "P5"]
