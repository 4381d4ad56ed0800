"""Whether the web is alive, and whether it could do its work now."""

from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.tasks import INTERACTIVE, Queue
from returns_pipeline.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

router = APIRouter(tags=["health"])

#: Anybody may ask, and asking costs every worker an answer.
READY_SECONDS = 2.0
_NO_WORKER = "none answers that classifies images"


@router.get("/healthz", summary="Is this process alive?")
def healthz() -> dict[str, str]:
    """Answer without asking anybody."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Are the database, the broker and a worker there?",
    responses={503: {"description": "Something is missing."}},
)
def readyz(request: Request) -> JSONResponse:
    """Tell what was found within the last seconds; 503 when something is missing. The log says why."""
    found: dict[str, str] = request.app.state.readiness()
    is_ready = all(state == "ok" for state in found.values())
    return JSONResponse(found, 200 if is_ready else 503)


def readiness(database: Database, queue: Queue) -> dict[str, str]:
    """Ask each part, and return what is said about it to anybody: no path, no address."""
    checks: dict[str, tuple[Callable[[], object], str]] = {
        "database": (database.require_current, "does not answer, or needs `returns-pipeline db upgrade`"),
        "broker": (queue.lengths, "does not answer"),
        "worker": (lambda: _require_worker(queue), _NO_WORKER),
    }
    found: dict[str, str] = {}
    for name, (check, sentence) in checks.items():
        if name == "worker" and found["broker"] != "ok":
            # Workers are asked through the broker: it would only take as long once more.
            found[name] = _NO_WORKER
            continue
        try:
            check()
            found[name] = "ok"
        except PipelineError as fault:
            log.warning("not_ready", part=name, reason=str(fault))
            found[name] = sentence
    return found


def _require_worker(queue: Queue) -> None:
    if INTERACTIVE not in queue.served(timeout=1):
        raise PipelineError("No worker answers that classifies images.")
