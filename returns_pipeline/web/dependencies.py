"""Typed parameters of routes: what FastAPI injects, and the bounds of ids.

The accessors are `async` so that FastAPI calls them directly: it would send a plain function to a thread.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from starlette.concurrency import run_in_threadpool

from returns_pipeline.records.access import Role
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.errors import ForbiddenError, UnauthorizedError
from returns_pipeline.web.queries.lookups import IMAGE_ID_END, RUN_ID_END
from returns_pipeline.web.queries.worker_client import WorkerClient
from returns_pipeline.web.resources import Resources, resources_of
from returns_pipeline.web.security.access import (
    SAFE_METHODS,
    Authenticator,
    Principal,
    require_csrf_token,
    require_role,
)
from returns_pipeline.web.security.bodies import Bodies


async def _resources(request: Request) -> Resources:
    return resources_of(request)


Web = Annotated[Resources, Depends(_resources)]


async def _context(web: Web) -> Context:
    return web.context


async def _database(web: Web) -> Database:
    return web.context.db


async def _authenticator(web: Web) -> Authenticator:
    return web.authenticator


async def _workers(web: Web) -> WorkerClient:
    return web.workers


async def _bodies(web: Web) -> Bodies:
    return web.bodies


Pipeline = Annotated[Context, Depends(_context)]
Db = Annotated[Database, Depends(_database)]
Auth = Annotated[Authenticator, Depends(_authenticator)]
Workers = Annotated[WorkerClient, Depends(_workers)]
Images = Annotated[Bodies, Depends(_bodies)]


async def _principal(request: Request) -> Principal:
    authenticator = resources_of(request).authenticator
    found = authenticator.of_this_machine(request)
    if found is None:
        found = await run_in_threadpool(authenticator.of_request, request)
    if found is None:
        raise UnauthorizedError("Log in, or send a token: `Authorization: Bearer TOKEN`.")
    if found.must_change_password:
        raise ForbiddenError("Choose a password of your own first.", "The page Account asks for it.")
    if request.method not in SAFE_METHODS:
        require_csrf_token(found, request.headers.get("x-csrf-token"))
    return found


def _at_least(role: Role) -> Callable[[Request], Any]:
    # One dependency, not two: each costs a request as much as its own work.
    async def check(request: Request) -> Principal:
        principal = await _principal(request)
        require_role(principal, role)
        return principal

    return check


Viewer = Annotated[Principal, Depends(_at_least(Role.VIEWER))]
Reviewer = Annotated[Principal, Depends(_at_least(Role.REVIEWER))]
Operator = Annotated[Principal, Depends(_at_least(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(_at_least(Role.ADMIN))]

#: An id out of bounds is answered with 422, an unknown one with 404.
RunId = Annotated[int, Path(ge=1, lt=RUN_ID_END)]
ImageId = Annotated[int, Path(ge=1, lt=IMAGE_ID_END)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="A request that is sent again with the same key is done once.",
    ),
]
