"""The ASGI application: routes, middleware, and how an error becomes a response."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import NoReturn

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from returns_pipeline import tracing
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import PipelineError, RowsRemovedError, TransientFault
from returns_pipeline.languages import gettext
from returns_pipeline.private_files import make_private_folders
from returns_pipeline.records.text import pathless
from returns_pipeline.settings import Settings
from returns_pipeline.store import match_lists, return_lists, return_verdicts, review_queue
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import model_store
from returns_pipeline.usecases.category_names import names_of_models
from returns_pipeline.usecases.context import Context
from returns_pipeline.web import classic, docs, health, metrics, pages, static_files, v1
from returns_pipeline.web.errors import FAULTS, RETRY_AFTER, BusyError
from returns_pipeline.web.language import Language, say_language
from returns_pipeline.web.pages.page import RedirectError, root_of, show
from returns_pipeline.web.parameters import ONLY_KNOWN_PARAMETERS, unknown_field
from returns_pipeline.web.queries.cached import Cached
from returns_pipeline.web.queries.look_client import LookClient
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.render.pictures import Pictures
from returns_pipeline.web.resources import Resources
from returns_pipeline.web.security.access import Authenticator
from returns_pipeline.web.security.attempts import WINDOW
from returns_pipeline.web.security.bodies import Bodies
from returns_pipeline.web.security.headers import SafeHeaders
from returns_pipeline.web.security.host import OneHost
from returns_pipeline.web.security.limits import BodyLimit, body_limits

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: Seconds that a request waits for a broker that hangs. What the broker misses, the sweep sends later.
_BROKER_SECONDS = 3.0
#: Seconds for which a page shows the same counts of reviews.
_COUNTED_SECONDS = 5.0
#: The same for the counts of returns in metrics, which read every open one.
_RETURNS_SECONDS = 60.0
#: The paths that accept images or many returns, and so large bodies.
_LARGE = frozenset(
    {
        "/process_batch",
        "/predict",
        "/try",
        "/upload",
        "/lookalikes",
        "/api/v1/returns",
        "/api/v1/products",
        "/api/v1/products/search",
    }
)
#: FastAPI begins a trace with a request for predictions, if this process sends traces. Other requests have
#: none: addresses of pages may hold a token or the name of a customer.
_TRACED = frozenset({"/process_batch", "/predict", "/try"})
_TELEMETRY: TelemetryConfig = {
    "auto_configure": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "exclude": lambda scope: scope.get("path", "").removeprefix(scope.get("root_path", "")) not in _TRACED,
}
#: Headers of an error's response.
_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="returns"'},
    429: {"Retry-After": str(round(WINDOW))},
    503: {"Retry-After": RETRY_AFTER},
}


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; it connects when the server starts it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tracing.start("web")
        app.state.resources = found = _open(settings)
        yield
        found.pictures.close()
        found.context.db.close()
        await run_in_threadpool(tracing.stop)

    app = FastAPI(
        title="returns-pipeline", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=_TELEMETRY
    )
    app.add_middleware(BodyLimit, limits=body_limits(settings), large=_LARGE, parts="/api/v1/uploads/")
    app.add_middleware(OneHost)
    app.add_middleware(Language, default=settings.language, names=names_of_models(settings.models_dir))
    app.add_middleware(SafeHeaders)
    app.add_exception_handler(PipelineError, _on_pipeline_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_value)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RedirectError, _on_redirect)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected_error)
    for router in (classic.router, v1.router, health.router, metrics.router):
        app.include_router(router, dependencies=ONLY_KNOWN_PARAMETERS, responses={422: FAULTS[422]})
    # Pages ignore unknown parameters: mail and chat programs add some to a link, and its reader cannot help.
    for router in (pages.router, docs.router):
        app.include_router(router)
    app.mount("/static/swagger-ui", StaticFiles(packages=[("fastapi_swagger", "resources")]), "swagger-ui")
    app.include_router(static_files.router)
    return app


def _open(settings: Settings) -> Resources:
    make_private_folders([settings.scratch_dir])
    database = Database(settings.database_url)
    queue = open_queue(settings, _BROKER_SECONDS)
    context = Context(settings, database, queue, _load_no_model)
    bundle_of = cache(partial(model_store.find, settings))
    returns = Cached(partial(return_verdicts.counts, database), _RETURNS_SECONDS)
    matches = Cached(partial(match_lists.counts, database), _RETURNS_SECONDS)
    return Resources(
        context=context,
        authenticator=Authenticator(settings, database),
        workers=WorkerClient(context, bundle_of),
        looks=LookClient(context),
        bundle_of=bundle_of,
        bodies=Bodies(settings.scratch_dir, settings.api_max_bytes),
        pictures=Pictures(context),
        readiness=Cached(partial(health.readiness, database, queue), health.READY_SECONDS),
        obstacles=Cached(partial(health.obstacles, queue), health.READY_SECONDS),
        metrics=Cached(metrics.exposition_of(context, returns, matches), health.READY_SECONDS),
        review_counts=Cached(partial(review_queue.counts, database), _COUNTED_SECONDS),
        open_returns=Cached(partial(return_lists.open_counts, database), _COUNTED_SECONDS),
    )


def _load_no_model(_: Bundle) -> NoReturn:
    raise AssertionError("The web loads no model: workers make predictions.")


def _on_pipeline_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, PipelineError)  # noqa: S101 - the class it is registered for
    status = fault.http_status
    advice = pathless(fault.shown_advice)
    if status >= 500:
        number = uuid.uuid4().hex[:12]
        log.warning("request_failed", id=number, status=status, reason=str(fault))
        advice = f"{advice} {gettext('The log has it as {number}.', number=number)}".strip()
    # An only run is named with its report; else the page links the list of runs.
    request.state.runs = fault.runs if isinstance(fault, RowsRemovedError) else ()
    response = _error(request, status, pathless(fault.shown_message), advice)
    if isinstance(fault, BusyError):
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _on_invalid_value(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the class it is registered for
    unknown = unknown_field(request, error)
    if unknown is not None:
        return _error(request, unknown.http_status, unknown.shown_message, unknown.shown_advice)
    problems = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    message = gettext("A value is missing, out of bounds or of a wrong form. {problems}", problems=problems)
    return _error(request, 422, message, gettext("See /docs."))


def _on_http_error(request: Request, error: Exception) -> Response:
    """Return an error of the framework as a response: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the class it is registered for
    message = (
        gettext("There is nothing at this address.")
        if error.status_code == 404
        else f"{error.detail.rstrip('.')}."
    )
    response = _error(request, error.status_code, message, "")
    response.headers.update(error.headers or {})
    return response


def _on_redirect(_: Request, redirect: Exception) -> Response:
    assert isinstance(redirect, RedirectError)  # noqa: S101 - the class it is registered for
    return redirect.response


def _on_disconnect(_: Request, __: Exception) -> Response:
    """Return what is never sent: the client closed its connection before its request was whole."""
    return Response(status_code=400)


def _on_unexpected_error(request: Request, error: Exception) -> Response:
    """Return an id under which the log has the traceback."""
    number = uuid.uuid4().hex[:12]
    log.error("request_error", id=number, exc_info=error)
    message = gettext("Something went wrong on this server. The log has it as {number}.", number=number)
    return _error(request, 500, message, "")


def _error(request: Request, status: int, message: str, advice: str) -> Response:
    """Return an error as a page for a browser, as JSON for a program."""
    response = _error_body(request, status, message, advice)
    response.headers.update(_HEADERS.get(status, {}))
    return response


def _error_page(request: Request, status: int, message: str, advice: str) -> Response:
    of_runs: Sequence[int] = getattr(request.state, "runs", ())
    return show(request, "error.html", status, title=status, message=message, advice=advice, of_runs=of_runs)


def _error_body(request: Request, status: int, message: str, advice: str) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.removeprefix(root_of(request)).startswith("/api/"):
        try:
            return _error_page(request, status, message, advice)
        except TransientFault:
            request.state.person = None  # without a person, the page's frame needs no database
            return _error_page(request, status, message, advice)
    response = JSONResponse({"error": message, "advice": advice}, status)
    say_language(response)
    return response
