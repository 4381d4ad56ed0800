"""The table of pages: the navigation and the routes are made from it.

A new page is a module with a `router`, a row here, and a template.
"""

from typing import NamedTuple

from returns_pipeline.records.access import Role


class Page(NamedTuple):
    """One page: its path, its title, and the module that serves it and the paths below it.

    `role` is the lowest role that may see the page; with None it needs no log-in. `in_navigation`: each page
    links to it.
    """

    path: str
    title: str
    module: str
    role: Role | None
    in_navigation: bool = True


PAGES = (
    Page("/", "Tonight", "tonight", Role.VIEWER),
    Page("/runs", "Runs", "runs", Role.VIEWER),
    # A path below another page's path comes before it.
    Page("/review/grid", "Review many", "review_grid", Role.REVIEWER, in_navigation=False),
    Page("/review", "Review", "review", Role.REVIEWER),
    Page("/try", "Try one", "try_one", Role.REVIEWER),
    Page("/upload", "Upload", "upload", Role.REVIEWER),
    Page("/models", "Models", "models", Role.VIEWER),
    Page("/images", "Image", "images", Role.VIEWER, in_navigation=False),
    Page("/search", "Search", "search", Role.VIEWER, in_navigation=False),
    Page("/users", "Users", "users", Role.ADMIN),
    Page("/audit", "Audit", "audit", Role.ADMIN),
    Page("/account", "Account", "account", Role.VIEWER, in_navigation=False),
    Page("/login", "Log in", "login", None, in_navigation=False),
)


def page_at(path: str) -> Page | None:
    """Return the page that serves a path; None for the path of no page."""
    return next((page for page in PAGES if path == page.path or path.startswith(f"{page.path}/")), None)


def navigation(role: Role) -> list[Page]:
    """Return the pages that every page links to for a person of a role."""
    return [page for page in PAGES if page.in_navigation and page.role and page.role.rank <= role.rank]
