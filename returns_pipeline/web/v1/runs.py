"""Runs: what happened, how far one is, its images as a file."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import NotFoundError
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.store import runs
from returns_pipeline.web import export
from returns_pipeline.web.security.access import Viewer
from returns_pipeline.web.v1.schemas import Run, Runs, pack, unpack

if TYPE_CHECKING:
    from returns_pipeline.store.database import Database

router = APIRouter(tags=["runs"])

#: Seconds between two looks at a run that somebody follows.
_LOOK = 0.5


@router.get("/runs", summary="The newest runs")
def list_runs(
    request: Request,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Runs:
    """Return a page of runs, newest first."""
    database: Database = request.app.state.context.db
    before = unpack(cursor)
    is_id = isinstance(before, int) and 0 < before < 2**31
    found = runs.latest(database, limit + 1, before if is_id else None)
    shown = [Run.of(run) for run in found[:limit]]
    return Runs(runs=shown, next=pack(shown[-1].id) if len(found) > limit else None)


@router.get("/runs/{run_id}", summary="One run in numbers")
def show_run(request: Request, _: Viewer, run_id: int) -> Run:
    """Return one run."""
    return Run.of(existing(request, run_id))


@router.get(
    "/runs/{run_id}/events",
    summary="Follow a run (server-sent events)",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event for each change."}},
)
def follow_run(request: Request, _: Viewer, run_id: int) -> StreamingResponse:
    """Send `{"state", "done", "total"}` whenever it changes, until the run is closed."""
    existing(request, run_id)
    database: Database = request.app.state.context.db

    async def events() -> AsyncIterator[str]:
        told = ""
        while not await request.is_disconnected():
            now = await run_in_threadpool(runs.progress, database, run_id)
            found = json.dumps({"state": now.state, "done": now.done, "total": now.total})
            # A comment keeps proxies from closing a line that is quiet.
            yield f"data: {found}\n\n" if found != told else ":\n\n"
            told = found
            if now.state is RunState.CLOSED:
                return
            await asyncio.sleep(_LOOK)

    return StreamingResponse(
        events(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get(
    "/runs/{run_id}/export",
    summary="The images of a run as a file",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {kind.media_type: {} for kind in export.KINDS.values()},
            "description": "One row for each image that was seen.",
        }
    },
)
def export_run(
    request: Request,
    _: Viewer,
    run_id: int,
    format: Annotated[Literal["csv", "json", "parquet"], Query()] = "csv",  # noqa: A002 - the parameter's name
) -> StreamingResponse:
    """Send every image of a run with its answer, row by row."""
    existing(request, run_id)
    kind = export.KINDS[format]
    rows: Iterator[bytes] = kind.write(request.app.state.context.db, run_id)
    name = f"attachment; filename=run-{run_id}.{format}"
    return StreamingResponse(rows, media_type=kind.media_type, headers={"Content-Disposition": name})


def existing(request: Request, run_id: int) -> RunSummary:
    """Return a run. Raises NotFoundError when there is none of this id."""
    found = runs.find(request.app.state.context.db, run_id) if 0 < run_id < 2**31 else None
    if found is None:
        raise NotFoundError("There is no run {run_id}.", run_id=run_id)
    return found
