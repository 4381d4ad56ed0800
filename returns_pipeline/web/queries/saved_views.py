"""Named views as addresses of pages: what can be saved, who may see and change a view."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from returns_pipeline.errors import NotFoundError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.records.views import View
from returns_pipeline.store import views
from returns_pipeline.store.database import Database
from returns_pipeline.web.errors import ForbiddenError
from returns_pipeline.web.security.access import Principal

MOST_NAME, MOST_QUERY = 60, 4000
#: The pages whose filters can be saved, each with its parameters. What says which part of a list a page shows
#: is not saved: a view begins at the beginning.
PARAMETERS: Mapping[str, frozenset[str]] = {
    "/search": frozenset({"q", "state", "label", "order"}),
    "/returns": frozenset({"q", "verdict", "decision", "customer", "since", "until", "run", "order"}),
    "/products": frozenset({"q", "category", "brand", "state", "look"}),
    "/runs": frozenset({"kind", "state", "order"}),
    "/runs/ID": frozenset({"state", "label", "decision", "code", "order"}),
    "/review": frozenset({"run", "label", "intake", "kind", "date"}),
    "/review/grid": frozenset({"run", "label", "intake", "kind", "date", "of"}),
}
_RUN = re.compile(r"^/runs/[1-9][0-9]{0,9}$")
#: Parameters of these pages that are no filter: they are left out when a view is saved.
_PASSING = frozenset({"cursor", "before", "after", "page", "done", "refused", "undone", "within"})
_REVIEWER_PAGES = "/review"


class ShownView(NamedTuple):
    """A view as a person sees it; `unknown` are filters that this release does not know."""

    view: View
    address: str
    unknown: tuple[str, ...]
    may_change: bool
    is_own: bool


def page_of(path: str) -> str | None:
    """Return the key of PARAMETERS for the path of a page; None if its filters cannot be saved."""
    key = "/runs/ID" if _RUN.match(path) else path
    return key if key in PARAMETERS else None


def filters_of(path: str, query: str) -> str:
    """Return the part of a page's query that a view of it has, in a fixed order."""
    known = PARAMETERS[page_of(path) or ""]
    kept = {name: value for name, value in parse_qsl(query) if name in known and value}
    return urlencode(sorted(kept.items()))


def checked(path: str, query: str) -> tuple[str, str]:
    """Return the path and the filters of a view. Raises RefusedError for another page or parameter."""
    if page_of(path) is None:
        raise RefusedError("This page has no list that can be saved.", "Save a search, a run, or a review.")
    sent = {name for name, _ in parse_qsl(query, max_num_fields=50)} if query.count("&") < 50 else {""}
    unknown = sorted(sent - PARAMETERS[page_of(path) or ""] - _PASSING)
    if unknown or len(query) > MOST_QUERY:
        raise RefusedError(
            "This page has no filter {names}.", "Save the view on its page.", names=", ".join(unknown)[:100]
        )
    return path, filters_of(path, query)


def named(name: str) -> str:
    """Return the name of a view, in one line. Raises RefusedError for an empty or a long one."""
    found = " ".join(name.split())
    if not found or len(found) > MOST_NAME or not found.isprintable():
        raise RefusedError("Give the view a name of at most {most} letters.", most=MOST_NAME)
    return found


def shown(view: View, person: Principal) -> ShownView:
    """Return a view with its address: filters that this release does not know are left out of it."""
    known = PARAMETERS.get(page_of(view.path) or "", frozenset())
    sent = parse_qsl(view.query)
    unknown = tuple(sorted({name for name, _ in sent if name not in known}))
    query = urlencode([(name, value) for name, value in sent if name in known])
    path = view.path if known else "/"
    return ShownView(
        view,
        f"{path}?{query}" if query else path,
        unknown,
        may_change(view, person),
        view.owner == person.name,
    )


def listed(db: Database, person: Principal) -> list[ShownView]:
    """Return the views that a person sees and whose pages they may open."""
    may_review = person.role.rank >= Role.REVIEWER.rank
    return [
        shown(view, person)
        for view in views.visible(db, person.name)
        if may_review or not view.path.startswith(_REVIEWER_PAGES)
    ]


def may_change(view: View, person: Principal) -> bool:
    """Whether a person may change or remove a view: the owner, and operators those that are shared."""
    return view.owner == person.name or (view.shared and person.role.rank >= Role.OPERATOR.rank)


def to_change(db: Database, view_id: int, person: Principal) -> View:
    """Return a view that a person may change.

    Raises NotFoundError for one that they do not see, ForbiddenError for one of another person.
    """
    view = views.find(db, view_id)
    if view is None or not (view.shared or view.owner == person.name):
        raise NotFoundError("There is no view {view}.", view=view_id)
    if not may_change(view, person):
        raise ForbiddenError("Only its owner and operators may change a shared view.")
    return view


def require_share(person: Principal) -> None:
    """Raise ForbiddenError for a person who may not share views."""
    if person.role.rank < Role.REVIEWER.rank:
        raise ForbiddenError("Only reviewers and operators may share a view.")
