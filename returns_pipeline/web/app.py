"""The ASGI application: routes, what every answer carries, and how a fault becomes an answer."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.settings import Settings
from returns_pipeline.store import reviews
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.web import classic, docs, health, metrics, pages, v1
from returns_pipeline.web.pages.page import LogInFirstError, root_of, show
from returns_pipeline.web.queries.answers import Asker
from returns_pipeline.web.queries.cached import Cached
from returns_pipeline.web.render.text import pathless
from returns_pipeline.web.security.access import Keeper
from returns_pipeline.web.security.headers import SafeHeaders
from returns_pipeline.web.security.limits import BodyLimit

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")


#: Seconds that a broker which hangs can keep somebody: what it does not take, the sweep sends.
_PATIENCE = 3.0
#: How old the tallies of reviews may be that a page shows.
_COUNTED_SECONDS = 5.0
#: What images are sent to.
_WITH_IMAGES = frozenset({"/process_batch", "/predict", "/try"})


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; it connects when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        queue = open_queue(settings, _PATIENCE)
        app.state.queue = queue
        app.state.context = Context(settings, database, queue, _loads_no_model)
        app.state.asker = Asker(app.state.context)
        app.state.batches = asyncio.Semaphore(2)
        app.state.keeper = Keeper(settings, database)
        app.state.readiness = Cached(partial(health.readiness, database, queue), health.READY_SECONDS)
        app.state.metrics = Cached(partial(metrics.exposition, database, queue), health.READY_SECONDS)
        app.state.review_counts = Cached(partial(reviews.counts, database), _COUNTED_SECONDS)
        yield
        database.close()

    app = FastAPI(title="returns-pipeline", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=settings.api_max_bytes, large=_WITH_IMAGES)
    app.add_middleware(SafeHeaders)
    app.add_exception_handler(PipelineError, _explained)
    app.add_exception_handler(RequestValidationError, _ill_typed)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(LogInFirstError, _log_in_first)
    app.add_exception_handler(Exception, _ours)
    app.include_router(classic.router)
    app.include_router(v1.router)
    app.include_router(pages.router)
    app.include_router(docs.router)
    app.mount("/static/swagger-ui", StaticFiles(packages=[("fastapi_swagger", "resources")]), "swagger-ui")
    app.mount("/static", StaticFiles(packages=[("returns_pipeline.web", "static")]), "static")
    app.include_router(health.router)
    app.include_router(metrics.router)
    return app


def _loads_no_model(_: Bundle) -> NoReturn:
    raise AssertionError("The web asks the workers.")


def _explained(request: Request, fault: Exception) -> Response:
    """Answer a fault that has words for it: what is wrong, and what to do."""
    assert isinstance(fault, PipelineError)  # noqa: S101 - what it is registered for
    status = fault.http_status
    advice = pathless(fault.advice)
    if status >= 500:
        number = uuid.uuid4().hex[:12]
        log.warning("request_failed", id=number, status=status, reason=str(fault))
        advice = f"{advice} The log has it as {number}.".strip()
    return _answer(request, status, pathless(fault.message), advice)


def _ill_typed(request: Request, error: Exception) -> Response:
    """Answer a value that is missing or has a wrong form."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    said = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return _answer(
        request, 422, f"A value is missing or has a wrong form. {said}", "/docs lists every value."
    )


def _no_such_page(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    answer = _answer(request, error.status_code, f"{error.detail}.", "")
    answer.headers.update(error.headers or {})
    return answer


def _log_in_first(request: Request, asked: Exception) -> Response:
    """Show the log-in, then the page that was asked for."""
    return RedirectResponse(f"{root_of(request)}/login?next={asked}", 303)


def _ours(request: Request, error: Exception) -> Response:
    """Answer an error of ours with an id by which the log has the whole of it."""
    number = uuid.uuid4().hex[:12]
    log.error("request_error", id=number, exc_info=error)
    return _answer(request, 500, f"Something went wrong here; the log has it as {number}.", "")


def _answer(request: Request, status: int, message: str, advice: str) -> Response:
    """Answer a person with a page, a machine with JSON."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.removeprefix(root_of(request)).startswith("/api/"):
        try:
            return show(request, "error.html", status, title=status, message=message, advice=advice)
        except TransientFault:
            request.state.person = None  # what the frame shows of the database is left out
            return show(request, "error.html", status, title=status, message=message, advice=advice)
    challenge = {"WWW-Authenticate": 'Bearer realm="returns"'} if status == 401 else None
    return JSONResponse({"error": message, "advice": advice}, status, challenge)
