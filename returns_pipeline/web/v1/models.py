"""Models: every version, and which one works tonight."""

from typing import Annotated

from fastapi import APIRouter, Header, Request

from returns_pipeline.errors import ConfigFault, ConflictError, NotFoundError
from returns_pipeline.usecases import models
from returns_pipeline.web.security.access import Operator, Viewer
from returns_pipeline.web.v1.schemas import Model, Models, Promotion, Reason

router = APIRouter(tags=["models"])


@router.get("/models", summary="Every version of every model")
def list_models(request: Request, _: Viewer) -> Models:
    """Return every version by name and number."""
    context = request.app.state.context
    return Models(models=[Model.of(each) for each in models.versions(context.settings, context.db)])


@router.post("/models/{name}/{version}/promote", summary="Let runs use this version from now on")
def promote(request: Request, person: Operator, name: str, version: int, reason: Reason) -> Promotion:
    """Make a version the active one. Refused when it is broken, or measurably worse and not forced."""
    context = request.app.state.context
    known = {each.ref.version for each in models.versions(context.settings, context.db, name)}
    if version not in known:
        raise NotFoundError("There is no version {version} of {name}.", version=version, name=name)
    try:
        done = models.promote(
            context.settings,
            context.db,
            f"{name}/{version}",
            who=person.name,
            reason=reason.reason,
            force=reason.force,
        )
    except ConfigFault as fault:
        raise ConflictError(fault.message, fault.advice) from None
    return Promotion(active=str(done.ref), before=done.replaced, remark=done.remark)


@router.post("/models/{name}/rollback", summary="Let runs use the version before again")
def rollback(
    request: Request,
    person: Operator,
    name: str,
    x_reason: Annotated[str, Header(max_length=models.MOST_REASON, description="Why.")] = "",
) -> Promotion:
    """Make the version active again that was so before the present one."""
    context = request.app.state.context
    if not models.versions(context.settings, context.db, name):
        raise NotFoundError("There is no model {name}.", name=name)
    try:
        done = models.rollback(context.settings, context.db, name, who=person.name, reason=x_reason)
    except ConfigFault as fault:
        raise ConflictError(fault.message, fault.advice) from None
    return Promotion(active=str(done.ref), before=done.replaced, remark=done.remark)
