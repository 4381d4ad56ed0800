"""Versions of models: their stages, and the history of changes. Each change is one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.audit import AuditAction, AuditSubject
from returns_pipeline.records.models import (
    ModelAction,
    ModelChange,
    ModelFacts,
    ModelRef,
    ModelRow,
    ModelStage,
    PredictionPair,
)
from returns_pipeline.records.runs import OF_INTAKE
from returns_pipeline.store import audit
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import IS_ACTIVE, images, model_changes, model_versions, predictions, runs

#: Changes that a person makes. A first use is the program's own.
_AUDITED = {
    ModelAction.REGISTER: AuditAction.MODEL_ADD,
    ModelAction.PROMOTE: AuditAction.PROMOTE,
    ModelAction.ROLLBACK: AuditAction.ROLL_BACK,
    ModelAction.SHADOW: AuditAction.SHADOW,
}

#: Built once, because each request asks for it.
_ACTIVE_VERSION = sa.select(model_versions.c.version).where(
    model_versions.c.name == sa.bindparam("model"), IS_ACTIVE
)


def ensure(db: Database, connection: sa.Connection, facts: ModelFacts) -> int:
    """Return the id of a version's row. Inserts it as a candidate if it is missing.

    Raises ConfigFault if the version was registered with another digest.
    """
    connection.execute(
        db.insert(model_versions)
        .values(
            name=facts.ref.name,
            version=facts.ref.version,
            sha256=facts.sha256,
            metrics=facts.metrics,
            created_at=utc_now(),
        )
        .on_conflict_do_nothing(index_elements=[model_versions.c.name, model_versions.c.version])
    )
    row = connection.execute(
        sa.select(model_versions.c.id, model_versions.c.sha256).where(_is_version(facts.ref))
    ).one()
    if row.sha256 != facts.sha256:
        raise ConfigFault(
            "The bundle {facts_ref} is not the one that was registered under this version (sha256 differs).",
            advice="Restore the old bundle, or give the new one the next version number.",
            facts_ref=facts.ref,
        )
    return int(row.id)


def find(db: Database, ref: ModelRef) -> ModelRow | None:
    """Return one version, or None if it was never registered or used."""
    return next(iter(_rows(db, _is_version(ref))), None)


def active(db: Database, name: str) -> ModelRow | None:
    """Return the active version of a model, or None before its first use."""
    is_active = sa.and_(model_versions.c.name == name, IS_ACTIVE)
    return next(iter(_rows(db, is_active)), None)


def active_version(db: Database, name: str) -> int | None:
    """Return the number of the active version of a model, or None before its first use."""
    with db.read() as connection:
        return connection.execute(_ACTIVE_VERSION, {"model": name}).scalar()


def all_versions(db: Database) -> list[ModelRow]:
    """Return every version in the table, by name and number."""
    return _rows(db, sa.true())


def history(db: Database, name: str | None = None) -> list[ModelChange]:
    """Return the changes of one model, or of all, oldest first."""
    query = sa.select(model_changes).order_by(model_changes.c.id)
    if name is not None:
        query = query.where(model_changes.c.name == name)
    with db.read() as connection:
        return [_change(row) for row in connection.execute(query)]


def register(db: Database, facts: ModelFacts, who: str, reason: str) -> bool:
    """Register a version as a candidate. Returns False, and changes nothing, if it has a row already.

    Raises ConfigFault if the version was registered with another digest.
    """
    with _changing(db) as connection:
        known = connection.execute(sa.select(model_versions.c.id).where(_is_version(facts.ref))).scalar()
        ensure(db, connection, facts)
        if known is None:
            _record(connection, ModelAction.REGISTER, facts.ref.name, (None, facts.ref.version), who, reason)
        return known is None


def activate(
    db: Database,
    facts: ModelFacts,
    action: ModelAction,
    who: str,
    reason: str,
    *,
    expected: int | None,
    forced: bool = False,
) -> bool:
    """Make a version the active one in place of version `expected`, which becomes archived.

    Returns False, and changes nothing, if a version other than `expected` is active. Raises ConfigFault if
    the version was registered with another digest.
    """
    with _changing(db) as connection:
        of_name = model_versions.c.name == facts.ref.name
        is_active = sa.and_(of_name, model_versions.c.stage == ModelStage.ACTIVE)
        before = connection.execute(sa.select(model_versions.c.version).where(is_active)).scalar()
        if before != expected:
            return False
        ensure(db, connection, facts)
        connection.execute(sa.update(model_versions).where(is_active).values(stage=ModelStage.ARCHIVED))
        connection.execute(
            sa.update(model_versions)
            .where(_is_version(facts.ref))
            .values(stage=ModelStage.ACTIVE, shadow_share=None)
        )
        versions = (before, facts.ref.version)
        _record(connection, action, facts.ref.name, versions, who, reason, forced=forced)
        return True


def shadow(db: Database, facts: ModelFacts, share: float, who: str) -> bool:
    """Make a version the shadow of its name for a `share` of each night. It replaces an earlier shadow.

    Returns False, and changes nothing, if it is the active version. Raises ConfigFault if the version was
    registered with another digest.
    """
    with _changing(db) as connection:
        is_active = sa.and_(_is_version(facts.ref), model_versions.c.stage == ModelStage.ACTIVE)
        if connection.execute(sa.select(model_versions.c.id).where(is_active)).scalar() is not None:
            return False
        ensure(db, connection, facts)
        name, version = facts.ref.name, facts.ref.version
        before = _end_shadow(connection, name)
        connection.execute(sa.update(model_versions).where(_is_version(facts.ref)).values(shadow_share=share))
        _record(connection, ModelAction.SHADOW, name, (before, version), who, f"share {share:g}")
        return True


def end_shadow(db: Database, name: str, who: str) -> int | None:
    """End the shadow of a model; return its version. Returns None, and changes nothing, if there is none."""
    with _changing(db) as connection:
        before = _end_shadow(connection, name)
        if before is not None:
            _record(connection, ModelAction.SHADOW, name, (before, None), who, "off")
        return before


def _end_shadow(connection: sa.Connection, name: str) -> int | None:
    ended = connection.execute(
        sa.update(model_versions)
        .where(model_versions.c.name == name, model_versions.c.shadow_share.is_not(None))
        .values(shadow_share=None)
        .returning(model_versions.c.version)
    ).scalar()
    return None if ended is None else int(ended)


def shadow_predictions(db: Database, ref: ModelRef) -> Iterator[PredictionPair]:
    """Yield each prediction of the nights with the prediction of a version as their shadow, by image."""
    of_run, of_shadow = predictions.alias("of_run"), predictions.alias("of_shadow")
    candidate = (
        sa.select(model_versions.c.id, model_versions.c.created_at)
        .where(_is_version(ref))
        .subquery("candidate")
    )
    pairs = (
        candidate.join(
            runs,
            sa.and_(
                runs.c.opened_at >= candidate.c.created_at,
                runs.c.model_version_id != candidate.c.id,
                runs.c.kind.in_(OF_INTAKE),
            ),
        )
        .join(images, images.c.run_id == runs.c.id)
        .join(
            of_run,
            sa.and_(of_run.c.image_id == images.c.id, of_run.c.model_version_id == runs.c.model_version_id),
        )
        .join(
            of_shadow,
            sa.and_(of_shadow.c.image_id == images.c.id, of_shadow.c.model_version_id == candidate.c.id),
        )
    )
    query = sa.select(images.c.source_path, of_run.c.label, of_shadow.c.label).select_from(pairs)
    with db.read(in_parts=True) as connection:
        rows = connection.execute(query.order_by(images.c.id).execution_options(yield_per=1000))
        for path, before, after in rows:
            yield PredictionPair(path, before, after)


@contextmanager
def _changing(db: Database) -> Iterator[sa.Connection]:
    """Give a transaction that may change a model. Only one runs at a time; readers are not blocked."""
    with db.write(lasting=True) as connection:
        if not db.is_sqlite:  # SQLite has one writer at a time anyway
            connection.exec_driver_sql("LOCK TABLE model_changes IN SHARE ROW EXCLUSIVE MODE")
        yield connection


def _record(
    connection: sa.Connection,
    action: ModelAction,
    name: str,
    versions: tuple[int | None, int | None],
    who: str,
    reason: str,
    *,
    forced: bool = False,
) -> None:
    """Record a change of a model; `versions` are those before and after."""
    connection.execute(
        sa.insert(model_changes).values(
            changed_at=utc_now(),
            action=action,
            who=who,
            name=name,
            from_version=versions[0],
            to_version=versions[1],
            forced=forced,
            reason=reason,
        )
    )
    if action in _AUDITED:
        before, after = versions
        model = name if after is None else f"{name}/{after}"
        audit.record(
            connection, who, _AUDITED[action], AuditSubject.MODEL, model, before=before, reason=reason
        )


def _is_version(ref: ModelRef) -> sa.ColumnElement[bool]:
    return sa.and_(model_versions.c.name == ref.name, model_versions.c.version == ref.version)


def _rows(db: Database, condition: sa.ColumnElement[bool]) -> list[ModelRow]:
    query = (
        sa.select(model_versions).where(condition).order_by(model_versions.c.name, model_versions.c.version)
    )
    with db.read() as connection:
        return [
            ModelRow(
                ModelFacts(ModelRef(row.name, row.version), row.sha256, row.metrics),
                ModelStage(row.stage),
                row.created_at,
                row.shadow_share,
            )
            for row in connection.execute(query)
        ]


def _change(row: Any) -> ModelChange:
    return ModelChange(
        changed_at=row.changed_at,
        action=ModelAction(row.action),
        who=row.who,
        name=row.name,
        before=row.from_version,
        after=row.to_version,
        forced=row.forced,
        reason=row.reason,
    )
