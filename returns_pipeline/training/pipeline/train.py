"""Trains a model by a recipe and publishes its bundle: the one way through for all recipes."""

import shutil
import time
import uuid

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.records.models import Precision
from returns_pipeline.training.labelled.category_names import require_labels
from returns_pipeline.training.pipeline.make_bundle import make_bundle
from returns_pipeline.training.pipeline.quantize import quantize
from returns_pipeline.training.pipeline.recipe import Listener, Recipe, Request


def train(request: Request, recipe: Recipe, listener: Listener) -> Bundle:
    """Train, judge, export and publish one bundle; return it with its final folder.

    With the precision int8, quantize it, and return the version in int8. The one in float32 stays.

    An interrupted training leaves at most its checkpoints. Raises RefusedError or ConfigFault when the data
    is not available or not fit for training, when a category that has a name is not in the data, when a
    package is missing, when the export does not predict what Keras predicts, or when the version in int8
    loses too much.
    """
    scratch = request.models_dir / f".pixels-{uuid.uuid4().hex}"
    try:
        data = recipe.load(request, listener, scratch)
        require_labels(request.names, data.labels)
        listener.stage("Training")
        began = time.perf_counter()
        fitted = recipe.fit(request, data, listener)
        seconds = time.perf_counter() - began
        listener.stage("Judging and exporting")
        bundle = make_bundle(request, recipe, data, fitted, seconds)
        if fitted.checkpoints is not None:
            fitted.checkpoints.discard()
        if request.precision is Precision.INT8:
            bundle = quantize(
                bundle, data, request.models_dir, request.command, listener, photos=request.photos
            )
        return bundle
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
