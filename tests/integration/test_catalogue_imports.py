"""Products are imported from files and folders, line by line, on both databases."""

import csv
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from openpyxl import Workbook
from pyarrow import parquet

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.catalogue import CatalogueCounts, PictureState, Product, ProductFilter
from returns_pipeline.store import catalogue_imports, product_images, products, return_lists, tables
from returns_pipeline.usecases import catalogue
from returns_pipeline.usecases.catalogue import Imported, ImportOptions, import_path
from tests.support import Installation

_NESTED = {
    "id": 7,
    "title": "Kettle",
    "brand": "Acme",
    "category": "Kitchen > Kettles",
    "price": {"amount": 12.99, "currency": "EUR"},
    "rating": {"rate": 4.5, "count": 120},
    "stock": 3,
    "dimensions": {"width": 15.14},
    "tags": ["steel", "new"],
    "images": [{"src": "https://shop.example/a.jpg"}, {"src": "images/b.jpg"}],
}


def take(
    home: Installation, path: Path, *, complete: bool = False, force: bool = False, **mapping: str
) -> Imported:
    """Import a file or a folder."""
    options = ImportOptions(mapping, complete, force, None)
    return import_path(home.settings, home.database, path, "ann", options)


def get(home: Installation, product_id: str) -> Product:
    """Return a product that exists."""
    return catalogue.existing(home.database, product_id)[0]


def addresses(home: Installation, product_id: str) -> list[str]:
    """Return the addresses of a product's pictures in their order."""
    return [each.address for each in catalogue.existing(home.database, product_id)[1]]


def found(home: Installation, **wanted: Any) -> list[str]:
    """Return the ids of the products that a filter chooses."""
    page = products.page(home.database, ProductFilter(**wanted), None, 100)
    assert products.count(home.database, ProductFilter(**wanted)) == (len(page.products), False)
    return sorted(each.product_id for each in page.products)


def write_lines(path: Path, *lines: str) -> Path:
    """Write a text file."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return path


def forms(folder: Path, listed: Sequence[dict[str, Any]]) -> dict[str, Path]:
    """Write the same nested products in every form that has objects."""
    lines = [json.dumps(each) for each in listed]
    made = {
        "array": write_lines(folder / "a.json", json.dumps(listed, indent=1)),
        "wrapped": write_lines(folder / "w.json", json.dumps({"total": 2, "products": listed, "skip": 0})),
        "lines": write_lines(folder / "l.jsonl", *lines),
        "parquet": folder / "p.parquet",
    }
    parquet.write_table(pa.Table.from_pylist(list(listed)), made["parquet"])
    return made


def test_every_form_gives_the_same_product(home: Installation, tmp_path: Path) -> None:
    """A JSON list, wrapped or not, JSON lines and Parquet say the same; only the first import changes."""
    for place, path in enumerate(forms(tmp_path, [_NESTED, {**_NESTED, "id": 8}]).values()):
        counts = take(home, path).counts
        assert counts == (CatalogueCounts(2, added=2) if place == 0 else CatalogueCounts(2, unchanged=2))
    item = get(home, "7")
    assert (item.title, item.brand, item.category) == ("Kettle", "Acme", "Kitchen/Kettles")
    assert (item.price, item.currency, item.rating, item.ratings) == (Decimal("12.99"), "EUR", 4.5, 120)
    assert (item.stock, item.attributes) == (3, {"dimensions.width": 15.14, "tags": ["steel", "new"]})
    pictures = catalogue.existing(home.database, "7")[1]
    assert [(each.address, each.folder) for each in pictures] == [
        ("https://shop.example/a.jpg", None),
        ("images/b.jpg", str(tmp_path)),
    ]
    assert {each.state for each in pictures} == {PictureState.NEW}


def test_a_german_csv_and_a_workbook(home: Installation, tmp_path: Path) -> None:
    """Semicolons, Windows-1252, decimals by comma, the currency beside the price; numbers of a workbook."""
    (tmp_path / "a.csv").write_bytes(
        "Artikelnummer;Bezeichnung;Marke;Hauptkategorie;Unterkategorie;Preis;Bewertung;Lagerbestand;Farbe;Bild\n"
        "A-1;Gürtel;Müller;Zubehör;Gürtel;1.299,00 €;4,5;auf Lager;Rot;bilder\\1.jpg\n"
        "A-2;Hut;;Zubehör;;12,5;;ausverkauft;;\n".encode("cp1252")
    )
    done = take(home, tmp_path / "a.csv")
    assert (done.encodings, done.counts) == (["cp1252"], CatalogueCounts(2, added=2))
    item = get(home, "A-1")
    assert (item.price, item.currency, item.stock, item.rating) == (Decimal(1299), "EUR", None, 4.5)
    assert (item.category, item.attributes["Farbe"]) == ("Zubehör/Gürtel", "Rot")
    assert (get(home, "A-2").stock, get(home, "A-2").attributes) == (0, {"Hauptkategorie": "Zubehör"})
    assert addresses(home, "A-1") == ["bilder/1.jpg"]
    book = Workbook()
    assert book.active is not None
    for row in (("id", "price", "stock"), ("A-1", 10.5, 7), (5, 3, None)):
        book.active.append(row)
    book.save(tmp_path / "b.xlsx")
    assert take(home, tmp_path / "b.xlsx").counts == CatalogueCounts(2, added=1, changed=1)
    assert (get(home, "A-1").price, get(home, "A-1").stock, get(home, "A-1").currency) == (
        Decimal("10.50"),
        7,
        "EUR",
    )
    assert found(home, q="gurt") == ["A-1"]
    assert found(home, q="mull") == ["A-1"]


def test_a_daily_file_changes_what_it_has_alone(home: Installation, tmp_path: Path) -> None:
    """Other columns, attributes and pictures stay; an empty value empties; the search follows the title."""
    write_lines(
        tmp_path / "a.csv", "id,title,price,stock,colour,image", "1,Red hat,5,1,red,a.jpg", "2,Cap,6,2,,b.jpg"
    )
    take(home, tmp_path / "a.csv")
    before = get(home, "1")
    daily = write_lines(tmp_path / "d.csv", "id,price,stock", "1,4.50,0", "2,6,2")
    assert take(home, daily).counts == CatalogueCounts(2, changed=1, unchanged=1)
    after = get(home, "1")
    assert after == before._replace(price=Decimal("4.50"), stock=0, changed_at=after.changed_at)
    assert after.changed_at > before.changed_at
    # The whole file of yesterday is another line again.
    assert take(home, tmp_path / "a.csv").counts == CatalogueCounts(2, changed=1, unchanged=1)
    more = write_lines(tmp_path / "m.csv", "id,title,colour,images", "1,Green hat,,c.jpg|a.jpg", "2,,,")
    assert take(home, more).counts == CatalogueCounts(2, changed=2)
    assert (get(home, "1").attributes, addresses(home, "1")) == ({}, ["c.jpg", "a.jpg"])
    assert (get(home, "2").title, addresses(home, "2")) == (None, [])
    assert (found(home, q="green"), found(home, q="red hat"), found(home, q="cap")) == (["1"], [], [])


def test_only_a_complete_file_discontinues(home: Installation, tmp_path: Path) -> None:
    """A refused line keeps its product; what is gone is kept, and sold again when a file has it again."""
    header = "id,title,price"
    whole = write_lines(tmp_path / "a.csv", header, *(f"{number},Hat {number},5" for number in range(40)))
    take(home, whole)
    part = write_lines(
        tmp_path / "b.csv", header, *(f"{number},Hat {number},5" for number in range(30)), "30,x,no"
    )
    assert take(home, part).counts.discontinued == 0
    assert take(home, part, complete=True).counts == CatalogueCounts(
        31, unchanged=30, refused=1, discontinued=9
    )
    gone = get(home, "31")
    assert (gone.state, gone.title) == ("discontinued", "Hat 31")
    assert found(home, state="discontinued") == sorted(map(str, range(31, 40)))
    few = write_lines(tmp_path / "c.csv", header, "1,Hat 1,5")
    with pytest.raises(RefusedError, match="lacks 30 of 31 products"):
        take(home, few, complete=True)
    assert len(found(home, state="listed")) == 31
    assert catalogue_imports.latest(home.database, 1)[0].error
    assert take(home, few, complete=True, force=True).counts.discontinued == 30
    # The same line as before brings its product back.
    assert take(home, whole).counts == CatalogueCounts(40, changed=39, unchanged=1)
    assert get(home, "31").discontinued_at is None


def test_a_bad_line_is_refused_alone(home: Installation, tmp_path: Path) -> None:
    """Each has its number, its id and a reason; the good ones are taken, and values stay values."""
    path = write_lines(
        tmp_path / "a.jsonl",
        json.dumps({"id": "1", "title": "=HYPERLINK(1)", "x": "<b>"}),
        json.dumps({"id": "2", "title": "a\x00b"}),
        json.dumps({"id": "3", "price": "=1+1"}),
        json.dumps({"id": "4", "rating": 9}),
        json.dumps({"title": "no id"}),
        json.dumps({"id": "6", "images": ["../../etc/passwd"]}),
        json.dumps({"id": "7", "title": "x" * 301}),
        json.dumps({"id": "8", "x": "y" * 3000}),
        '{"id": "9", "price": NaN}',
        "{broken",
        json.dumps({"id": "1", "title": "another"}),
        json.dumps({"id": "1", "title": "=HYPERLINK(1)", "x": "<b>"}),
        json.dumps({"id": "13", "title": "a\ud800"}),
        json.dumps({"id": "14", **{f"a{number}": 1 for number in range(300)}}),
        json.dumps({"id": ["15"]}),
        json.dumps({"id": "16", "stock": 10**400}),
        json.dumps({"id": "17", "title": "fine"}),
    )
    done = take(home, path)
    assert [each.line for each in done.refused] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16]
    assert done.counts == CatalogueCounts(17, added=2, unchanged=1, refused=14)
    reasons = {each.line: each.reason for each in done.refused}
    assert "is not a price" in reasons[3]
    assert "outside of the folder" in reasons[6]
    assert "earlier line" in reasons[11]
    assert catalogue_imports.faults(home.database, done.import_id) == done.refused
    assert (get(home, "1").title, get(home, "1").attributes) == ("=HYPERLINK(1)", {"x": "<b>"})
    assert found(home) == ["1", "17"]
    assert take(home, path).counts == CatalogueCounts(17, unchanged=3, refused=14)


def test_a_damaged_file_keeps_what_was_taken(home: Installation, tmp_path: Path) -> None:
    """What came before stays, nothing is discontinued, and the import says why it ended."""
    take(home, write_lines(tmp_path / "a.csv", "id,title", "9,Hat"))
    path = write_lines(tmp_path / "b.json", '[{"id": 1}, {"id": 2}, {"id": ]')
    with pytest.raises(RefusedError, match="damaged at its product 3"):
        take(home, path, complete=True)
    for content in ('{"id": 1,\n "title": "x"}', "[1", '{"a": [', "[" * 100_000, ""):
        with pytest.raises(RefusedError):
            take(home, write_lines(tmp_path / "c.json", content))
    assert found(home, state="listed") == ["9"]
    assert all(each.error for each in catalogue_imports.latest(home.database, 3))


def test_a_folder_has_several_files_and_pictures_by_id(home: Installation, tmp_path: Path) -> None:
    """All files count for what is complete; `images/ID.jpg` is found; links and other files are left out."""
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "3.PNG", "notes.txt"):
        (tmp_path / "images" / name).write_bytes(b"x")
    write_lines(tmp_path / "a.csv", "id,title", "1,Hat", "2,Cap")
    write_lines(tmp_path / "b.json", '[{"id": 3, "title": "Belt"}]')
    write_lines(tmp_path / "README.txt", "id", "no product")
    (tmp_path / "c.csv").symlink_to(tmp_path / "a.csv")
    assert take(home, tmp_path, complete=True).counts == CatalogueCounts(3, added=3)
    assert [addresses(home, each) for each in "123"] == [["images/1.jpg"], [], ["images/3.PNG"]]
    (tmp_path / "images/2.jpg").write_bytes(b"x")
    take(home, tmp_path, complete=True)
    assert addresses(home, "2") == ["images/2.jpg"]
    with pytest.raises(RefusedError, match="no file of products"):
        take(home, tmp_path / "images")


def test_filters_find_paths_words_and_brands(home: Installation, tmp_path: Path) -> None:
    """A category has the paths below it and no other; each word of a search is a beginning; pages join."""
    write_lines(
        tmp_path / "a.csv",
        "id;title;brand;category",
        *("SKU-1;Blue jeans;Acme;Apparel/Jeans", "SKU-2;Blue top;Acme;Apparel", "SKU-3;Jar;Bo;Apparelx/Jars"),
    )
    take(home, tmp_path / "a.csv")
    assert found(home, category="Apparel") == ["SKU-1", "SKU-2"]
    assert found(home, category="Apparel/Jeans/") == ["SKU-1"]
    assert found(home, q="blu acm") == ["SKU-1", "SKU-2"]
    assert found(home, q="SKU-3") == ["SKU-3"]
    assert found(home, q="100%") == found(home, q="!") == []
    assert found(home, brand="Bo", state="listed") == ["SKU-3"]
    assert products.categories(home.database) == ["Apparel", "Apparel/Jeans", "Apparelx", "Apparelx/Jars"]
    first = products.page(home.database, ProductFilter(), None, 2)
    second = products.page(home.database, ProductFilter(), first.next, 2)
    assert [each.product_id for each in (*first.products, *second.products)] == ["SKU-3", "SKU-2", "SKU-1"]
    assert (
        products.page(home.database, ProductFilter(), second.previous, 2, backwards=True).products
        == first.products
    )


def test_a_picture_that_is_gone_takes_its_vectors_along(home: Installation, tmp_path: Path) -> None:
    """A picture that stays keeps its row, its state and its vector; one that is gone leaves nothing."""
    take(home, write_lines(tmp_path / "a.csv", "id,images", "1,a.jpg|b.jpg"))
    first, second = catalogue.existing(home.database, "1")[1]
    with home.database.write() as connection:
        space = {"name": "s", "version": 1, "dimensions": 1, "metric": "cosine", "digest": "x"}
        connection.execute(
            sa.insert(tables.embedding_spaces).values(
                id=1, **space, state="active", created_at=get(home, "1").created_at
            )
        )
        for each in (first, second):
            connection.execute(
                sa.insert(tables.product_vectors).values(space_id=1, product_image_id=each.id, vector=b"x")
            )
        connection.execute(sa.update(tables.product_images).values(state=PictureState.EMBEDDED))
    take(home, write_lines(tmp_path / "b.csv", "id,images", "1,a.jpg"))
    (kept,) = catalogue.existing(home.database, "1")[1]
    assert kept == first._replace(state=PictureState.EMBEDDED)
    with home.database.read() as connection:
        assert connection.scalars(sa.select(tables.product_vectors.c.product_image_id)).all() == [first.id]
    assert product_images.find(home.database, second.id) is None


def test_products_that_a_program_sends(home: Installation, tmp_path: Path) -> None:
    """A missing field stays, null empties; paths are below RETURNS_CATALOGUE_DIR; names are never guessed."""
    settings, database = home.settings, home.database
    sent = {
        "id": "P-1",
        "title": "Hat",
        "price": 5,
        "attributes": {"title": "inner", "sku": "x"},
        "images": ["a.jpg"],
    }
    assert catalogue.put_one(settings, database, "ann", sent).result == "added"
    assert catalogue.put_one(settings, database, "ann", sent).result == "unchanged"
    item = get(home, "P-1")
    assert (item.title, item.attributes) == ("Hat", {"title": "inner", "sku": "x"})
    assert catalogue.existing(database, "P-1")[1][0].folder == str(settings.catalogue_dir)
    change = {"id": "P-1", "title": None, "attributes": {"sku": None}}
    assert catalogue.put_one(settings, database, "ann", change).result == "changed"
    item = get(home, "P-1")
    assert (item.title, item.price, item.attributes) == (None, Decimal(5), {"title": "inner"})
    with pytest.raises(RefusedError, match="outside"):
        catalogue.put_one(settings, database, "ann", {"id": "P-2", "images": [str(tmp_path / "x.jpg")]})
    outcomes = catalogue.put(
        settings,
        database,
        "ann",
        [{"id": "P-3"}, {"id": "P-3"}, {"id": "P-3", "stock": 1}, {"id": ""}],
        is_import=True,
    )
    assert [each.result for each in outcomes] == ["added", "unchanged", "refused", "refused"]
    with pytest.raises(NotFoundError):
        get(home, "P-2")


def test_importing_is_the_same_for_any_order_of_lines(home: Installation, tmp_path: Path) -> None:
    """More lines than one transaction has: ids that come twice across them are found."""
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "title"])
        writer.writerows([str(number), f"Hat {number}"] for number in range(5001))
        writer.writerows([["0", "Hat 0"], ["1", "Cap"]])
    assert take(home, path).counts == CatalogueCounts(5003, added=5001, unchanged=1, refused=1)


def test_lists_and_imports_use_indexes(home: Installation, tmp_path: Path) -> None:
    """On SQLite, whose plans do not depend on the number of rows, no statement reads all products."""
    if not home.database.is_sqlite:
        pytest.skip("PostgreSQL reads few rows faster without an index")
    statements: list[tuple[str, Any]] = []

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    path = write_lines(tmp_path / "a.csv", "id,title,brand,category,images", "1,Hat,Bo,A/B,a.jpg")
    take(home, path)
    engine = home.database._engine
    sa.event.listen(engine, "before_cursor_execute", remember)
    take(home, write_lines(tmp_path / "b.csv", "id,title,images", "1,Cap,b.jpg"), complete=True)
    for wanted in ({"q": "cap hat"}, {"category": "A"}, {"brand": "Bo"}, {"state": "discontinued"}, {}):
        found(home, **wanted)
    products.brands(home.database)
    return_lists.of_product(home.database, "1", 20)
    sa.event.remove(engine, "before_cursor_execute", remember)
    plans = []
    with home.database.read() as connection:
        for statement, parameters in statements:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                some = parameters[0] if isinstance(parameters, list) else parameters
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", some)
                plans += [(row[3], statement) for row in rows]
    assert len(plans) > 20
    scan = re.compile(r"SCAN (?:products|product_\w+|returns)\b(?! USING)")
    # A page of everything walks along the key from its end.
    assert [each for each in plans if scan.match(each[0]) and "ORDER BY products.id" not in each[1]] == []
