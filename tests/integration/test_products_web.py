"""Products over HTTP and on pages."""

from collections.abc import Iterator

import pytest

from returns_pipeline.records.access import Role
from returns_pipeline.usecases import announcing, catalogue
from returns_pipeline.usecases.catalogue import ImportOptions
from tests.support import write_images
from tests.web import Site, site

_MANY = 130


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, with a catalogue that has pictures."""
    folder = tmp_path_factory.mktemp("shop")
    (picture,) = write_images(folder, 1)
    (folder / "link.png").symlink_to("/etc/passwd")
    (folder / "products.csv").write_text(
        "id;title;brand;category;price;currency;stock;rating;colour;images\n"
        f"A/1;<b>Red</b> hat;Acme;Apparel/Hats;1299,50;EUR;3;4,5;<i>red</i>;{picture.name}|https://x.example/a.jpg\n"
        "B-2;Link;Acme;Apparel;;;0;;;link.png\n"
        + "".join(f"C-{n};Cap {n};Bo;Caps;{n};;;;;\n" for n in range(_MANY))
    )
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        assert "There is no product yet." in running.page("/products").text
        home = running.home
        catalogue.import_path(home.settings, home.database, folder, "ann", ImportOptions({}))
        context, _ = home.in_process()
        announcing.announce_one(context, "ann", {"number": "R-1", "product": "A/1", "expected": "dark"})
        yield running


def test_a_product_is_put_and_read(here: Site) -> None:
    """The same request changes nothing; a missing field stays, null empties; a wrong one changes nothing."""
    path = "/api/v1/products/P-1"
    body = {"title": "Belt", "price": "1.299,00 €", "stock": 2, "attributes": {"length": 90, "tags": ["a"]}}
    first = here.ask("PUT", path, json=body).json()
    assert (first["price"], first["currency"], first["attributes"]) == ("1299.00", "EUR", body["attributes"])
    assert here.ask("PUT", path, json=body).json() == first
    changed = here.ask("PUT", path, json={"stock": None, "attributes": {"tags": None}}).json()
    assert (changed["stock"], changed["title"], changed["attributes"]) == (None, "Belt", {"length": 90})
    for wrong in ({"price": "=1+1"}, {"rating": 7}, {"images": ["../a.jpg"]}, {"attributes": {"": 1}}):
        assert here.ask("PUT", path, json=wrong).status_code == 400
    assert here.ask("PUT", path, json={"unknown": 1}).status_code == 422
    assert here.ask("GET", path).json() == changed
    assert here.ask("GET", "/api/v1/products/unknown").status_code == 404
    actions = [each["action"] for each in here.ask("GET", "/api/v1/audit").json()["events"]]
    assert (actions.count("product_change"), actions.count("catalogue_import")) == (2, 1)


def test_many_products_have_a_result_each(here: Site) -> None:
    """A wrong one is refused alone, and the request is an import."""
    sent = [
        {"id": "M-1", "title": "x"},
        {"id": "M-2", "price": -1},
        {"id": "M-1", "title": "y"},
        {"id": "M-3"},
    ]
    for expected in ("added", "unchanged"):
        results = here.ask("POST", "/api/v1/products", json={"products": sent}).json()["results"]
        assert [each["result"] for each in results] == [expected, "refused", "refused", expected]
    viewer, reviewer = here.token_for(Role.VIEWER), here.token_for(Role.REVIEWER)
    assert here.ask("POST", "/api/v1/products", reviewer, json={"products": sent}).status_code == 403
    assert here.ask("GET", "/api/v1/products/M-1", viewer).status_code == 200


def test_a_list_is_walked_by_its_cursor(here: Site) -> None:
    """Every product once, with filters; an unknown state is refused."""
    found: list[str] = []
    cursor = ""
    while True:
        page = here.ask("GET", f"/api/v1/products?brand=Bo&limit=50{cursor}").json()
        found += [each["id"] for each in page["products"]]
        assert (page["total"], page["total_is_exact"]) == (_MANY, True)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(found) == sorted(f"C-{number}" for number in range(_MANY))
    ids = [
        each["id"] for each in here.ask("GET", "/api/v1/products?category=Apparel&q=red").json()["products"]
    ]
    assert ids == ["A/1"]
    assert here.ask("GET", "/api/v1/products?state=gone").status_code == 422


def test_pages_of_products(here: Site) -> None:
    """Names are text, never markup; a list has pages and two looks; a product and its return are linked."""
    page = here.page("/products?q=red").text
    assert "&lt;b&gt;Red&lt;/b&gt; hat" in page
    assert "<b>Red" not in page
    assert "1,299.50 EUR" in page
    assert 'class="thumb"' in here.page("/products?q=red&look=grid").text
    assert "No product matches." in here.page("/products?q=xylophone&state=odd").text
    first = here.page("/products?brand=Bo").text
    assert first.count("/products/C-") == 60
    assert 'rel="next"' in first
    product = here.page("/products/A%2F1").text
    for words in (
        "&lt;i&gt;red&lt;/i&gt;",
        "4.5 of 5",
        "https://x.example/a.jpg",
        "/returns/R-1",
        "category=Apparel/Hats",
    ):
        assert words in product
    assert "/products/A%2F1" in here.page("/returns/R-1").text
    assert "out of stock" in here.page("/products/B-2").text


def test_a_picture_is_drawn_and_a_link_is_not(here: Site) -> None:
    """A file below the folder is drawn and kept; a link and an address of the web have a grey one."""
    (local, web) = here.ask("GET", "/api/v1/products?q=red").json()["products"][0]["images"]
    (link,) = here.ask("GET", "/api/v1/products/B-2").json()["images"]
    drawn = here.ask("GET", f"/api/v1/product-images/{local['id']}/thumbnail?size=64")
    assert (drawn.status_code, drawn.headers["content-type"]) == (200, "image/webp")
    assert "x-placeholder" not in drawn.headers
    headers = {"If-None-Match": drawn.headers["etag"]}
    assert (
        here.ask(
            "GET", f"/api/v1/product-images/{local['id']}/thumbnail?size=64", headers=headers
        ).status_code
        == 304
    )
    for other in (web, link):
        assert (
            here.ask("GET", f"/api/v1/product-images/{other['id']}/thumbnail").headers["x-placeholder"] == "1"
        )
    assert here.ask("GET", "/api/v1/product-images/999999/thumbnail").status_code == 404


def test_an_admin_removes_a_product(here: Site) -> None:
    """A form asks first; then the product is gone, and the page of its return says who removed it."""
    for product in ("D/1", "D-2"):
        here.ask("POST", "/api/v1/products", json={"products": [{"id": product, "title": "Old hat"}]})
    context, _ = here.home.in_process()
    announcing.announce_one(context, "ann", {"number": "R-2", "product": "D/1", "expected": "dark"})
    operator, admin = here.token_for(Role.OPERATOR), here.token_for(Role.ADMIN)
    assert here.ask("DELETE", "/api/v1/products/D-2", operator).status_code == 403
    assert "Remove this product" not in here.ask("GET", "/products/D-2", operator).text
    assert here.ask("GET", "/products/D-2?remove=1", operator).status_code == 403

    assert "/products/D%2F1?remove=1" in here.page("/products/D%2F1").text
    assert "Remove for good" in here.page("/products/D%2F1?remove=1").text
    shown = here.page("/products/D%2F1", "POST")
    assert "Product D/1 was removed from the catalogue." in shown.text
    assert "Product D/1 is not in the catalogue any more" in here.page("/returns/R-2").text
    gone = here.ask("GET", "/api/v1/products/D%2F1")
    assert (gone.status_code, "was removed from the catalogue by" in gone.text) == (410, True)

    assert here.ask("DELETE", "/api/v1/products/D-2", admin).json() == {"id": "D-2"}
    for _ in range(2):
        assert here.ask("DELETE", "/api/v1/products/D-2", admin).status_code == 410
    assert here.ask("GET", "/api/v1/products/D-2").status_code == 410
    assert here.ask("DELETE", "/api/v1/products/unknown", admin).status_code == 404
