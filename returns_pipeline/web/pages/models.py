"""Versions of models: how good each is, which one works tonight."""

from itertools import groupby
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import ConfigFault, NotFoundError, PipelineError, RefusedError, TransientFault
from returns_pipeline.records.access import Role
from returns_pipeline.store.models import history
from returns_pipeline.usecases import models
from returns_pipeline.usecases.models import Version
from returns_pipeline.web.pages.page import Person, form_of, show, text_of, to
from returns_pipeline.web.render.text import pathless

router = APIRouter()

_CHANGES = 20
#: What reports are made of; nothing else is shown.
_KINDS = {".html": "text/html", ".png": "image/png", ".json": "application/json", ".svg": "image/svg+xml"}


@router.get("/models")
def list_models(request: Request, person: Person) -> HTMLResponse:
    """Show every version of every model."""
    return _page(request, person.role)


def _page(request: Request, role: Role) -> HTMLResponse:
    context = request.app.state.context
    found = models.versions(context.settings, context.db)
    listed = [
        (name, [_row(each) for each in reversed(list(versions))])
        for name, versions in groupby(found, key=lambda each: each.ref.name)
    ]
    changes = [change for name, _ in listed for change in history(context.db, name)]
    newest = sorted(changes, key=lambda change: change.changed_at, reverse=True)[:_CHANGES]
    return show(
        request,
        "models.html",
        models=listed,
        changes=newest,
        can_operate=role is Role.OPERATOR,
        fault="",
    )


def _row(each: Version) -> dict[str, object]:
    folder = each.bundle.folder if each.bundle else Path()
    return {
        "version": each.ref.version,
        "stage": each.stage,
        "metrics": each.metrics,
        "recipe": each.bundle.recipe if each.bundle else "",
        "shadow_share": each.row.shadow_share if each.row else None,
        "has_report": each.bundle is not None and (folder / "report" / "index.html").is_file(),
        "fault": pathless(each.fault),
    }


@router.get("/models/{name}/{version}/promote")
def ask_promote(request: Request, _: Person, name: str, version: int) -> HTMLResponse:
    """Ask whether this version should be the active one."""
    _existing(request, name, version)
    return _promoting(request, name, version, "", "")


def _promoting(request: Request, name: str, version: int, reason: str, fault: str) -> HTMLResponse:
    return show(
        request,
        "confirm.html",
        409 if fault else 200,
        title=f"Promote {name}/{version}?",
        what=f"Every run that opens from now on uses {name}/{version}. Runs that are open keep theirs.",
        path=f"/models/{name}/{version}/promote",
        verb="Promote",
        can_force=True,
        reason=reason,
        fault=fault,
    )


@router.post("/models/{name}/{version}/promote", response_model=None)
async def promote(request: Request, person: Person, name: str, version: int) -> Response:
    """Make a version the active one."""
    form = await form_of(request, person, Role.OPERATOR)
    await run_in_threadpool(_existing, request, name, version)
    context, reason = request.app.state.context, text_of(form, "reason")

    def work() -> None:
        models.promote(
            context.settings,
            context.db,
            f"{name}/{version}",
            who=person.name,
            reason=reason,
            force=text_of(form, "force") == "1",
        )

    try:
        await run_in_threadpool(work)
    except (ConfigFault, RefusedError, TransientFault) as fault:
        return await run_in_threadpool(_promoting, request, name, version, reason, pathless(str(fault)))
    return to(request, "/models")


@router.get("/models/{name}/rollback")
def ask_rollback(request: Request, _: Person, name: str) -> HTMLResponse:
    """Ask whether the version before should be the active one again."""
    _existing(request, name, None)
    return _rolling(request, name, "", "")


def _rolling(request: Request, name: str, reason: str, fault: str) -> HTMLResponse:
    return show(
        request,
        "confirm.html",
        409 if fault else 200,
        title=f"Roll back {name}?",
        what=f"Every run that opens from now on uses the version of {name} that was active before.",
        path=f"/models/{name}/rollback",
        verb="Roll back",
        can_force=False,
        reason=reason,
        fault=fault,
    )


@router.post("/models/{name}/rollback", response_model=None)
async def rollback(request: Request, person: Person, name: str) -> Response:
    """Make the version before the active one again."""
    form = await form_of(request, person, Role.OPERATOR)
    await run_in_threadpool(_existing, request, name, None)
    context, reason = request.app.state.context, text_of(form, "reason")

    def work() -> None:
        models.rollback(context.settings, context.db, name, who=person.name, reason=reason)

    try:
        await run_in_threadpool(work)
    except (ConfigFault, RefusedError, TransientFault) as fault:
        return await run_in_threadpool(_rolling, request, name, reason, pathless(str(fault)))
    return to(request, "/models")


@router.get("/models/{name}/{version}/report/{path:path}")
def show_report(request: Request, _: Person, name: str, version: int, path: str) -> FileResponse:
    """Show a file of a version's evaluation."""
    _existing(request, name, version)
    try:
        folder = find_bundle(request.app.state.context.settings.models_dir, f"{name}/{version}").folder
    except PipelineError as fault:
        raise NotFoundError(fault.message) from None
    report = (folder / "report").resolve()
    wanted = (report / path).resolve()
    kind = _KINDS.get(wanted.suffix)
    if kind is None or not wanted.is_relative_to(report) or not wanted.is_file():
        raise NotFoundError("There is no such file in this report.")
    # Reports bring their own style, but no script.
    policy = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return FileResponse(wanted, media_type=kind, headers={"Content-Security-Policy": policy})


def _existing(request: Request, name: str, version: int | None) -> None:
    context = request.app.state.context
    known = models.versions(context.settings, context.db, name)
    if not known or (version is not None and version not in {each.ref.version for each in known}):
        raise NotFoundError(
            "There is no model {name}{version}.", name=name, version=f"/{version}" if version else ""
        )
