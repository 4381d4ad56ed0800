"""The table of pages is the navigation and the routes: no page without a row, no row without a page."""

import pytest

from returns_pipeline.records.access import Role
from returns_pipeline.settings import load_settings
from returns_pipeline.web.app import create_app
from returns_pipeline.web.pages import router
from returns_pipeline.web.pages.table import PAGES, navigation, page_at


def test_every_row_serves_its_path_and_every_page_has_a_row() -> None:
    """A route that no row covers would have no title and no role."""
    paths = {route.path for route in router.routes if hasattr(route, "path")}
    assert {page.path for page in PAGES if page.in_navigation or page.role is None} <= paths
    uncovered = {path for path in paths if page_at(path) is None}
    assert uncovered == {"/logout"}
    assert create_app(load_settings()).openapi()["paths"].keys().isdisjoint(page.path for page in PAGES)


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        (Role.VIEWER, ["Tonight", "Runs", "Models"]),
        (Role.REVIEWER, ["Tonight", "Runs", "Review", "Try one", "Models"]),
        (Role.OPERATOR, ["Tonight", "Runs", "Review", "Try one", "Models"]),
    ],
)
def test_nobody_is_led_to_a_page_that_refuses_them(role: Role, titles: list[str]) -> None:
    """The navigation has the pages that a role may see, in the order of the table."""
    assert [page.title for page in navigation(role)] == titles


def test_a_path_belongs_to_the_page_above_it() -> None:
    """The navigation marks a page for everything below its path, and for nothing else."""
    found = {path: page.title if (page := page_at(path)) else None for path in ("/runs/3", "/runsome", "/")}
    assert found == {"/runs/3": "Runs", "/runsome": None, "/": "Tonight"}
