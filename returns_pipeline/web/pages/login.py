"""Logging in and out."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.access import Role
from returns_pipeline.web.errors import TooOftenError, UnauthorizedError
from returns_pipeline.web.pages.page import Person, form_of, root_of, show, text_of, to
from returns_pipeline.web.security.access import (
    COOKIE,
    SESSION_SECONDS,
    Keeper,
    Principal,
    require_same_origin,
)

router = APIRouter()


@router.get("/login")
def form(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> HTMLResponse:  # noqa: A002
    """Show the form."""
    return show(request, "login.html", next=_ours(next), fault="")


@router.post("/login", response_model=None)
async def log_in(request: Request) -> Response:
    """Open a session."""
    require_same_origin(request)
    keeper: Keeper = request.app.state.keeper
    given = await request.form(max_files=0, max_fields=10)
    where = _ours(text_of(given, "next", 2000))
    address = request.client.host if request.client else ""
    try:
        person = await run_in_threadpool(
            keeper.log_in, text_of(given, "name", 100), str(given.get("password", "")), address
        )
    except (UnauthorizedError, TooOftenError) as fault:
        return show(request, "login.html", fault.http_status, next=where, fault=fault.message)
    return await run_in_threadpool(with_session, request, to(request, where), person)


@router.post("/logout")
async def log_out(request: Request, person: Person) -> RedirectResponse:
    """Forget the session."""
    await form_of(request, person, Role.VIEWER)
    answer = to(request, "/login")
    answer.delete_cookie(COOKIE, path=root_of(request) or "/")
    return answer


def with_session(request: Request, answer: RedirectResponse, person: Principal) -> RedirectResponse:
    """Return an answer that opens a session."""
    keeper: Keeper = request.app.state.keeper
    answer.set_cookie(
        COOKIE,
        keeper.open_session(person),
        max_age=SESSION_SECONDS,
        path=root_of(request) or "/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _ours(where: str) -> str:
    """Return a path of ours, whatever another site wrote into the address."""
    is_ours = where.startswith("/") and not where.startswith("//") and "\\" not in where
    return quote(where, safe="/?=&%-._~+") if is_ours else "/"
