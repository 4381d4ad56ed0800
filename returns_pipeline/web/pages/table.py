"""The table of pages: the navigation and the routes are made from it.

A new page is a module with a `router`, a row here, and a template.
"""

from collections.abc import Sequence
from typing import NamedTuple

from returns_pipeline.languages import N_, gettext
from returns_pipeline.records.access import Role


class Page(NamedTuple):
    """One page: its path, its English title, and the module that serves it and the paths below it.

    `role` is the lowest role that may see the page; with None it needs no log-in. `in_navigation`: each page
    links to it, with a symbol of `icons.svg`. Pages `of_person` are listed below the person's name.
    `on_phone`: the link is in the bar at the bottom of a phone, not under "More", where not all fit. `key`
    opens it from every page; no page has another use for this key.
    """

    path: str
    title: str
    module: str
    role: Role | None
    in_navigation: bool = True
    icon: str = "info"
    on_phone: bool = False
    of_person: bool = False
    key: str = ""

    @property
    def shown_title(self) -> str:
        """The title in the reader's language."""
        return gettext(self.title)


class Places(NamedTuple):
    """The links of a page's frame: `first` are always visible, `others` are under "More" on a phone.

    `own` are those below the person's name.
    """

    first: Sequence[Page]
    others: Sequence[Page]
    own: Sequence[Page]


#: A phone's bar has room for so many links.
_ROOM = 5


PAGES = (
    Page("/", N_("Tonight"), "tonight", Role.VIEWER, icon="moon", on_phone=True, key="t"),
    Page("/returns", N_("Returns"), "returns", Role.VIEWER, icon="shopping-bag", on_phone=True, key="b"),
    Page("/matches", N_("Photos that came in before"), "matches", Role.VIEWER, in_navigation=False),
    Page("/products", N_("Products"), "products", Role.VIEWER, icon="tag", key="k"),
    Page("/lookalikes", N_("Find by a photo"), "lookalikes", Role.VIEWER, in_navigation=False),
    Page("/nights", N_("What has changed"), "changes", Role.VIEWER, in_navigation=False),
    Page("/runs", N_("Runs"), "runs", Role.VIEWER, icon="layers", key="l"),
    # A path below another page's path comes before it.
    Page("/review/grid", N_("Review many"), "review_grid", Role.REVIEWER, in_navigation=False),
    Page("/review", N_("Review"), "review", Role.REVIEWER, icon="circle-check", on_phone=True, key="v"),
    Page("/upload", N_("Upload"), "upload", Role.REVIEWER, icon="upload", on_phone=True, key="p"),
    Page("/try", N_("Try one"), "try_one", Role.REVIEWER, icon="scan-search", key="y"),
    Page("/models", N_("Models"), "models", Role.VIEWER, icon="box", key="m"),
    Page("/images", N_("Image"), "images", Role.VIEWER, in_navigation=False),
    Page("/search", N_("Search"), "search", Role.VIEWER, in_navigation=False),
    Page("/views", N_("Saved views"), "views", Role.VIEWER, in_navigation=False),
    Page("/users", N_("Users"), "users", Role.ADMIN, icon="users", of_person=True, key="e"),
    Page("/audit", N_("Audit"), "audit", Role.ADMIN, icon="scroll-text", of_person=True, key="d"),
    Page("/account", N_("Account"), "account", Role.VIEWER, icon="user", of_person=True, key="o"),
    Page("/login", N_("Log in"), "login", None, in_navigation=False),
)


def page_at(path: str) -> Page | None:
    """Return the page that serves a path; None for the path of no page."""
    return next((page for page in PAGES if path == page.path or path.startswith(f"{page.path}/")), None)


def navigation(role: Role) -> list[Page]:
    """Return the pages that every page links to for a person of a role."""
    return [page for page in PAGES if page.in_navigation and page.role and page.role.rank <= role.rank]


def places(role: Role) -> Places:
    """Return the links of every page's frame for a person of a role."""
    pages = navigation(role)
    shared = [page for page in pages if not page.of_person]
    own = [page for page in pages if page.of_person]
    if len(shared) <= _ROOM - 1:
        return Places(shared, (), own)
    first = [page for page in shared if page.on_phone][: _ROOM - 1]
    return Places(first, [page for page in shared if page not in first], own)
