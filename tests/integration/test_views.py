"""Named views over HTTP: what can be saved, who sees and changes a view, and filters of another release."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.store import tables
from tests.web import Site, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False) as running:
        yield running


def test_a_view_is_saved_changed_and_removed(here: Site) -> None:
    """Its name is unique among those of the owner; only the owner and operators change a shared one."""
    reviewer, viewer = here.token_for(Role.REVIEWER), here.token_for(Role.VIEWER)
    new = {
        "name": "  Bags   of yesterday ",
        "path": "/search",
        "query": "q=yesterday+bag&after=7",
        "shared": True,
    }
    saved = here.ask("POST", "/api/v1/views", reviewer, json=new)
    assert saved.status_code == 200, saved.text
    view = saved.json()
    assert (view["name"], view["query"]) == ("Bags of yesterday", "q=yesterday+bag")
    assert view["address"] == "/search?q=yesterday+bag"
    assert here.ask("POST", "/api/v1/views", reviewer, json=new).status_code == 409
    again = here.ask("POST", "/api/v1/views", reviewer, json={**new, "overwrite": True, "query": "q=bag"})
    assert (again.json()["id"], again.json()["query"]) == (view["id"], "q=bag")
    one = f"/api/v1/views/{view['id']}"
    listed = here.ask("GET", "/api/v1/views", viewer).json()["views"]
    assert [each["name"] for each in listed] == ["Bags of yesterday"]
    assert here.ask("PATCH", one, viewer, json={"name": "Mine"}).status_code == 403
    assert here.ask("POST", "/api/v1/views", viewer, json=new).status_code == 403
    mine = here.ask("POST", "/api/v1/views", viewer, json={**new, "shared": False}).json()
    assert here.ask("GET", f"/api/v1/views/{mine['id']}").status_code == 405
    assert here.ask("DELETE", f"/api/v1/views/{mine['id']}").status_code == 404
    changed = here.ask("PATCH", one, json={"name": "Bags", "query": "q=bag&order=oldest"}).json()
    assert changed["address"] == "/search?order=oldest&q=bag"
    assert here.ask("PATCH", one, reviewer, json={"shared": False}).json()["shared"] is False
    assert here.ask("DELETE", one, reviewer).status_code == 204
    assert here.ask("DELETE", one, reviewer).status_code == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/login", "next=/"),
        ("https://elsewhere.example/", ""),
        ("//elsewhere.example", ""),
        ("/runs/1/label", ""),
        ("/runs/0", ""),
        ("/search", "q=a&folder=b"),
        ("/search", "&" * 200),
    ],
)
def test_only_pages_and_filters_that_exist_can_be_saved(here: Site, path: str, query: str) -> None:
    """A view leads to no other site, no other page, and no filter that nothing reads."""
    sent = here.ask("POST", "/api/v1/views", json={"name": "A", "path": path, "query": query})
    assert sent.status_code in {400, 409, 422}, sent.text
    assert here.ask("GET", "/api/v1/views").json() == {"views": []}


def test_yesterday_of_a_review_stays_relative(here: Site) -> None:
    """The saved day is a word; the page shows it as chosen, and keeps it when another filter is applied."""
    sent = {"name": "Yesterday", "path": "/review", "query": "date=yesterday&kind=doubt"}
    view = here.ask("POST", "/api/v1/views", json=sent).json()
    assert view["address"] == "/review?date=yesterday&kind=doubt"
    page = here.page(view["address"])
    assert page.status_code == 200
    assert '<option value="yesterday" selected>' in page.text
    assert "Which photos: " in page.text
    assert here.page("/review/grid?date=today").status_code == 200
    assert here.ask("DELETE", f"/api/v1/views/{view['id']}").status_code == 204


def test_a_filter_of_another_release_is_named(here: Site) -> None:
    """The page says which filter is unknown; the address is without it."""
    view = here.ask("POST", "/api/v1/views", json={"name": "Old", "path": "/search", "query": "q=bag"}).json()
    with here.home.database.write() as connection:
        connection.execute(sa.update(tables.views).values(query="colour=red&q=bag"))
    found = here.ask("GET", "/api/v1/views").json()["views"]
    assert [(each["address"], each["unknown"]) for each in found] == [("/search?q=bag", ["colour"])]
    page = here.page("/views").text
    assert "a filter that this version of the program does not know: colour" in page
    assert 'href="/search?q=bag"' in page
    assert here.ask("DELETE", f"/api/v1/views/{view['id']}").status_code == 204
