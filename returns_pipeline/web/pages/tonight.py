"""The first page: how the night went, and what is unusual."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.records.access import Role
from returns_pipeline.records.runs import RunKind, RunState, RunSummary
from returns_pipeline.records.tasks import INTERACTIVE, Queue
from returns_pipeline.report.page import sentence
from returns_pipeline.store import images, run_statistics, runs
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases.schedule import next_due
from returns_pipeline.web.pages.login import with_session
from returns_pipeline.web.pages.page import person_of, show, to
from returns_pipeline.web.render.charts import Column, columns
from returns_pipeline.web.render.text import pathless
from returns_pipeline.web.security.access import LOCAL, Principal

if TYPE_CHECKING:
    from returns_pipeline.web.security.access import Keeper

router = APIRouter()

_TREND = 30


class Share(NamedTuple):
    """One category: its images, its share of the night, and its share of the nights before."""

    label: str
    images: int
    share: float
    usual: float | None


@router.get("/", response_model=None)
def tonight(request: Request, token: Annotated[str | None, Query(max_length=200)] = None) -> Response:
    """Show the night; with the token of this machine, log in first."""
    if token is not None:
        keeper: Keeper = request.app.state.keeper
        # Out of the address: it must not stay in the history. Machines' tokens open no session.
        if not keeper.is_local(token):
            return to(request, "/login")
        return with_session(request, to(request, "/"), Principal(LOCAL, Role.OPERATOR))
    return _page(request)


def _page(request: Request) -> Response:
    person_of(request)
    context = request.app.state.context
    database: Database = context.db
    work = images.open_work(database)
    newest = runs.latest(database, 3 * _TREND)
    nights = [run for run in newest if run.kind.is_night]
    closed = [run for run in newest if run.state is RunState.CLOSED and run.counts.seen][:_TREND]
    last = nights[0] if nights else None
    before = [run for run in nights[1:] if run.state is RunState.CLOSED][:_TREND]
    shares = _shares(database, last, before) if last else []
    return show(
        request,
        "tonight.html",
        next_night=next_due(context.settings, utc_now()),
        faults=_faults(request.app.state.queue),
        open_runs=[run for run in runs.unclosed(database) if run.kind is not RunKind.API],
        work=work,
        work_fault=pathless(work.fault or ""),
        last=last,
        reasons=[(code, sentence(code), count) for code, count in run_statistics.reasons(database, last.id)]
        if last
        else [],
        shares=shares,
        usual_runs=len(before),
        shares_plot=columns(
            "Share of each category last night, with the usual share",
            [Column(each.label, each.share, _told(each), each.usual) for each in shares],
        ),
        trend=closed,
        trend_plot=columns(
            f"Images seen in each of the last {len(closed)} runs, those without an answer in red",
            [
                Column(
                    str(run.id),
                    run.counts.seen,
                    f"Run {run.id}, {run.opened_at:%Y-%m-%d}: {run.counts.seen:,} seen",
                    None,
                    run.counts.quarantined + run.counts.failed,
                )
                for run in reversed(closed)
            ],
        ),
    )


def _shares(database: Database, last: RunSummary, before: list[RunSummary]) -> list[Share]:
    found = run_statistics.labels(database, [last.id, *(run.id for run in before)])
    counts = found[last.id]
    usual = Counter[str]()
    for run in before:
        usual.update(found[run.id])
    total, of_usual = sum(counts.values()), sum(usual.values())
    shares = [
        Share(
            label,
            counts.get(label, 0),
            counts.get(label, 0) / total if total else 0.0,
            usual[label] / of_usual if of_usual else None,
        )
        for label in {*counts, *usual}
    ]
    return sorted(shares, key=lambda each: (-each.images, each.label))


def _told(each: Share) -> str:
    usually = "" if each.usual is None else f", usually {each.usual:.1%}"
    return f"{each.label}: {each.images:,} images, {each.share:.1%}{usually}"


def _faults(queue: Queue) -> list[str]:
    """Return what keeps work from being done now."""
    try:
        if INTERACTIVE not in queue.served(timeout=0.3):
            return ["No worker answers that classifies images. What comes in waits."]
    except TransientFault as fault:
        return [pathless(str(fault))]
    except PipelineError as fault:
        return [pathless(fault.message)]
    return []
