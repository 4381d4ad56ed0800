"""What all pages have: the frame, who looks at it, and proof that a form is ours."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.access import Role
from returns_pipeline.store import reviews
from returns_pipeline.web.errors import UnauthorizedError
from returns_pipeline.web.render.text import pathless
from returns_pipeline.web.security.access import Keeper, Principal, require_ours, require_role
from returns_pipeline.web.v1.images import similar_of

if TYPE_CHECKING:
    from returns_pipeline.web.queries.answers import Asker

_templates = Environment(
    loader=PackageLoader("returns_pipeline.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


#: More than so many that wait are not counted for every page.
_COUNTED = 10_000


class LogInFirstError(Exception):
    """Nobody is logged in: the page is shown after the log-in."""

    def __init__(self, where: str) -> None:
        """Remember the page."""
        super().__init__(where)
        self.where = where


def show(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template and values."""
    person: Principal | None = getattr(request.state, "person", None)
    root = root_of(request)
    path = request.url.path.removeprefix(root)
    here = next((each for each in ("/runs", "/review", "/try", "/models") if path.startswith(each)), path)
    frame = {"root": root, "here": here, "person": person, "waiting": _waiting(request) if person else ""}
    return HTMLResponse(_templates.get_template(name).render(frame | values), status)


def _waiting(request: Request) -> str:
    found = reviews.waiting(request.app.state.context.db, _COUNTED)
    return "" if not found else f"{found:,}" if found < _COUNTED else f"{_COUNTED - 1:,}+"


def root_of(request: Request) -> str:
    """Return the path under which a proxy shows the web."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def to(request: Request, path: str) -> RedirectResponse:
    """Return the answer to a form: look at this page now."""
    return RedirectResponse(root_of(request) + path, 303)


def person_of(request: Request) -> Principal:
    """Return who looks at a page. Raises LogInFirstError for nobody."""
    keeper: Keeper = request.app.state.keeper
    try:
        person = keeper.of_request(request)
    except UnauthorizedError:
        person = None
    if person is None:
        path = request.url.path.removeprefix(root_of(request))
        query = f"?{request.url.query}" if request.url.query else ""
        raise LogInFirstError(quote(path + query if request.method == "GET" else "/", safe=""))
    request.state.person = person
    return person


async def explanation(request: Request, image_id: int) -> dict[str, Any]:
    """Return why the model says what it says of a classified image, or why that is not known."""
    asker: Asker = request.app.state.asker
    try:
        found = await asker.explanation(image_id)
        if found is None:
            return {"fault": "No worker has told in time what the model looked at. Ask again in a while."}
        similar = await run_in_threadpool(similar_of, request, found)
    except TransientFault as fault:
        return {"fault": pathless(str(fault))}
    return {"fault": found.fault and pathless(found.fault), "similar": similar}


Person = Annotated[Principal, Depends(person_of)]


async def form_of(request: Request, person: Principal, role: Role) -> FormData:
    """Return a form of ours. Raises ForbiddenError for one that is not, or from somebody who may not."""
    require_role(person, role)
    form = await request.form(max_files=1, max_fields=20)
    require_ours(person, form.get("csrf"))
    return form


def text_of(form: FormData, name: str, most: int = 1000) -> str:
    """Return a field as text, empty where it is missing."""
    value = form.get(name)
    return value.replace("\0", "").strip()[:most] if isinstance(value, str) else ""
