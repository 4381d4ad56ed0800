"""The table of pages: the navigation and the routes are made from it.

A new page is a module with a `router`, a row here, and a template.
"""

from typing import NamedTuple

from returns_pipeline.records.access import Role


class Page(NamedTuple):
    """One page: its path, its title, and the module that serves it and the paths below it.

    `role` is the lowest role that may see the page; with None it needs no log-in. `in_navigation`: each page
    links to it. `key` opens it from every page; no page has another use for this key.
    """

    path: str
    title: str
    module: str
    role: Role | None
    in_navigation: bool = True
    key: str = ""


PAGES = (
    Page("/", "Tonight", "tonight", Role.VIEWER, key="t"),
    Page("/runs", "Runs", "runs", Role.VIEWER, key="l"),
    # A path below another page's path comes before it.
    Page("/review/grid", "Review many", "review_grid", Role.REVIEWER, in_navigation=False),
    Page("/review", "Review", "review", Role.REVIEWER, key="v"),
    Page("/try", "Try one", "try_one", Role.REVIEWER, key="y"),
    Page("/upload", "Upload", "upload", Role.REVIEWER, key="p"),
    Page("/models", "Models", "models", Role.VIEWER, key="m"),
    Page("/images", "Image", "images", Role.VIEWER, in_navigation=False),
    Page("/search", "Search", "search", Role.VIEWER, in_navigation=False),
    Page("/views", "Saved views", "views", Role.VIEWER, in_navigation=False),
    Page("/login", "Log in", "login", None, in_navigation=False),
)


def page_at(path: str) -> Page | None:
    """Return the page that serves a path; None for the path of no page."""
    return next((page for page in PAGES if path == page.path or path.startswith(f"{page.path}/")), None)


def navigation(role: Role) -> list[Page]:
    """Return the pages that every page links to for a person of a role."""
    return [page for page in PAGES if page.in_navigation and page.role and page.role.rank <= role.rank]
