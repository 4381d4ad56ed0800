"""Whether the web is alive, and whether it could do its work now."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from returns_pipeline.errors import PipelineError
from returns_pipeline.queueing import INTERACTIVE, CeleryQueue

router = APIRouter(tags=["health"])


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
    """Ask each; 503 when one is missing, with a sentence about it."""
    queue: CeleryQueue = request.app.state.queue
    checks = {
        "database": request.app.state.pipeline.db.require_current,
        "broker": queue.check,
        "worker": lambda: _require_worker(queue),
    }
    found = {}
    for name, check in checks.items():
        try:
            check()
            found[name] = "ok"
        except PipelineError as fault:
            found[name] = fault.message
    is_ready = all(state == "ok" for state in found.values())
    return JSONResponse(found, 200 if is_ready else 503)


def _require_worker(queue: CeleryQueue) -> None:
    if INTERACTIVE not in queue.served():
        raise PipelineError("No worker answers that classifies images.")
