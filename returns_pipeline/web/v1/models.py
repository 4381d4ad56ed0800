"""Models: every version, and which one runs use."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Header

from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import accuracy, models
from returns_pipeline.usecases.models import Activation
from returns_pipeline.web.dependencies import Operator, Pipeline, Viewer
from returns_pipeline.web.queries import model_changes
from returns_pipeline.web.v1.accuracy import Accuracies
from returns_pipeline.web.v1.schemas import Model, Models, Promotion, Reason

router = APIRouter(tags=["models"])


@router.get("/models", summary="Every version of every model")
def list_models(context: Pipeline, _: Viewer) -> Models:
    """Return every version by name and number."""
    return Models(models=[Model.of(each) for each in models.versions(context.settings, context.db)])


@router.get("/models/{name}/accuracy", summary="How often each version is right")
def model_accuracy(context: Pipeline, _: Viewer, name: str) -> Accuracies:
    """Return the estimates for each version and intake: now, by category, and week by week."""
    model_changes.require_model(context, name)
    now, zone = utc_now(), ZoneInfo(context.settings.timezone)
    return Accuracies.of(
        accuracy.over_time(context.db, now, zone, name), accuracy.left_out(context.db, now).get(name, 0)
    )


@router.post("/models/{name}/{version}/promote", summary="Let runs use this version from now on")
def promote(context: Pipeline, person: Operator, name: str, version: int, reason: Reason) -> Promotion:
    """Make a version active. Refused if it is broken, or measurably worse and not forced."""
    done = model_changes.promote(
        context, name, version, who=person.name, reason=reason.reason, force=reason.force
    )
    return _promotion(done)


@router.post("/models/{name}/rollback", summary="Let runs use the previous version again")
def rollback(
    context: Pipeline,
    person: Operator,
    name: str,
    x_reason: Annotated[str, Header(max_length=models.MOST_REASON, description="Why.")] = "",
) -> Promotion:
    """Make the version active again that was active before the present one."""
    return _promotion(model_changes.roll_back(context, name, who=person.name, reason=x_reason))


def _promotion(done: Activation) -> Promotion:
    return Promotion(active=str(done.ref), before=done.replaced, remark=done.remark)
