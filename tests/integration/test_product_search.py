"""Products are found by photos, in real processes, and by the vectors of images."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.records.images import Filter
from returns_pipeline.store import browsing, photo_looks, products, spaces, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import announcing, embedding
from returns_pipeline.usecases.catalogue import ImportOptions, import_path
from returns_pipeline.usecases.deletion import delete
from returns_pipeline.usecases.likely_products import is_part
from returns_pipeline.usecases.photo_looks import look, remove_old
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.usecases.runs import scan
from tests.spaces import write_catalogue, write_space
from tests.support import Installation
from tests.web import Site, site

_PRODUCTS = 16


def _shop(folder: Path) -> Path:
    """Write sixteen products of two categories, with prices and stocks; every fourth is out of stock."""
    write_catalogue(folder, _PRODUCTS)
    lines = ["id,title,category,brand,price,stock,image"]
    for number in range(_PRODUCTS):
        category = ("Apparel/Darks", "Apparel/Whites")[number % 2]
        stock = 0 if number % 4 == 0 else number
        lines.append(f"{number},Item {number},{category},Acme,{number}.50,{stock},images/{number}.png")
    (folder / "products.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def shop(home: Installation, tmp_path: Path) -> tuple[Installation, Path]:
    """Give an installation whose catalogue is embedded, and the folder of the products."""
    settings = home.settings.model_copy(update={"spaces_dir": tmp_path / "spaces"})
    write_space(settings.spaces_dir)
    shop, folder = Installation(settings, home.database), _shop(tmp_path / "shop")
    import_path(settings, home.database, folder, "ann", ImportOptions({}))
    context, queue = shop.in_process()
    embedding.begin(context)
    queue.deliver(context)
    return shop, folder


def _night(home: Installation, picture: Path, name: str) -> int:
    """Classify a copy of a picture; return the image."""
    (home.settings.incoming_dir / name).write_bytes(picture.read_bytes())
    context, queue = home.in_process()
    run_id = scan(context, name)
    queue.deliver(context)
    ((image,), _) = browsing.page(home.database, Filter(run_id), browsing.Order.ID, None, 10)
    return image.id


def test_an_image_is_looked_at_once_and_forgotten_with_it(shop: tuple[Installation, Path]) -> None:
    """A second message changes nothing; a deletion takes the vector along, and a late worker writes none."""
    home, folder = shop
    db, (context, _) = home.database, home.in_process()
    image_id = _night(home, folder / "images" / "5.png", "five.png")
    space = spaces.active(db)
    assert space is not None
    asked = photo_looks.of_image(db, space.id, image_id)
    assert photo_looks.of_image(db, space.id, image_id).id == asked.id
    look(context, asked.id)
    vector = photo_looks.of_image(db, space.id, image_id).vector
    assert vector is not None
    look(context, asked.id)
    found = ProductSearch(home.settings, db).like_vector(space, vector, 1)
    known = products.by_rows(db, [each.product for each in found])
    assert [item.product_id for item in known.values()] == ["5"]

    delete(home.settings, db, image_id, "boss")
    photo_looks.save(db, asked.id, vector, None)
    again = photo_looks.of_image(db, space.id, image_id)
    look(context, again.id)
    after = photo_looks.find(db, again)
    assert (after.vector, bool(after.fault)) == (None, True)


def test_a_photo_that_was_sent_is_forgotten(shop: tuple[Installation, Path]) -> None:
    """After an hour its vector is gone, while those of images stay."""
    home, folder = shop
    db, (context, _) = home.database, home.in_process()
    space = spaces.active(db)
    assert space is not None
    photo_looks.of_image(db, space.id, _night(home, folder / "images" / "5.png", "five.png"))
    sent = photo_looks.ask(db, space.id, str(folder / "gone.png"), 1)
    look(context, sent.id)
    assert photo_looks.find(db, sent).fault
    remove_old(context, utc_now())
    assert photo_looks.of_upload(db, sent.id, space.id)
    remove_old(context, utc_now() + timedelta(hours=2))
    assert photo_looks.of_upload(db, sent.id, space.id) is None
    with db.read() as connection:
        assert connection.execute(sa.select(sa.func.count(tables.photo_looks.c.id))).scalar() == 1


@pytest.mark.parametrize("nearest", [500, 1])
def test_filters_choose_among_the_nearest(
    shop: tuple[Installation, Path], monkeypatch: pytest.MonkeyPatch, nearest: int
) -> None:
    """With a filter, the order is that of all products without those that it excludes.

    This holds whether the chosen ones are among the nearest pictures or not.
    """
    home, _ = shop
    monkeypatch.setattr("returns_pipeline.usecases.product_search._NEAREST", nearest)
    db, search = home.database, ProductSearch(home.settings, home.database)
    item = products.find(db, "5")
    assert item is not None
    rows = [each.product for each in search.like_product(item.id, _PRODUCTS)]
    everything = list(products.by_rows(db, rows).values())
    order = {row: place for place, row in enumerate(rows)}
    everything.sort(key=lambda each: order[each.id])
    assert len(everything) == _PRODUCTS - 1

    for wanted, is_chosen in (
        (ProductFilter(category="Apparel/Whites"), lambda each: each.category == "Apparel/Whites"),
        (ProductFilter(available=True), lambda each: bool(each.stock)),
        (
            ProductFilter(lowest=Decimal("3.50"), highest=Decimal("7.50")),
            lambda each: 3 < each.price < 8,
        ),
        (ProductFilter(brand="Other"), lambda _: False),
    ):
        found = [each.product for each in search.like_product(item.id, 4, wanted)]
        assert found == [each.id for each in everything if is_chosen(each)][:4]


@pytest.mark.parametrize(
    ("label", "path", "expected"),
    [
        ("t-shirt", "Apparel/Topwear/Tshirts", True),
        ("dress", "Apparel/Dresses", True),
        ("shoes", "Footwear/Shoe", True),
        ("hat", "Apparel/Hats", True),
        ("shirt", "Apparel/Tshirts", False),
        ("hat", None, False),
        ("??", "Apparel", False),
    ],
)
def test_a_category_is_a_part_of_a_path(label: str, path: str | None, expected: bool) -> None:
    """Spelling and plural do not count; a part of a word is another category."""
    assert is_part(label, path) is expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the products."""
    return _shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def here(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a site with real workers whose catalogue was imported by the command, and so embedded."""
    spaces_dir = tmp_path_factory.mktemp("spaces")
    write_space(spaces_dir)
    with site(tmp_path_factory.mktemp("site"), spaces_dir=spaces_dir, worker_processes=1) as running:
        home = running.home
        photo = folder / "images" / "5.png"
        nothing = running.ask("POST", "/api/v1/products/search", files={"file": photo.open("rb")})
        assert (nothing.status_code, "catalogue embed" in nothing.text) == (409, True)
        assert home.json("catalogue", "import", str(folder))["embedding_chunks"] == 1
        deadline = time.monotonic() + 60
        while spaces.active(home.database) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield running


def _spooled(here: Site) -> list[Path]:
    return list(here.home.settings.spool_dir.iterdir())


def _search(here: Site, photo: Path | None = None, **fields: object) -> list[str]:
    files = {"file": photo.read_bytes()} if photo else {}
    found = here.ask("POST", "/api/v1/products/search", files=files, data=fields)
    assert found.status_code == 200, found.text
    return [each["product"]["id"] for each in found.json()["products"]]


def test_a_photo_finds_its_product_and_is_not_kept(here: Site, folder: Path) -> None:
    """The product comes first, with its facts and the reason; filters hold; no file of the photo stays."""
    photo = folder / "images" / "5.png"
    sent = here.ask("POST", "/api/v1/products/search", files={"file": photo.open("rb")}, data={"limit": 3})
    first, *others = sent.json()["products"]
    assert (first["product"]["id"], first["product"]["price"], len(others)) == ("5", "5.50", 2)
    assert first["similarity"] == pytest.approx(1, abs=0.01)
    assert first["why"] == ["looks 100 % alike"]
    darks = _search(here, photo, category="Apparel/Darks", available="true", limit=16)
    assert sorted(map(int, darks)) == [2, 6, 10, 14]
    assert "5" not in _search(here, photo, price_from="6", limit=16)
    assert _search(here, q="item 7") == ["7"]
    assert _search(here, product="5", limit=1) == [others[0]["product"]["id"]]
    assert _spooled(here) == []


def test_what_cannot_be_searched_is_refused(here: Site, folder: Path) -> None:
    """A broken photo, two things at a time, unknown fields and wrong values, each with a sentence."""
    path = "/api/v1/products/search"
    photo = (folder / "images" / "5.png").read_bytes()
    assert here.ask("POST", path, files={"file": b"no picture"}).status_code == 400
    assert here.ask("POST", path, files={"file": photo}, data={"product": "5"}).status_code == 400
    assert here.ask("POST", path, data={"product": "unknown"}).status_code == 404
    assert here.ask("POST", path, data={"image": "999999"}).status_code == 404
    assert here.ask("POST", path, json={"q": "item"}).status_code == 400
    for wrong in ({"price_from": "NaN"}, {"limit": "0"}, {"x": "y"}):
        assert here.ask("POST", path, data=wrong).status_code == 422
    assert _spooled(here) == []


def test_pages_show_the_products_of_a_photo(here: Site, folder: Path) -> None:
    """The pages of a photo and of its return show them on demand, and the own page finds by a photo."""
    photo = folder / "images" / "5.png"
    context, _ = here.home.in_process()
    announcing.announce_one(context, "ann", {"number": "R-5", "product": "5", "expected": "dark"})
    sent = here.ask("POST", "/predict", files={"file": photo.open("rb")}, data={"return": "R-5"})
    label = sent.json()["predicted_subcategory"]
    ((image,), _) = browsing.page(here.home.database, Filter(), browsing.Order.ID, None, 1)
    assert _search(here, image=image.id, limit=1) == ["5"]

    viewer = here.token_for(Role.VIEWER)
    for page in (f"/images/{image.id}", "/returns/R-5"):
        plain = here.ask("GET", page, viewer, headers={"Accept": "text/html"}).text
        assert "Which products look like this?" in plain
        assert "Item 5" not in plain.partition("Which products")[2]
        shown = here.ask("GET", f"{page}?products=1", viewer, headers={"Accept": "text/html"}).text
        panel = shown.partition("Products that look like this")[2]
        assert panel.index('/products/5"') < panel.index("</li>")
        assert ("same category as the photo" in panel) is (label == "white")

    found = here.page("/lookalikes", "POST", files={"file": photo.open("rb")})
    assert "Item 5" in found.text
    assert "look=" in found.url
    other = here.page(f"{found.url.removeprefix(here.url)}&lowest=6")
    assert '/products/5"' not in other.text.partition("Products that look")[2]
    assert "cannot be" in here.page("/lookalikes", "POST", files={"file": b"no picture"}).text
    assert "not kept any more" in here.page("/lookalikes?look=999").text
