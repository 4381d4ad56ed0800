"""Whether the web process is alive, and whether the parts it needs answer."""

from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from returns_pipeline.errors import BrokerRefusesFault, PipelineError, TransientFault
from returns_pipeline.languages import N_
from returns_pipeline.records.tasks import INTERACTIVE, Queue
from returns_pipeline.records.text import pathless
from returns_pipeline.store.database import Database
from returns_pipeline.web.dependencies import Web

if TYPE_CHECKING:
    from collections.abc import Callable

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

router = APIRouter(tags=["health"])

#: Seconds that a result is kept: `/readyz` needs no token, and each check costs every worker a reply.
READY_SECONDS = 2.0
_NO_REPLY = N_("The part that classifies photos does not reply. New photos wait until it runs again.")
_NO_WORKER = "no worker that classifies images answers"


@router.get("/healthz", summary="Is this process alive?")
def healthz() -> dict[str, str]:
    """Reply without a check of any other part."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Do the database, the broker and a worker answer?",
    responses={503: {"description": "One of them does not answer."}},
)
def readyz(web: Web) -> JSONResponse:
    """Return the state of each part, at most two seconds old; 503 if one fails. The log says why."""
    found = web.readiness()
    is_ready = all(state == "ok" for state in found.values())
    return JSONResponse(found, 200 if is_ready else 503)


def readiness(database: Database, queue: Queue) -> dict[str, str]:
    """Return `ok` or what is wrong, for each part. The texts are public: no path, no address."""
    checks: dict[str, tuple[Callable[[], object], str]] = {
        "database": (database.require_current, "does not answer, or needs `returns-pipeline db upgrade`"),
        "broker": (queue.require_writable, "does not answer"),
        "worker": (lambda: _require_worker(queue), _NO_WORKER),
    }
    found: dict[str, str] = {}
    for name, (check, sentence) in checks.items():
        if name == "worker" and found["broker"] != "ok":
            # Workers reply through the broker: this check would wait for it once more.
            found[name] = _NO_WORKER
            continue
        try:
            check()
            found[name] = "ok"
        except PipelineError as fault:
            log.warning("not_ready", part=name, reason=str(fault))
            # Such a fault has no address. It has parameters if it quotes Redis.
            is_known = isinstance(fault, BrokerRefusesFault) and not fault.parameters
            found[name] = fault.message if is_known else sentence
    return found


def obstacles(queue: Queue) -> list[str]:
    """Return what keeps photos from being classified now, in English sentences for people."""
    try:
        queue.require_writable()
        # A busy machine replies late: ask again, with more time, before a page raises an alarm.
        if INTERACTIVE not in queue.served(timeout=0.3) and INTERACTIVE not in queue.served(timeout=1.0):
            return [_NO_REPLY]
    except TransientFault as fault:
        return [pathless(str(fault))]
    except PipelineError as fault:
        return [pathless(fault.message)]
    return []


def _require_worker(queue: Queue) -> None:
    if INTERACTIVE not in queue.served(timeout=1):
        raise PipelineError("No worker that classifies images answers.")
