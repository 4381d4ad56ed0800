"""What all pages share: the frame around each, its visitor, and its forms."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import TransientFault
from returns_pipeline.languages import gettext, number, retold, script_sentences
from returns_pipeline.records.access import Role
from returns_pipeline.records.text import pathless, printable
from returns_pipeline.report import match_words, product_words, recommendation_words, return_words, words
from returns_pipeline.report.html import template_environment
from returns_pipeline.store import review_queue
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Auth
from returns_pipeline.web.errors import TooManyAttemptsError, UnauthorizedError
from returns_pipeline.web.language import say_language
from returns_pipeline.web.pages.table import Places, page_at, places
from returns_pipeline.web.queries import saved_views
from returns_pipeline.web.queries.explanations import similar_images
from returns_pipeline.web.queries.saved_views import ShownView
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.render.addresses import icon, static
from returns_pipeline.web.render.moments import moment
from returns_pipeline.web.resources import resources_of
from returns_pipeline.web.security.access import Principal, require_csrf_token, require_role

_templates = template_environment("returns_pipeline.web")
_templates.globals |= {
    "words": words,
    "return_words": return_words,
    "match_words": match_words,
    "product_words": product_words,
    "recommendation_words": recommendation_words,
    "script_sentences": script_sentences,
}
#: A file name that may wrap after each underscore.
_templates.filters["breakable"] = lambda name: escape(printable(name)).replace("_", Markup("_<wbr>"))
_templates.filters["moment"] = moment
_templates.globals["static"] = static
_templates.globals["icon"] = icon
#: Images that wait for a review are counted for every page up to this number.
_MOST_COUNTED = 10_000


class RedirectError(Exception):
    """Ends a request with a redirect in place of its page."""

    def __init__(self, response: Response) -> None:
        """Keep the redirect."""
        super().__init__()
        self.response = response


def show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template, the given values and the values of its frame."""
    person: Principal | None = getattr(request.state, "person", None)
    page = page_at(request.url.path.removeprefix(root_of(request)))
    frame = {
        "root": root_of(request),
        "page": page,
        "zone": ZoneInfo(resources_of(request).context.settings.timezone),
        "title": gettext(page.title) if page else "",
        "person": person,
        "places": places(person.role) if person and not person.must_change_password else Places((), (), ()),
        "q": "",
        "waiting": _waiting(resources_of(request).context.db) if person else "",
        "saving": _saving(request, person) if person else None,
        "may_share": person is not None and person.role.rank >= Role.REVIEWER.rank,
    }
    response = HTMLResponse(_templates.get_template(template).render(frame | values), status)
    say_language(response)
    return response


class _Saving(NamedTuple):
    """What the form that saves a list needs: its path and filters, and the views that the person sees.

    `current` is the view that has this address.
    """

    path: str
    query: str
    views: list[ShownView]
    current: ShownView | None
    may_share: bool


def _saving(request: Request, person: Principal) -> _Saving | None:
    path = request.url.path.removeprefix(root_of(request))
    if saved_views.page_of(path) is None:
        return None
    query = saved_views.filters_of(path, request.url.query)
    found = saved_views.listed(resources_of(request).context.db, person)
    same = (each for each in found if (each.view.path, each.view.query) == (path, query))
    return _Saving(path, query, found, next(same, None), person.role.rank >= Role.REVIEWER.rank)


def _waiting(db: Database) -> str:
    found = review_queue.waiting(db, _MOST_COUNTED)
    return "" if not found else number(found) if found < _MOST_COUNTED else f"{number(_MOST_COUNTED - 1)}+"


def root_of(request: Request) -> str:
    """Return the path under which a proxy shows the web."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def redirect(request: Request, path: str) -> RedirectResponse:
    """Return a redirect to a page: the response to a form."""
    return RedirectResponse(root_of(request) + path, 303)


def person_of(request: Request, authenticator: Auth) -> Principal:
    """Return the visitor of a page. Raises RedirectError to the log-in without a session."""
    try:
        person = authenticator.of_request(request)
    except (UnauthorizedError, TooManyAttemptsError):
        # A proxy may add credentials of its own, which are no token: its user logs in.
        person = None
    if person is None:
        path = request.url.path.removeprefix(root_of(request))
        query = f"?{request.url.query}" if request.url.query else ""
        wanted = quote(path + query if request.method == "GET" else "/", safe="")
        raise RedirectError(redirect(request, f"/login?next={wanted}"))
    request.state.person = person
    if person.must_change_password and not _is_open_to_all(request):
        raise RedirectError(redirect(request, "/account"))
    return person


def _is_open_to_all(request: Request) -> bool:
    """Whether a person may see a page who must choose a password first."""
    return request.url.path.removeprefix(root_of(request)) in {"/account", "/account/password", "/logout"}


Person = Annotated[Principal, Depends(person_of)]


def shown_to(role: Role) -> Callable[[Principal], Any]:
    """Return a dependency that raises ForbiddenError for a visitor with a lower role."""

    async def check(person: Person) -> None:
        require_role(person, role)

    return check


async def explanation(workers: WorkerClient, db: Database, image_id: int) -> dict[str, Any]:
    """Return the explanation of a classified image, or why there is none, for `explanation.html`."""
    try:
        found = await workers.explain(image_id)
        if found is None:
            return {"fault": "", "is_open": True}
        similar = await run_in_threadpool(similar_images, db, found)
    except TransientFault as fault:
        return {"fault": pathless(fault.shown), "is_open": False}
    return {"fault": found.fault and pathless(retold(found.fault)), "similar": similar, "is_open": False}


async def form_of(request: Request, person: Principal, role: Role, most_fields: int = 20) -> FormData:
    """Return the form that a visitor sent. Raises ForbiddenError for a lower role or a forged form."""
    require_role(person, role)
    form = await request.form(max_files=1, max_fields=most_fields)
    require_csrf_token(person, form.get("csrf"))
    return form


def text_of(form: FormData, name: str, most: int = 1000) -> str:
    """Return a field of a form as text of at most `most` characters; empty if it is missing."""
    value = form.get(name)
    return value.replace("\0", "").strip()[:most] if isinstance(value, str) else ""
