"""Recommendations over HTTP, on pages and in a terminal."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from returns_pipeline.records.access import Role
from tests.products import add_products, product
from tests.web import Site, closed_run, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running installation with some products to all tests of this module."""
    with site(tmp_path_factory.mktemp("site")) as running:
        given = [
            product("A/1", title="Shirt <b>", category="Shop/Dark", rating=4.6),
            product("B", title="Blouse", category="Shop/Dark", price=Decimal("17.60"), rating=4.6),
            product("C", title="Jumper", category="Shop/Dark", price=Decimal("25.00"), stock=None),
        ]
        add_products(running.home.database, given)
        yield running


def test_a_request_is_answered_with_reasons_and_always_alike(here: Site) -> None:
    """Product and return have an answer; the score is the sum of its reasons; twice the same."""
    path = "/api/v1/recommendations?product=A%2F1&kind=substitutes&limit=5"
    first = here.ask("GET", path).json()
    assert [each["product_id"] for each in first["products"]] == ["B", "C"]
    assert first["missing"] == ["look", "taste"]
    for each in first["products"]:
        parts = sum(reason["value"] * reason["weight"] for reason in each["reasons"])
        assert each["score"] == pytest.approx(parts, abs=1e-4)
    texts = [reason["text"] for reason in first["products"][0]["reasons"]]
    assert texts == ["same category", "12 % cheaper", "4.6 of 5", "in stock"]
    assert here.ask("GET", path).json() == first
    german = here.ask("GET", path, headers={"Accept-Language": "de"}).json()
    assert german["products"][0]["reasons"][1]["text"] == "12 % günstiger"
    here.ask("PUT", "/api/v1/returns/R-1", json={"product": "A/1", "customer": "K1"})
    of_return = here.ask("GET", "/api/v1/recommendations?return=R-1").json()
    assert of_return["products"] == first["products"]


def test_events_change_the_answer(here: Site) -> None:
    """A returned product is recommended no more; a wrong event is refused alone."""
    sent = {"customer": "K9", "product": "B", "kind": "returned", "at": "2026-11-30"}
    body = {"events": [sent, {**sent, "kind": "eaten"}]}
    viewer, reviewer = here.token_for(Role.VIEWER), here.token_for(Role.REVIEWER)
    assert here.ask("POST", "/api/v1/events", viewer, json=body).status_code == 403
    found = here.ask("POST", "/api/v1/events", reviewer, json=body).json()
    assert (found["added"], found["unchanged"], [each["place"] for each in found["refused"]]) == (1, 0, [2])
    assert here.ask("POST", "/api/v1/events", json=body).json()["unchanged"] == 1
    path = "/api/v1/recommendations?product=A%2F1&customer=K9"
    assert [each["product_id"] for each in here.ask("GET", path, viewer).json()["products"]] == ["C"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("product=A/1&return=R-1", 400),
        ("image=1&customer=K1", 400),
        ("product=unknown", 404),
        ("return=unknown", 404),
        ("image=999999", 404),
        ("product=A/1&limit=0", 422),
        ("product=A/1&kind=other", 422),
        ("customer=%00", 400),
        ("customer=unknown", 200),
    ],
)
def test_wrong_requests_are_refused(here: Site, query: str, status: int) -> None:
    """A request names exactly one thing that exists; a customer without events gets no products."""
    found = here.ask("GET", f"/api/v1/recommendations?{query}")
    assert found.status_code == status, found.text
    if status == 200:
        assert found.json()["products"] == []


def test_pages_show_what_can_replace_a_product(here: Site) -> None:
    """A product's page and its return's have a panel of substitutes with reasons; without any, no panel."""
    here.ask("PUT", "/api/v1/returns/R-2", json={"product": "A/1"})
    for path in ("/products/A%2F1", "/returns/R-2"):
        page = here.page(path).text
        panel = page[page.index("What can replace it") :]
        assert "Blouse" in panel
        assert "same category, 12 % cheaper, 4.6 of 5, in stock" in panel
        assert 'href="/products/B"' in panel
    here.ask("PUT", "/api/v1/returns/R-3", json={"product": "not in the catalogue"})
    assert "What can replace it" not in here.page("/returns/R-3").text


def test_a_photo_gets_products_of_its_category(here: Site) -> None:
    """The label of a photo is found as a category of the catalogue."""
    run = closed_run(here, 4)
    images = here.ask("GET", f"/api/v1/images?run={run}").json()["images"]
    dark = next(each["id"] for each in images if each["label"] == "dark")
    found = here.ask("GET", f"/api/v1/recommendations?image={dark}").json()["products"]
    assert {each["product_id"] for each in found} == {"A/1", "B", "C"}


def test_commands(here: Site, tmp_path: Path) -> None:
    """Events are imported, learned from, evaluated and forgotten; substitutes have reasons."""
    path = tmp_path / "events.csv"
    lines = ["customer,product,kind,at"]
    lines += [f"C{n},{name},kept,2026-11-{n + 1:02}" for n in range(5) for name in ("A/1", "B")]
    path.write_text("\n".join(lines), encoding="utf-8")
    home = here.home
    assert home.json("events", "import", str(path), "--json")["added"] == 10
    shown = home.json("recommendations", "show", "A/1", "--json")["products"]
    assert [each["product"] for each in shown] == ["B", "C"]
    assert home.run("recommendations", "learn").stdout.startswith("2 products")
    stored = home.json("recommendations", "evaluate", "--json")
    of_file = home.json("recommendations", "evaluate", str(path), "--json")
    assert stored["qualities"]["taste"].keys() == {"recall_at_10", "ndcg_at_10", "coverage"}
    assert of_file["customers"] == 5
    assert home.run("events", "forget", "C1", "--yes").stdout == "Deleted 2 events.\n"
