"""Logging in and out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.access import Role
from returns_pipeline.web.dependencies import Auth
from returns_pipeline.web.errors import TooManyAttemptsError, UnauthorizedError
from returns_pipeline.web.pages.page import (
    Person,
    RedirectError,
    form_of,
    redirect,
    root_of,
    show,
    text_of,
)
from returns_pipeline.web.security.access import (
    COOKIE,
    SESSION_SECONDS,
    Authenticator,
    Principal,
    address_of,
    require_same_origin,
)
from returns_pipeline.web.security.devices import DEVICE_COOKIE, DEVICE_SECONDS

router = APIRouter()


@router.get("/login")
def form(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> HTMLResponse:  # noqa: A002
    """Show the form."""
    return show(request, "login.html", next=_local_path(next), fault="")


@router.post("/login", response_model=None)
async def log_in(request: Request, authenticator: Auth) -> Response:
    """Open a session."""
    require_same_origin(request)
    given = await request.form(max_files=0, max_fields=10)
    where = _local_path(text_of(given, "next", 2000))
    name, password = text_of(given, "name", 100), str(given.get("password", ""))
    device = request.cookies.get(DEVICE_COOKIE)
    try:
        person = await authenticator.log_in(name, password, address_of(request), device)
    except (UnauthorizedError, TooManyAttemptsError) as fault:
        return show(request, "login.html", fault.http_status, next=where, fault=str(fault))
    response = await run_in_threadpool(open_session, request, authenticator, person, where)
    known = authenticator.devices.with_user(device, person.name)
    _set_cookie(request, response, DEVICE_COOKIE, known, DEVICE_SECONDS)
    return response


@router.post("/logout")
async def log_out(request: Request, authenticator: Auth, person: Person) -> RedirectResponse:
    """Forget the session."""
    await form_of(request, person, Role.VIEWER)
    await run_in_threadpool(authenticator.note_log_out, person)
    response = redirect(request, "/login")
    response.delete_cookie(COOKIE, path=root_of(request) or "/")
    return response


def log_in_with_token(
    request: Request, authenticator: Auth, token: Annotated[str | None, Query(max_length=200)] = None
) -> None:
    """Open a session for the token of this machine in the first page's address; other tokens open none.

    Raises RedirectError in either case, because the token must not stay in the browser's history, and
    TooManyAttemptsError after many wrong tokens.
    """
    if token is None or request.url.path.removeprefix(root_of(request)) != "/":
        return
    person = authenticator.of_local_token(token, address_of(request))
    if person is None:
        raise RedirectError(redirect(request, "/login"))
    authenticator.note_local_log_in(address_of(request))
    raise RedirectError(open_session(request, authenticator, person, "/"))


def open_session(
    request: Request, authenticator: Authenticator, person: Principal, where: str
) -> RedirectResponse:
    """Return a redirect that carries a new session."""
    response = redirect(request, where)
    _set_cookie(request, response, COOKIE, authenticator.open_session(person), SESSION_SECONDS)
    return response


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=root_of(request) or "/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def _local_path(where: str) -> str:
    """Return a path of this site; the first page for an address of another site."""
    is_local = where.startswith("/") and not where.startswith("//") and "\\" not in where
    return quote(where, safe="/?=&%-._~+") if is_local else "/"
