"""Versions of models: registered, promoted, rolled back, run as a shadow. Every change is recorded."""

import getpass
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from returns_pipeline.classify import vetting, vetting_process
from returns_pipeline.classify.bundle import MANIFEST, Bundle, load_bundle
from returns_pipeline.classify.manifest import is_model_name
from returns_pipeline.classify.models_folder import is_version, on_disk
from returns_pipeline.classify.publishing import copy_bundle, draft_folder, publish
from returns_pipeline.errors import (
    ConfigFault,
    ConflictError,
    NotFoundError,
    PipelineError,
    RefusedError,
    TransientFault,
)
from returns_pipeline.languages import N_
from returns_pipeline.records.models import (
    ModelAction,
    ModelChange,
    ModelFacts,
    ModelRef,
    ModelRow,
    ModelStage,
)
from returns_pipeline.records.text import printable
from returns_pipeline.settings import Settings
from returns_pipeline.store import models
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import model_store

#: Most characters of the reason for a change.
MOST_REASON = 1000
_NAME = re.compile(r"\w+(-\w+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model: on disk (`bundle`), in the database (`row`), or both.

    `fault` says why the folder on disk is not a valid bundle.
    """

    ref: ModelRef
    bundle: Bundle | None
    row: ModelRow | None
    fault: str = ""

    @property
    def stage(self) -> ModelStage:
        """The stage in the database; a version that was never registered or used is a candidate."""
        return self.row.stage if self.row else ModelStage.CANDIDATE

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of its training."""
        return self.bundle.metrics if self.bundle else self.row.facts.metrics if self.row else {}

    @property
    def created_at(self) -> datetime | None:
        """When it was registered or first used; before that, when its bundle was written."""
        if self.row:
            return self.row.created_at
        if self.bundle:
            with suppress(
                OSError, OverflowError, ValueError
            ):  # deleted meanwhile, or a date beyond all years
                return datetime.fromtimestamp((self.bundle.folder / MANIFEST).stat().st_mtime, UTC)
        return None


@dataclass(frozen=True, slots=True)
class Activation:
    """A version that is active now, in place of version `replaced`; `remark` compares their accuracies."""

    ref: ModelRef
    replaced: int | None
    remark: str = ""


def configured(settings: Settings, db: Database) -> list[Bundle]:
    """Return the bundle that a run of each intake would use if it opened now. Changes nothing.

    Raises ConfigFault if one is missing.
    """
    return [model_store.find(settings, _pinned(intake.model, db)) for intake in settings.every_intake]


def choose(settings: Settings, db: Database, model: str | None = None) -> Bundle:
    """Return the bundle for a new run of `model`, by default the settings' model.

    NAME/VERSION names an exact version. NAME means the active version; if there is none yet, the highest
    version on disk becomes active. Raises ConfigFault if the bundle is missing.
    """
    model = model or settings.model
    while True:
        pinned = _pinned(model, db)
        bundle = model_store.find(settings, pinned)
        if "/" in pinned:
            return bundle
        reason = N_("the first run of this model; the highest version on disk")
        models.activate(db, _facts(bundle), ModelAction.FIRST_USE, person(), reason, expected=None)
        # Another process may have activated another version first; then that one is used.


def _pinned(model: str, db: Database) -> str:
    """Return NAME/VERSION for a NAME with an active version; any other `model` as it is."""
    version = None if "/" in model else models.active_version(db, model)
    return model if version is None else f"{model}/{version}"


def versions(settings: Settings, db: Database, name: str | None = None) -> list[Version]:
    """Return every version of one model, or of all, on disk and in the database, by name and number.

    A folder whose versions cannot be listed is one entry with version 0 and a fault. Raises nothing for a
    models folder of any content.
    """
    model_store.refresh(settings)
    rows = {row.facts.ref: row for row in models.all_versions(db)}
    found = {ref: _version(settings, ref, row) for ref, row in rows.items() if name in (None, ref.name)}
    for ref, fault in on_disk(settings.models_dir):
        if name in (None, ref.name) and ref not in found:
            found[ref] = (
                Version(ref, None, None, _sentence(fault)) if fault else _version(settings, ref, None)
            )
    return sorted(found.values(), key=lambda version: (version.ref.name, version.ref.version))


def show(settings: Settings, db: Database, model: str) -> Version:
    """Return one version: NAME/VERSION, or NAME for the version that a run would use now.

    Raises NotFoundError if there is no such version.
    """
    name, _, number = _pinned(model, db).partition("/")
    known = ModelRef(name, int(number)) if is_version(number) else None
    ref = known or model_store.find(settings, model).ref
    version = _version(settings, ref, models.find(db, ref))
    if version.bundle is None and version.row is None:
        raise NotFoundError(version.fault, "`returns-pipeline models list` shows every version.")
    return version


def _version(settings: Settings, ref: ModelRef, row: ModelRow | None) -> Version:
    try:
        return Version(ref, model_store.find(settings, str(ref)), row)
    except ConfigFault as fault:
        return Version(ref, None, row, _sentence(fault))


def _sentence(fault: ConfigFault) -> str:
    """Return a fault as one line of text, also if it quotes the name of any folder."""
    return printable(str(fault))


def register(
    settings: Settings, db: Database, folder: Path, name: str | None, who: str
) -> tuple[ModelRef, bool]:
    """Copy a bundle from any folder to the next free version of its name, as a candidate.

    Return the version and whether it is new: a bundle that is among the models already is not copied again.
    Raises ConfigFault if the bundle is broken, altered or contains code, RefusedError for a name that is not
    allowed or a folder with links, pipes or devices, and ConflictError or TransientFault if it cannot be
    published in the store of models. Then nothing is changed.
    """
    name = name or load_bundle(folder, placed=False).name
    if not _NAME.fullmatch(name) or not is_model_name(name):
        raise RefusedError(
            "{name!r} cannot name a model.",
            "Use `--name` with words of letters and digits joined by `-`, at most 100 characters.",
            name=name,
        )
    model_store.refresh(settings, now=True)
    with draft_folder(settings.models_dir) as draft:
        copy_bundle(folder, draft)
        (draft / model_store.COPIED).unlink(missing_ok=True)
        # The copy is checked, because the original may change afterwards.
        bundle = replace(load_bundle(draft, placed=False), name=name)
        vetting_process.require_whole(bundle)
        present = versions(settings, db, name)
        same = [each.bundle for each in present if each.bundle and each.bundle.digest == bundle.digest]
        highest = max((each.ref.version for each in present), default=0)
        kept = same[0] if same else publish(bundle, settings.models_dir, highest)
    if not model_store.is_published(kept):
        model_store.send(settings, kept)
    is_new = models.register(db, _facts(kept), who, f"from {folder.absolute()}")
    return kept.ref, is_new


def promote(
    settings: Settings, db: Database, model: str, *, who: str, reason: str = "", force: bool = False
) -> Activation:
    """Make NAME/VERSION the active version, which new runs use.

    Raises ConfigFault if the bundle is broken, ConflictError if it is measurably worse than the active one
    and `force` is false, RefusedError for a `reason` that is too long, and TransientFault if another process
    changed the active version meanwhile. Then nothing is changed.
    """
    require_reason(reason)
    bundle = model_store.find(settings, _exact(model))
    active = models.active(db, bundle.name)
    vetting_process.require_sound(bundle, settings.runtime)
    if active and active.facts.ref == bundle.ref:
        return Activation(bundle.ref, bundle.version, "It was active before.")
    comparison = _compare(settings, bundle, active)
    if comparison.worse and not force:
        raise ConflictError(
            "{bundle_ref} was not promoted. {sentence}",
            "Promote it anyway with --force, or train a better one.",
            bundle_ref=bundle.ref,
            sentence=comparison.sentence,
        )
    replaced = active.facts.ref.version if active else None
    forced = force and comparison.worse
    _activate(db, bundle, ModelAction.PROMOTE, who, reason, replaced, forced=forced)
    return Activation(bundle.ref, replaced, comparison.sentence)


def can_roll_back(db: Database, name: str) -> bool:
    """Whether another version of a model was active before the present one."""
    return len(_activations(models.history(db, name))) > 1


def rollback(settings: Settings, db: Database, name: str, *, who: str, reason: str = "") -> Activation:
    """Make the version active again that was active before the present one.

    Each further rollback goes one more step back. Raises ConflictError if there is no earlier version,
    ConfigFault if its bundle is broken, RefusedError for a `reason` that is too long, and TransientFault if
    another process changed the active version meanwhile. Then nothing is changed.
    """
    require_reason(reason)
    stack = _activations(models.history(db, name))
    if len(stack) < 2:
        raise ConflictError(
            "No version of {name} was active before the present one.",
            "`returns-pipeline models history {name}` shows every change.",
            name=name,
        )
    bundle = model_store.find(settings, f"{name}/{stack[-2]}")
    vetting_process.require_sound(bundle, settings.runtime)
    _activate(db, bundle, ModelAction.ROLLBACK, who, reason, stack[-1])
    return Activation(bundle.ref, stack[-1])


def shadow(settings: Settings, db: Database, model: str, share: float, who: str) -> ModelRef:
    """Make NAME/VERSION the shadow: it also predicts a `share`, 0 to 1, of each night's images.

    Raises RefusedError for another `share`, ConfigFault if the bundle is broken, and ConflictError if it is
    the active version. Then nothing is changed.
    """
    if not 0 < share <= 1:
        raise RefusedError(
            "{share:g} is not a share of a night.",
            "Give --share above 0 and at most 1, like 0.1.",
            share=share,
        )
    bundle = model_store.find(settings, _exact(model))
    vetting_process.require_sound(bundle, settings.runtime)
    if not models.shadow(db, _facts(bundle), share, who):
        raise ConflictError(
            "{bundle_ref} is active: it predicts every image already.",
            "Name a candidate.",
            bundle_ref=bundle.ref,
        )
    return bundle.ref


def end_shadow(db: Database, model: str, who: str) -> ModelRef:
    """End the shadow of a model; return its version. Raises NotFoundError if there is none."""
    name = model.partition("/")[0]
    version = models.end_shadow(db, name, who)
    if version is None:
        raise NotFoundError(
            "No version of {name} is a shadow.", "`returns-pipeline models list` shows them.", name=name
        )
    return ModelRef(name, version)


def require_reason(reason: str) -> None:
    """Raise RefusedError for a reason that the database cannot keep."""
    if len(reason) > MOST_REASON or "\0" in reason:
        raise RefusedError(
            "The reason is too long or is not plain text.", "Use at most {most} characters.", most=MOST_REASON
        )


def person() -> str:
    """Return the user of this process as USER@HOST, at most 255 characters."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:255]


def _activate(
    db: Database,
    bundle: Bundle,
    action: ModelAction,
    who: str,
    reason: str,
    replaced: int | None,
    *,
    forced: bool = False,
) -> None:
    if not models.activate(db, _facts(bundle), action, who, reason, expected=replaced, forced=forced):
        raise TransientFault(
            "The active version of {bundle_name} was changed by another process meanwhile; nothing was done.",
            "See `returns-pipeline models history {bundle_name}` and try again.",
            bundle_name=bundle.name,
        )


def _compare(settings: Settings, bundle: Bundle, active: ModelRow | None) -> vetting.Comparison:
    if active is None:
        return vetting.Comparison(False, "No version of it was active before.")
    try:
        return vetting.compare(bundle, model_store.find(settings, str(active.facts.ref)))
    except PipelineError:
        sentence = (
            f"Its accuracy could not be compared with that of {active.facts.ref}: its bundle is missing."
        )
        return vetting.Comparison(False, sentence)


def _activations(changes: list[ModelChange]) -> list[int]:
    """Return the versions that were active one after the other. A rollback removes the last one."""
    stack: list[int] = []
    for change in changes:
        if change.action is ModelAction.ROLLBACK:
            del stack[-1:]
        elif change.action in {ModelAction.PROMOTE, ModelAction.FIRST_USE} and change.after is not None:
            stack.append(change.after)
    return stack


def _exact(model: str) -> str:
    if "/" not in model:
        raise RefusedError(
            "{model!r} has no version.", "Write NAME/VERSION, for example fashion-mnist/1.", model=model
        )
    return model


def _facts(bundle: Bundle) -> ModelFacts:
    return ModelFacts(bundle.ref, bundle.digest, bundle.metrics)
