"""The account of the person who is logged in: password, language, tokens."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import LANGUAGES
from returns_pipeline.records.access import MOST_NAME, Role
from returns_pipeline.store import access
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Auth, Db
from returns_pipeline.web.errors import ForbiddenError, TooManyAttemptsError, UnauthorizedError
from returns_pipeline.web.pages.login import open_session
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.queries import accounts
from returns_pipeline.web.security.access import Principal, address_of
from returns_pipeline.web.security.devices import DEVICE_COOKIE

router = APIRouter()


@router.get("/account")
def show_account(
    request: Request, db: Db, person: Person, done: Annotated[str, Query(max_length=20)] = ""
) -> HTMLResponse:
    """Show the person's own account."""
    return _page(request, db, person, done=done)


@router.post("/account/password")
async def change_password(request: Request, db: Db, authenticator: Auth, person: Person) -> Response:
    """Change the person's own password; every other session of the person ends."""
    form = await _own_form(request, person)
    old, new = str(form.get("old", "")), str(form.get("new", ""))
    try:
        accounts.require_choice(old, new, str(form.get("again", "")))
        device = request.cookies.get(DEVICE_COOKIE)
        await authenticator.check_password(person.name, old, address_of(request), device)
        await run_in_threadpool(accounts.choose_password, db, person, new)
    except UnauthorizedError:
        wrong = RefusedError("The present password is wrong.", "Nothing was changed.")
        return await run_in_threadpool(_page, request, db, person, wrong)
    except (RefusedError, TooManyAttemptsError) as fault:
        return await run_in_threadpool(_page, request, db, person, fault)
    where = "/" if person.must_change_password else "/account?done=password"
    return await run_in_threadpool(open_session, request, authenticator, person, where)


@router.post("/account/language")
async def choose_language(request: Request, db: Db, person: Person) -> RedirectResponse:
    """Store the language of the pages."""
    form = await _own_form(request, person)
    chosen = text_of(form, "language")
    await run_in_threadpool(access.set_language, db, person.name, chosen if chosen in LANGUAGES else None)
    return redirect(request, "/account?done=language")


@router.post("/account/tokens")
async def add_token(request: Request, db: Db, person: Person) -> Response:
    """Add a token of the person; show it once."""
    form = await _own_form(request, person)
    name, role = text_of(form, "name", MOST_NAME), text_of(form, "role")

    def add() -> HTMLResponse:
        try:
            token = accounts.add_own_token(db, person, name, accounts.role_of(role))
        except RefusedError as fault:
            return _page(request, db, person, fault)
        return _page(request, db, person, token=token)

    response = await run_in_threadpool(add)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/account/tokens/revoke")
async def revoke_token(request: Request, db: Db, person: Person) -> RedirectResponse:
    """Revoke a token of the person."""
    form = await _own_form(request, person)
    await run_in_threadpool(access.revoke_token, db, text_of(form, "name"), by=person.name, owner=person.name)
    return redirect(request, "/account?done=token")


async def _own_form(request: Request, person: Principal) -> FormData:
    """Return a form of the account. Raises ForbiddenError without a session that a password opened."""
    form = await form_of(request, person, Role.VIEWER)
    if not person.has_account:
        raise ForbiddenError("This needs a user with a password.", "Log in with a name and a password.")
    return form


def _page(
    request: Request,
    db: Database,
    person: Principal,
    fault: RefusedError | None = None,
    **values: Any,
) -> HTMLResponse:
    blank = {"done": "", "token": ""}
    frame = {
        "tokens": accounts.valid_tokens(db, person.name) if person.has_account else [],
        "roles": [role for role in Role if person.may(role)],
        "fault": fault.shown if fault else "",
        "languages": LANGUAGES,
    }
    return show(request, "account.html", fault.http_status if fault else 200, **(frame | blank | values))
