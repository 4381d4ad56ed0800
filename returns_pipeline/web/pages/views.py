"""Named views: saving one, and the page where they are renamed, shared and removed."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from returns_pipeline.errors import ConflictError, RefusedError
from returns_pipeline.records.access import Role
from returns_pipeline.store import views
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Db, RunId
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.queries import saved_views
from returns_pipeline.web.security.access import Principal

router = APIRouter()


@router.get("/views")
def show_views(request: Request, db: Db, person: Person) -> HTMLResponse:
    """Show the views that a person sees."""
    return _page(request, db, person)


@router.post("/views", response_model=None)
async def save(request: Request, db: Db, person: Person) -> Response:
    """Save a list under a name; ask before another view of this name is replaced."""
    form = await form_of(request, person, Role.VIEWER)
    return await run_in_threadpool(_save, request, db, person, form)


@router.post("/views/{view_id}", response_model=None)
async def change(request: Request, db: Db, person: Person, view_id: RunId) -> Response:
    """Rename, share or remove a view; then show the page of views."""
    form = await form_of(request, person, Role.VIEWER)
    try:
        await run_in_threadpool(_change, db, person, view_id, form)
    except ConflictError as fault:
        return await run_in_threadpool(_page, request, db, person, fault.shown_message)
    return redirect(request, "/views")


def _page(request: Request, db: Database, person: Principal, fault: str = "") -> HTMLResponse:
    return show(
        request, "views.html", 409 if fault else 200, views=saved_views.listed(db, person), fault=fault
    )


def _save(request: Request, db: Database, person: Principal, form: FormData) -> Response:
    path, query = saved_views.checked(text_of(form, "path", 100), text_of(form, "query", 5000))
    shared = bool(text_of(form, "shared"))
    if shared:
        saved_views.require_share(person)
    overwrite = bool(text_of(form, "overwrite"))
    try:
        name = saved_views.named(text_of(form, "name", 200))
        views.save(db, person.name, name, path, query, shared=shared, overwrite=overwrite)
    except ConflictError:
        return show(request, "replace_view.html", 409, name=name, path=path, query=query, shared=shared)
    return redirect(request, f"{path}?{query}" if query else path)


def _change(db: Database, person: Principal, view_id: int, form: FormData) -> None:
    view = saved_views.to_change(db, view_id, person)
    action = text_of(form, "action")
    if action == "remove":
        views.remove(db, view.id)
    elif action == "share":
        saved_views.require_share(person)
        views.change(db, view._replace(shared=True))
    elif action == "own":
        views.change(db, view._replace(shared=False))
    elif action == "rename":
        views.change(db, view._replace(name=saved_views.named(text_of(form, "name", 200))))
    else:
        raise RefusedError("This is not a change of a view.")
