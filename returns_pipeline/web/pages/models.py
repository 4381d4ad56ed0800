"""Versions of models: how good each is, and which one runs use."""

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError, PipelineError, RefusedError, TransientFault
from returns_pipeline.languages import date_text, gettext, retold
from returns_pipeline.records.access import Role
from returns_pipeline.records.accuracy import RECENT_DAYS, ModelAccuracy
from returns_pipeline.records.retraining import Retraining, RetrainingState
from returns_pipeline.records.text import pathless
from returns_pipeline.report import charts, words
from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.models import history
from returns_pipeline.usecases import accuracy, model_store, models, proposals
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.models import Version
from returns_pipeline.web.dependencies import Pipeline
from returns_pipeline.web.pages.page import Person, form_of, redirect, show, text_of
from returns_pipeline.web.queries import evaluations, model_changes

router = APIRouter()

_CHANGES = 20
#: The kinds of files that reports consist of; no other file is served.
_KINDS = {".html": "text/html", ".png": "image/png", ".json": "application/json", ".svg": "image/svg+xml"}


@router.get("/models")
def list_models(request: Request, context: Pipeline, person: Person) -> HTMLResponse:
    """Show every version of every model."""
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
        can_operate=person.may(Role.OPERATOR),
        can_roll_back={name for name, _ in listed if models.can_roll_back(context.db, name)},
        proposals=[_proposal(each) for each in proposals.shown(context.settings, context.db)],
        used=_used(context),
        names=_names(context),
        accuracy=_accuracy(context, [name for name, _ in listed]),
        recent_days=RECENT_DAYS,
    )


def _accuracy(context: Context, names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return how often models are right now, their plots over time, and how many runs are left out."""
    now, zone = utc_now(), ZoneInfo(context.settings.timezone)
    every, left_out = accuracy.over_time(context.db, now, zone), accuracy.left_out(context.db, now)
    return {
        name: {
            "versions": [(each, _weeks_plot(each)) for each in every if each.model.name == name],
            "left_out": left_out.get(name, 0),
        }
        for name in names
    }


def _weeks_plot(found: ModelAccuracy) -> str:
    """Return a plot of the weeks with reviews; empty if there are less than two."""
    known = [week for week in found.weeks if week.estimate.right is not None]
    if len(known) < 2:
        return ""
    return charts.intervals(
        gettext("Right labels of {model}, week by week", model=str(found.model)),
        [
            charts.Interval(
                date_text(week.monday),
                week.estimate.right,
                week.estimate.low,
                week.estimate.high,
                gettext(
                    "Week of {day}: {right}",
                    day=date_text(week.monday),
                    right=words.right_labels(week.estimate),
                ),
            )
            for week in known
        ],
        gettext("Week of"),
    )


def _proposal(row: Retraining) -> dict[str, object]:
    """Return a retraining in words, and the version that can be promoted, if it is proposed."""
    data = retraining_data(row)
    is_proposed = row.state is RetrainingState.PROPOSED
    return {
        "sentence": pathless(retraining_sentence(data)),
        "candidate": row.candidate if is_proposed else None,
    }


def _used(context: Context) -> list[tuple[str, str]]:
    """Return NAME/VERSION of each model that new runs use, and what it knows; none if one is missing."""
    try:
        found = models.configured(context.settings, context.db)
    except PipelineError:
        return []
    return list({str(bundle.ref): bundle.knows for bundle in found}.items())


def _names(context: Context) -> set[str]:
    """Return the names whose active version new runs use: not those that the settings pin to a version."""
    return {intake.model for intake in context.settings.every_intake if "/" not in intake.model}


def _effect(context: Context, name: str, done: str) -> str:
    """Return what a change of a model's active version does to runs: nothing if they use another model."""
    if name in _names(context):
        return done
    used = ", ".join(model for model, _ in _used(context))
    if not used:
        return gettext(
            "No run uses the active version of {name} now: the settings of this system name another model. "
            "The change counts when RETURNS_MODEL or RETURNS_INTAKES names this model.",
            name=name,
        )
    return gettext(
        "No run uses the active version of {name} now: RETURNS_MODEL or RETURNS_INTAKES says {used}. "
        "The change counts when an operator names this model there.",
        name=name,
        used=used,
    )


def _row(each: Version) -> dict[str, object]:
    folder = each.bundle.folder if each.bundle else Path()
    return {
        "version": each.ref.version,
        "stage": each.stage,
        "metrics": each.metrics,
        "recipe": each.bundle.recipe if each.bundle else "",
        "shadow_share": each.row.shadow_share if each.row else None,
        "has_report": each.bundle is not None and os.path.isfile(folder / "report" / "index.html"),  # noqa: PTH113 - raises nothing
        "fault": pathless(retold(each.fault)),
    }


@router.get("/models/{name}/{version}/promote")
def ask_promote(request: Request, context: Pipeline, _: Person, name: str, version: int) -> HTMLResponse:
    """Ask whether this version should be the active one."""
    model_changes.require_model(context, name, version)
    return _confirm_promote(request, context, name, version, "", "")


def _confirm_promote(
    request: Request, context: Context, name: str, version: int, reason: str, fault: str
) -> HTMLResponse:
    done = gettext(
        "Every run that opens from now on uses {model}. Open runs keep their version.",
        model=f"{name}/{version}",
    )
    return show(
        request,
        "confirm.html",
        409 if fault else 200,
        title=gettext("Promote {model}?", model=f"{name}/{version}"),
        what=_effect(context, name, done),
        path=f"/models/{name}/{version}/promote",
        verb=gettext("Promote"),
        can_force=True,
        reason=reason,
        fault=fault,
    )


@router.post("/models/{name}/{version}/promote", response_model=None)
async def promote(request: Request, context: Pipeline, person: Person, name: str, version: int) -> Response:
    """Make a version the active one."""
    form = await form_of(request, person, Role.OPERATOR)
    reason, force = text_of(form, "reason"), text_of(form, "force") == "1"
    return await _change(
        request,
        lambda: model_changes.promote(context, name, version, who=person.name, reason=reason, force=force),
        lambda fault: _confirm_promote(request, context, name, version, reason, fault),
    )


@router.get("/models/{name}/rollback")
def ask_rollback(request: Request, context: Pipeline, _: Person, name: str) -> HTMLResponse:
    """Ask whether the previous version should be the active one again."""
    model_changes.require_model(context, name)
    return _confirm_rollback(request, context, name, "", "")


def _confirm_rollback(request: Request, context: Context, name: str, reason: str, fault: str) -> HTMLResponse:
    done = gettext(
        "Every run that opens from now on uses the version of {name} that was active before.", name=name
    )
    return show(
        request,
        "confirm.html",
        409 if fault else 200,
        title=gettext("Roll back {name}?", name=name),
        what=_effect(context, name, done),
        path=f"/models/{name}/rollback",
        verb=gettext("Roll back"),
        can_force=False,
        reason=reason,
        fault=fault,
    )


@router.post("/models/{name}/rollback", response_model=None)
async def rollback(request: Request, context: Pipeline, person: Person, name: str) -> Response:
    """Make the previous version the active one again."""
    form = await form_of(request, person, Role.OPERATOR)
    reason = text_of(form, "reason")
    return await _change(
        request,
        lambda: model_changes.roll_back(context, name, who=person.name, reason=reason),
        lambda fault: _confirm_rollback(request, context, name, reason, fault),
    )


async def _change(
    request: Request, change: Callable[[], object], form_again: Callable[[str], HTMLResponse]
) -> Response:
    """Change a model and show the models; if the change is refused, show the form with the reason."""
    try:
        await run_in_threadpool(change)
    except NotFoundError:
        raise
    except (RefusedError, TransientFault) as fault:
        return await run_in_threadpool(form_again, pathless(fault.shown))
    return redirect(request, "/models")


@router.get("/models/{name}/{version}/evaluation")
def show_evaluation(
    request: Request, context: Pipeline, person: Person, name: str, version: int
) -> HTMLResponse:
    """Show a version's evaluation: the numbers and figures that the training has written."""
    folder = _folder(context, name, version)
    if _report_file(folder, "index.html") is None:
        raise NotFoundError("{name}/{version} has no evaluation.", name=name, version=version)
    numbers = _report_file(folder, "metrics.json")
    return show(
        request,
        "evaluation.html",
        name=name,
        version=version,
        shown=evaluations.read(numbers) if numbers else evaluations.NOTHING,
        figures=[each for each in evaluations.figures() if _report_file(folder, f"{each.name}.png")],
        can_operate=person.may(Role.OPERATOR),
    )


def _folder(context: Context, name: str, version: int) -> Path:
    """Return the folder of a version. Raises NotFoundError without a sound bundle there."""
    model_changes.require_model(context, name, version)
    try:
        return model_store.find(context.settings, f"{name}/{version}").folder
    except PipelineError as fault:
        raise NotFoundError("{reason}", reason=fault.message) from None


@router.get("/models/{name}/{version}/report/{path:path}")
def show_report(context: Pipeline, _: Person, name: str, version: int, path: str) -> FileResponse:
    """Show a file of a version's evaluation."""
    wanted = _report_file(_folder(context, name, version), path)
    kind = _KINDS.get(wanted.suffix) if wanted else None
    if wanted is None or kind is None:
        raise NotFoundError("There is no such file in this report.")
    # Reports have inline styles, but no script.
    policy = "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return FileResponse(wanted, media_type=kind, headers={"Content-Security-Policy": policy})


def _report_file(folder: Path, path: str) -> Path | None:
    """Return a file of a bundle's report; None if there is none, or if a link leads out of the bundle."""
    try:
        report = (folder / "report").resolve()
        wanted = (report / path).resolve()
        is_inside = report.is_relative_to(folder.resolve()) and wanted.is_relative_to(report)
    except (OSError, ValueError, RuntimeError):  # a NUL byte, a link in a circle
        return None
    return wanted if is_inside and os.path.isfile(wanted) and os.access(wanted, os.R_OK) else None  # noqa: PTH113 - raises nothing
