"""Users, and tokens of programs: for admins."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.access import MOST_NAME, Role
from returns_pipeline.store import access
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Db
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.queries import accounts

router = APIRouter()

_Name = Annotated[str, Query(max_length=MOST_NAME)]


@router.get("/users")
def list_users(request: Request, db: Db, _: Person) -> HTMLResponse:
    """Show every user and every token of a program."""
    return _list(request, db)


@router.post("/users")
async def add_user(request: Request, db: Db, person: Person) -> Response:
    """Add a user; show the generated password once."""
    form = await form_of(request, person, Role.ADMIN)
    name, role = text_of(form, "name", MOST_NAME + 1), accounts.role_of(text_of(form, "role"))
    password = str(form.get("password", ""))
    return await _changed(
        lambda: _list(
            request,
            db,
            added=name,
            password=accounts.add_user(db, person, name, role, password),
        ),
        lambda fault: _list(request, db, fault, name=name),
    )


@router.post("/users/tokens")
async def add_token(request: Request, db: Db, person: Person) -> Response:
    """Add a token of a program; show it once."""
    form = await form_of(request, person, Role.ADMIN)
    name, role = text_of(form, "name", MOST_NAME + 1), accounts.role_of(text_of(form, "role"))
    return await _changed(
        lambda: _list(request, db, token=accounts.add_token(db, person, name, role)),
        lambda fault: _list(request, db, fault, token_name=name),
    )


@router.post("/users/tokens/revoke")
async def revoke_token(request: Request, db: Db, person: Person) -> RedirectResponse:
    """Revoke any token."""
    form = await form_of(request, person, Role.ADMIN)
    await run_in_threadpool(access.revoke_token, db, text_of(form, "name"), by=person.name)
    return redirect(request, "/users")


@router.get("/users/person")
def show_user(request: Request, db: Db, _: Person, name: _Name = "") -> HTMLResponse:
    """Show one user and what can be changed."""
    return _one(request, db, name)


@router.post("/users/person/role")
async def change_role(request: Request, db: Db, person: Person) -> Response:
    """Give a user another role."""
    form = await form_of(request, person, Role.ADMIN)
    name, role = text_of(form, "name"), accounts.role_of(text_of(form, "role"))

    def change() -> HTMLResponse:
        accounts.change_user(db, person, name, role=role)
        return _one(request, db, name, done="role")

    return await _changed(change, lambda fault: _one(request, db, name, fault))


@router.post("/users/person/state")
async def change_state(request: Request, db: Db, person: Person) -> Response:
    """Disable a user, or let the user log in again."""
    form = await form_of(request, person, Role.ADMIN)
    name, is_disabled = text_of(form, "name"), text_of(form, "state") == "disabled"

    def change() -> HTMLResponse:
        accounts.change_user(db, person, name, is_disabled=is_disabled)
        return _one(request, db, name, done="disabled" if is_disabled else "enabled")

    return await _changed(change, lambda fault: _one(request, db, name, fault))


@router.post("/users/person/password")
async def give_password(request: Request, db: Db, person: Person) -> Response:
    """Give a user a generated password; show it once."""
    form = await form_of(request, person, Role.ADMIN)
    name = text_of(form, "name")
    return await _changed(
        lambda: _one(request, db, name, password=accounts.give_password(db, person, name)),
        lambda fault: _one(request, db, name, fault),
    )


async def _changed(
    change: Callable[[], HTMLResponse], again: Callable[[RefusedError], HTMLResponse]
) -> Response:
    """Return the page of a change; if the change is refused, the page with the reason."""
    try:
        response = await run_in_threadpool(change)
    except RefusedError as fault:
        response = await run_in_threadpool(again, fault)
    # It may show a password or a token.
    response.headers["Cache-Control"] = "no-store"
    return response


def _list(request: Request, db: Database, fault: RefusedError | None = None, **values: Any) -> HTMLResponse:
    blank = {"added": "", "password": "", "token": "", "name": "", "token_name": ""}
    tokens = [token for token in accounts.valid_tokens(db) if token.owner is None]
    status = fault.http_status if fault else 200
    frame = {
        "users": access.all_users(db),
        "tokens": tokens,
        "roles": list(Role),
        "fault": fault.shown if fault else "",
    }
    return show(request, "users.html", status, **(frame | blank | values))


def _one(
    request: Request,
    db: Database,
    name: str,
    fault: RefusedError | None = None,
    *,
    done: str = "",
    password: str = "",
) -> HTMLResponse:
    return show(
        request,
        "user.html",
        fault.http_status if fault else 200,
        user=accounts.user_of(db, name),
        tokens=accounts.valid_tokens(db, name),
        roles=list(Role),
        fault=fault.shown if fault else "",
        done=done,
        password=password,
    )
