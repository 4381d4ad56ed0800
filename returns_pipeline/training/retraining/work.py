"""Carries out a retraining: gathers photos, trains, quantizes, compares, proposes.

Each step leaves its result on the disk: the gathered photos, the weights after each epoch, the new bundle. A
process that goes on after another one was killed finds them there.
"""

import shutil
from typing import TYPE_CHECKING

import structlog

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.models_folder import versions_of
from returns_pipeline.errors import ConfigFault, PipelineError, RefusedError, TransientFault
from returns_pipeline.records.models import Precision
from returns_pipeline.records.retraining import HeldRetraining, Judgement, Retraining, RetrainingStep
from returns_pipeline.store import retrainings
from returns_pipeline.store.retrainings import RetrainingLostError
from returns_pipeline.training.labelled.photo_folders import PhotoFolders
from returns_pipeline.training.pipeline.quantize import quantize
from returns_pipeline.training.pipeline.recipe import Request
from returns_pipeline.training.pipeline.train import train
from returns_pipeline.training.recipes.bundle_data import load_data
from returns_pipeline.training.retraining.continued import recipe_of
from returns_pipeline.training.retraining.judging import judge
from returns_pipeline.training.retraining.lease import Lease
from returns_pipeline.training.retraining.photos import gather, training_folders
from returns_pipeline.usecases import model_store, proposals

if TYPE_CHECKING:
    from returns_pipeline.training.pipeline.recipe import Listener
    from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: A retraining whose process ended so often is given up.
MOST_ATTEMPTS = 5


def carry_out(
    context: "Context", retraining_id: int, listener: "Listener", token: str | None = None
) -> Retraining | None:
    """Work on a retraining until its end; None if it is finished already or another process works on it.

    A fault that a person must correct ends it. Raises TransientFault, and releases it, if the database or the
    disk fails; then it goes on later. `token` names this process, by default a new one.
    """
    seconds = context.settings.lease_seconds
    held = retrainings.claim(context.db, retraining_id, seconds, token)
    if held is None:
        return None
    try:
        with Lease(context.db, held, seconds, listener) as lease:
            _Work(context, held, lease).finish()
    except (TransientFault, KeyboardInterrupt):
        retrainings.release(context.db, held, counts=False)
        raise
    except RetrainingLostError:
        return None
    except Exception:
        retrainings.release(context.db, held, counts=True)
        raise
    return retrainings.find(context.db, retraining_id)


class _Work:
    """One retraining that this process holds."""

    def __init__(self, context: "Context", held: HeldRetraining, lease: Lease) -> None:
        self._context, self._held, self._listener = context, held, lease
        self._row = retrainings.require(context.db, held.id)
        self._folder = context.settings.home / "training" / f"retraining-{self._row.uid}"
        model_store.refresh(context.settings, now=True)
        self._models_dir = context.settings.models_dir

    def finish(self) -> None:
        """Carry out all steps, and end the retraining."""
        try:
            if self._row.attempts > MOST_ATTEMPTS:
                raise RefusedError(
                    "Its process ended {count} times before it was done.",
                    "The log of the worker says why; often the memory is too small.",
                    count=MOST_ATTEMPTS,
                )
            active = proposals.active_bundle(self._context, self._row)
            new, judgement = self._train_and_judge(active)
        except (TransientFault, RetrainingLostError):
            raise
        except PipelineError as fault:
            proposals.fail(self._context, self._held, fault)
        else:
            proposals.propose(self._context, self._held, new, judgement)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _train_and_judge(self, active: Bundle) -> tuple[Bundle, Judgement]:
        retrainings.change(self._context.db, self._held, base=active.version)
        self._begin(RetrainingStep.COLLECTING)
        if not self._row.last_change:
            # Before the photos are read: a review that comes meanwhile counts as new.
            newest = retrainings.newest_change(self._context.db)
            retrainings.change(self._context.db, self._held, last_change=newest)
        gathered = gather(self._context, active, self._row.data, self._folder, self._listener)
        if gathered.rehearsed:
            self._listener.warn(
                "The old training photos are not at hand; photos of the nights stand in for them."
            )
        retrainings.change(self._context.db, self._held, learned=gathered.learned)
        new = self._trained(active)
        if active.precision is Precision.INT8:
            new = self._quantized(new, active)
        retrainings.change(self._context.db, self._held, version=new.version)
        self._begin(RetrainingStep.COMPARING)
        return new, judge(new, active, gathered.judged, self._context.settings, self._listener)

    def _begin(self, step: RetrainingStep) -> None:
        retrainings.change(self._context.db, self._held, step=step)

    def _trained(self, active: Bundle) -> Bundle:
        """Return the new version in float32; train it unless an earlier process has published it."""
        self._begin(RetrainingStep.TRAINING)
        if (published := self._published(Precision.FLOAT32)) is not None:
            return published
        checkpoints = self._folder / "checkpoints"
        request = Request(
            name=active.name,
            models_dir=self._models_dir,
            command=self._command,
            resume=(checkpoints / "state.json").is_file(),
            photos=False,
            names=active.names,
            checkpoints=checkpoints,
        )
        recipe = recipe_of(active, self._models_dir, self._folders(active))
        new = train(request, recipe, self._listener)
        return model_store.send_as_next(self._context.settings, new)

    def _quantized(self, new: Bundle, active: Bundle) -> Bundle:
        """Return the new version in int8; the one in float32 if int8 loses too much."""
        self._begin(RetrainingStep.QUANTIZING)
        if (published := self._published(Precision.INT8)) is not None:
            return published
        scratch = self._folder / "pixels"
        data = load_data(new, self._folders(active), self._listener, scratch)
        try:
            final = quantize(new, data, self._models_dir, self._command, self._listener, photos=False)
        except RefusedError as fault:
            self._listener.warn(str(fault))
            return new
        else:
            return model_store.send_as_next(self._context.settings, final)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _published(self, precision: Precision) -> Bundle | None:
        """Return the bundle that this retraining has published already."""
        for version in reversed(versions_of(self._models_dir, self._row.name)):
            try:
                bundle = find_bundle(self._models_dir, f"{self._row.name}/{version}")
            except ConfigFault:  # another broken bundle is no obstacle
                continue
            if bundle.data.get("retraining") == self._row.uid and bundle.precision is precision:
                return model_store.send_as_next(self._context.settings, bundle)
        return None

    def _folders(self, bundle: Bundle) -> PhotoFolders:
        return training_folders(bundle, self._folder, self._models_dir, self._row.uid, self._row.data)

    @property
    def _command(self) -> str:
        return f"returns-pipeline models retrain {self._row.name}"
