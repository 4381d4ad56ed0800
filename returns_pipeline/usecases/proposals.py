"""What a retraining ends with: a new version is proposed, promoted by the rule, or stays a candidate."""

import structlog

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import PipelineError, RefusedError
from returns_pipeline.records.models import ModelStage
from returns_pipeline.records.notices import Notice, NoticeKind
from returns_pipeline.records.retraining import (
    OPEN_STATES,
    HeldRetraining,
    Judgement,
    Retraining,
    RetrainingState,
)
from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence
from returns_pipeline.settings import Settings
from returns_pipeline.store import models as model_rows
from returns_pipeline.store import retrainings
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import model_store, models
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Who promotes by the rule and sets the shadow, in the history.
_WHO = "retraining"


def shown(settings: Settings, db: Database) -> list[Retraining]:
    """Return the newest retraining of each model, without those whose proposal was decided or is outdated."""
    return [row for row in retrainings.newest(db) if not _is_outdated(settings, db, row)]


def _is_outdated(settings: Settings, db: Database, row: Retraining) -> bool:
    """Whether a finished retraining has nothing to say any more: another version is active by now."""
    if row.state in {*OPEN_STATES, RetrainingState.FAILED}:
        return False
    if row.state not in {RetrainingState.PROPOSED, RetrainingState.NOT_BETTER} or row.candidate is None:
        return True
    active = model_rows.active(db, row.name)
    if active is None or active.facts.ref != row.base_ref:
        return True
    known = {each.ref: each for each in models.versions(settings, db, row.name)}
    candidate = known.get(row.candidate)
    return candidate is None or bool(candidate.fault) or candidate.stage is not ModelStage.CANDIDATE


def active_bundle(context: Context, row: Retraining) -> Bundle:
    """Return the version with which a new one is compared: the active one.

    If the new version was promoted before the process was killed, that is the version before it. Raises
    RefusedError if no version is active, ConfigFault if its bundle is missing.
    """
    active = model_rows.active(context.db, row.name)
    if active is None:
        raise RefusedError(
            "No version of {name} is active, so there is nothing to retrain.",
            "Classify photos with it first, or train it.",
            name=row.name,
        )
    ref = row.base_ref if active.facts.ref == row.candidate else active.facts.ref
    return model_store.find(context.settings, str(ref))


def propose(context: Context, held: HeldRetraining, new: Bundle, judgement: Judgement) -> None:
    """End a retraining with the result of the comparison; a better version becomes the shadow.

    Raises RetrainingLostError if another process has the retraining.
    """
    row = retrainings.require(context.db, held.id)._replace(version=new.version, judgement=judgement)
    state = RetrainingState.PROPOSED if judgement.difference > 0 else RetrainingState.NOT_BETTER
    if state is RetrainingState.PROPOSED and _promoted(context, row):
        state = RetrainingState.PROMOTED
    elif state is RetrainingState.PROPOSED:
        _shadow(context, new)
    notice = _notice(context, row._replace(state=state, step=None))
    retrainings.finish(context.db, held, state, notice, judgement=judgement)
    log.info("retrained", model=str(new.ref), state=str(state), difference=round(judgement.difference, 4))


def fail(context: Context, held: HeldRetraining, fault: PipelineError) -> None:
    """End a retraining that a fault makes impossible."""
    row = retrainings.require(context.db, held.id)
    reason = str(fault)
    notice = _notice(context, row._replace(state=RetrainingState.FAILED, step=None, fault=reason))
    retrainings.finish(context.db, held, RetrainingState.FAILED, notice, fault=reason)
    log.warning("not_retrained", model=row.name, reason=reason)


def _notice(context: Context, row: Retraining) -> Notice:
    data = retraining_data(row)
    with context.spoken():
        text = retraining_sentence(data)
    return Notice(f"retraining {row.uid}", NoticeKind.MODEL_RETRAINED, text, {**data})


def _promoted(context: Context, row: Retraining) -> bool:
    """Promote the new version if the rule of the settings says so; return whether it is active now."""
    settings, judgement = context.settings, row.judgement
    if judgement is None or not settings.retrain_promote > judgement.p:
        return False
    if judgement.photos < settings.retrain_promote_photos:
        return False
    data = retraining_data(row._replace(state=RetrainingState.PROMOTED))
    try:
        with context.spoken():
            reason = retraining_sentence(data)
        models.promote(settings, context.db, str(row.candidate), who=_WHO, reason=reason)
    except PipelineError as fault:
        log.warning("not_promoted", model=str(row.candidate), reason=str(fault))
        return False
    return True


def _shadow(context: Context, new: Bundle) -> None:
    """Make the new version the shadow, unless a person has chosen another one."""
    share = context.settings.retrain_shadow
    if not share:
        return
    for each in models.versions(context.settings, context.db, new.name):
        is_other = each.row is not None and each.row.shadow_share is not None and each.ref != new.ref
        if is_other and (each.bundle is None or "retraining" not in each.bundle.data):
            return
    try:
        models.shadow(context.settings, context.db, str(new.ref), share, _WHO)
    except PipelineError as fault:
        log.warning("no_shadow", model=str(new.ref), reason=str(fault))
