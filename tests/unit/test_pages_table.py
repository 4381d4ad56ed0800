"""The table of pages is the navigation and the routes: no page without a row, no row without a page."""

import pkgutil
from importlib import import_module

import pytest

from returns_pipeline.records.access import Role
from returns_pipeline.web import pages
from returns_pipeline.web.pages.table import PAGES, navigation, page_at

#: The pages of a reviewer's work.
_WORK = ["Tonight", "Returns", "Products", "Runs", "Review", "Upload", "Try one", "Models"]


def test_every_row_serves_its_path_and_every_page_has_a_row() -> None:
    """A route that no row covers would have no title and no role."""
    names = {module.name for module in pkgutil.iter_modules(pages.__path__)}
    modules = {name: import_module(f"{pages.__name__}.{name}") for name in names}
    assert {name for name, module in modules.items() if hasattr(module, "router")} == {
        page.module for page in PAGES
    }
    for page in PAGES:
        paths = {route.path for route in modules[page.module].router.routes} - {"/logout"}
        assert paths
        assert {page_at(path) for path in paths} == {page}


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        (Role.VIEWER, ["Tonight", "Returns", "Products", "Runs", "Models", "Account"]),
        (Role.REVIEWER, [*_WORK, "Account"]),
        (Role.OPERATOR, [*_WORK, "Account"]),
        (
            Role.ADMIN,
            [
                "Tonight",
                "Returns",
                "Products",
                "Runs",
                "Review",
                "Upload",
                "Try one",
                "Models",
                "Users",
                "Audit",
                "Account",
            ],
        ),
    ],
)
def test_nobody_is_led_to_a_page_that_refuses_them(role: Role, titles: list[str]) -> None:
    """The navigation has the pages that a role may see, in the order of the table."""
    assert [page.title for page in navigation(role)] == titles


def test_a_path_belongs_to_the_page_above_it() -> None:
    """The navigation marks a page for everything below its path, and for nothing else."""
    found = {path: page.title if (page := page_at(path)) else None for path in ("/runs/3", "/runsome", "/")}
    assert found == {"/runs/3": "Runs", "/runsome": None, "/": "Tonight"}
