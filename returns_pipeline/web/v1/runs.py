"""Runs: their counts, their progress, and their images as a file."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.runs import RunState
from returns_pipeline.store import runs
from returns_pipeline.web.dependencies import Db, RunId, Viewer
from returns_pipeline.web.queries.cursors import pack, run_cursor
from returns_pipeline.web.v1.schemas import Run, Runs, RunsVersion

router = APIRouter(tags=["runs"])

#: Seconds between two queries for the progress of a run that a client follows.
_PAUSE = 0.5


@router.get("/runs", summary="The newest runs")
def list_runs(
    db: Db,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Runs:
    """Return a page of runs, newest first."""
    found = runs.latest(db, limit + 1, run_cursor(cursor))
    shown = [Run.of(run) for run in found[:limit]]
    return Runs(runs=shown, next=pack(shown[-1].id) if len(found) > limit else None)


@router.get("/runs/version", summary="Whether a run has begun or ended")
def show_version(db: Db, _: Viewer) -> RunsVersion:
    """Return a text that changes when a run begins or ends. It costs little, so a page may ask often."""
    return RunsVersion(version=runs.version(db))


@router.get("/runs/{run_id}", summary="One run with its counts")
def show_run(db: Db, _: Viewer, run_id: RunId) -> Run:
    """Return one run."""
    return Run.of(runs.existing(db, run_id))


@router.get(
    "/runs/{run_id}/events",
    summary="Follow a run (server-sent events)",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event for each change."}},
)
def follow_run(request: Request, db: Db, _: Viewer, run_id: RunId) -> StreamingResponse:
    """Send `{"state", "done", "total"}` at each change, until the run is closed."""
    runs.existing(db, run_id)

    async def events() -> AsyncIterator[str]:
        last = ""
        while not await request.is_disconnected():
            now = await run_in_threadpool(runs.progress, db, run_id)
            found = json.dumps({"state": now.state, "done": now.done, "total": now.total})
            # Without a change a comment is sent: proxies close a connection that is silent.
            yield f"data: {found}\n\n" if found != last else ":\n\n"
            last = found
            if now.state is RunState.CLOSED:
                return
            await asyncio.sleep(_PAUSE)

    return StreamingResponse(
        events(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
