"""The ASGI application: routes, what every answer carries, and how a fault becomes an answer."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import PipelineError, TransientFault
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.queueing import CeleryQueue, make_app
from returns_pipeline.settings import Settings
from returns_pipeline.store.database import Database
from returns_pipeline.web import classic, health, v1
from returns_pipeline.web.access import Keeper
from returns_pipeline.web.asking import Asker
from returns_pipeline.web.errors import RequestError
from returns_pipeline.web.limits import BodyLimit

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; it connects when it is started."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.database_url)
        queue = CeleryQueue(make_app(settings))
        app.state.queue = queue
        app.state.pipeline = Pipeline(settings, database, queue, _loads_no_model)
        app.state.asker = Asker(app.state.pipeline)
        app.state.keeper = Keeper(settings, database)
        yield
        database.close()

    app = FastAPI(title="returns-pipeline", lifespan=lifespan, redoc_url=None)
    app.add_middleware(BodyLimit, most=settings.api_max_bytes)
    app.add_exception_handler(PipelineError, _explained)
    app.add_exception_handler(Exception, _ours)
    app.include_router(classic.router)
    app.include_router(v1.router)
    app.include_router(health.router)
    return app


def _loads_no_model(_: Bundle) -> NoReturn:
    raise AssertionError("The web asks the workers.")


async def _explained(_: Request, fault: Exception) -> JSONResponse:
    """Answer a fault that has words for it: what is wrong, and what to do."""
    assert isinstance(fault, PipelineError)  # noqa: S101 - what it is registered for
    status = (
        fault.status if isinstance(fault, RequestError) else 503 if isinstance(fault, TransientFault) else 500
    )
    if status >= 500:
        log.warning("request_failed", status=status, reason=str(fault))
    return JSONResponse({"error": fault.message, "advice": fault.advice}, status)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    """Answer an error of ours with an id by which the log has the whole of it."""
    number = uuid.uuid4().hex[:12]
    log.error("request_error", id=number, exc_info=error)
    return JSONResponse(
        {"error": f"Something went wrong here; the log has it as {number}.", "id": number}, 500
    )
