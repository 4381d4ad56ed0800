"""Promoting a model's version and rolling it back, as pages and the REST interface both do it."""

from collections.abc import Iterator
from contextlib import contextmanager

from returns_pipeline.errors import ConfigFault, ConflictError, NotFoundError
from returns_pipeline.usecases import models
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.models import Activation


def require_model(context: Context, name: str, version: int | None = None) -> None:
    """Raise NotFoundError for an unknown model or version."""
    known = models.versions(context.settings, context.db, name)
    if not known or (version is not None and version not in {each.ref.version for each in known}):
        model = name if version is None else f"{name}/{version}"
        raise NotFoundError("There is no model {model}.", model=model)


def promote(
    context: Context, name: str, version: int, *, who: str, reason: str, force: bool = False
) -> Activation:
    """Let runs use this version from now on.

    Raises NotFoundError for an unknown version, ConflictError if it is broken or measurably worse and not
    `force`d, TransientFault if another change came first.
    """
    require_model(context, name, version)
    with _broken_bundle_is_conflict():
        return models.promote(
            context.settings, context.db, f"{name}/{version}", who=who, reason=reason, force=force
        )


def roll_back(context: Context, name: str, *, who: str, reason: str) -> Activation:
    """Let runs use the version again that was active before. Raises as `promote`."""
    require_model(context, name)
    with _broken_bundle_is_conflict():
        return models.rollback(context.settings, context.db, name, who=who, reason=reason)


@contextmanager
def _broken_bundle_is_conflict() -> Iterator[None]:
    """Make the fault of a broken bundle a conflict: the caller chose the bundle, the server is sound."""
    try:
        yield
    except ConfigFault as fault:
        raise ConflictError(fault.message, fault.advice) from None
