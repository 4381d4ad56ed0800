"""The table of pages: the navigation and the routes are made from it.

A new page is a module with a `router`, a row here, and a template.
"""

from typing import NamedTuple

from returns_pipeline.languages import N_, gettext
from returns_pipeline.records.access import Role


class Page(NamedTuple):
    """One page: its path, its English title, and the module that serves it and the paths below it.

    `role` is the lowest role that may see the page; with None it needs no log-in. `in_navigation`: each page
    links to it.
    """

    path: str
    title: str
    module: str
    role: Role | None
    in_navigation: bool = True

    @property
    def shown_title(self) -> str:
        """The title in the reader's language."""
        return gettext(self.title)


PAGES = (
    Page("/", N_("Tonight"), "tonight", Role.VIEWER),
    Page("/runs", N_("Runs"), "runs", Role.VIEWER),
    # A path below another page's path comes before it.
    Page("/review/grid", N_("Review many"), "review_grid", Role.REVIEWER, in_navigation=False),
    Page("/review", N_("Review"), "review", Role.REVIEWER),
    Page("/try", N_("Try one"), "try_one", Role.REVIEWER),
    Page("/upload", N_("Upload"), "upload", Role.REVIEWER),
    Page("/models", N_("Models"), "models", Role.VIEWER),
    Page("/images", N_("Image"), "images", Role.VIEWER, in_navigation=False),
    Page("/search", N_("Search"), "search", Role.VIEWER, in_navigation=False),
    Page("/login", N_("Log in"), "login", None, in_navigation=False),
)


def page_at(path: str) -> Page | None:
    """Return the page that serves a path; None for the path of no page."""
    return next((page for page in PAGES if path == page.path or path.startswith(f"{page.path}/")), None)


def navigation(role: Role) -> list[Page]:
    """Return the pages that every page links to for a person of a role."""
    return [page for page in PAGES if page.in_navigation and page.role and page.role.rank <= role.rank]
