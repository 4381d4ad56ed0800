"""Turns a trained network into a published bundle: calibrates, exports, judges, writes the report."""

import importlib
import importlib.metadata
import platform
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.confidence import review_thresholds, tempered
from returns_pipeline.classify.publishing import draft_folder, publish
from returns_pipeline.classify.runtimes.openvino_runtime import LEAST_AGREEMENT
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.evaluation.verdicts import with_rates
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.pipeline import export
from returns_pipeline.training.pipeline.calibration import calibrate
from returns_pipeline.training.pipeline.familiarity import with_familiarity
from returns_pipeline.training.pipeline.int8_export import spread
from returns_pipeline.training.pipeline.recipe import Fitted, Recipe, Request
from returns_pipeline.training.report.evaluation_report import (
    REVIEW_THRESHOLD,
    ReportContent,
    write_report,
)
from returns_pipeline.training.report.photo_grid import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 64
#: The export is compared with Keras on at least this many images, if there are so many; on fewer where Keras
#: has not predicted any yet.
_COMPARED_IMAGES, _COMPARED_ANEW = 4096, 512


def make_bundle(
    request: Request, recipe: Recipe, data: TrainingData, fitted: Fitted, seconds: float
) -> Bundle:
    """Write and publish a bundle with its report; return it with its final folder.

    `seconds` is how long the training took. Raises RefusedError, and leaves nothing behind, when the export
    does not predict the labels that Keras predicts.
    """
    predictions = dict(fitted.predictions) or {
        name: predict(fitted.model, part.pixels) for name, part in data.parts.items() if name != "train"
    }
    calibration = calibrate(data.parts["validation"].truth, predictions["validation"], len(data.labels.names))
    with draft_folder(request.models_dir) as folder:
        bundle = Bundle(
            folder=folder,
            name=request.name,
            version=0,
            labels=data.labels.names,
            main_categories=data.labels.mains,
            input=ImageInput(*data.judged.pixels.shape[1:]),
            sha256={},
            recipe=recipe.name,
            command=request.command,
            data=dict(data.description),
            metrics=recipe.metrics(data, fitted, predictions, calibration.temperature),
            temperature=calibration.temperature,
            reliability=calibration.precision_steps,
            names={language: dict(names) for language, names in request.names.items()},
        )
        served = tempered(predictions["validation"], bundle.temperature)
        bundle = with_rates(bundle, data.parts["validation"].truth, served)
        bundle, agreement = _export(bundle, data, fitted, predictions)
        bundle = replace(bundle, metrics={**bundle.metrics, "openvino_agreement": agreement})
        bundle = with_familiarity(bundle, data)
        content = _report_content(request, bundle, data, fitted, predictions[data.judged_on], seconds)
        write_report(folder / "report", content)
        return publish(bundle, request.models_dir)


def predict(model: Any, pixels: "NDArray[np.uint8]") -> Any:
    """Return predictions for uint8 [n, h, w, c]: float32 [n, labels], or a dict of these by output."""
    batches = [
        model.predict_on_batch(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)
    ]
    if isinstance(batches[0], dict):
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return np.concatenate(batches)


def _export(
    bundle: Bundle, data: TrainingData, fitted: Fitted, predictions: "dict[str, NDArray[np.float32]]"
) -> tuple[Bundle, float]:
    """Export the model; return the bundle with its files, and the agreement of the export with Keras.

    A large model gets float16 weights if they change no more labels than an export may change.
    """
    pixels, expected = _compared(data, fitted, predictions)
    if fitted.model.count_params() > export.LARGE:
        half = replace(bundle, sha256=export.write_model(fitted.model, bundle.folder, halve=True))
        if (agreement := export.agreement(half, pixels, expected)) >= LEAST_AGREEMENT:
            return half, agreement
    full = replace(bundle, sha256=export.write_model(fitted.model, bundle.folder))
    return full, export.verify(full, pixels, expected)


def _compared(
    data: TrainingData, fitted: Fitted, predictions: "dict[str, NDArray[np.float32]]"
) -> "tuple[NDArray[np.uint8], NDArray[np.float32]]":
    """Return images to compare the export with Keras on, uint8 [n, h, w, c], and what Keras predicts."""
    compared = "official" if "official" in data.parts else data.judged_on
    pixels, train = data.parts[compared].pixels, data.parts["train"].pixels
    if fitted.predictions:
        pixels = spread(
            np.concatenate([spread(pixels, _COMPARED_ANEW), spread(train, _COMPARED_ANEW)]), _COMPARED_ANEW
        )
        return pixels, predict(fitted.model, pixels)
    expected = predictions[compared]
    # A small part cannot measure the agreement precisely: training images are added.
    if missing := max(0, min(_COMPARED_IMAGES - len(pixels), len(train))):
        added = spread(train, missing)
        expected = np.concatenate([expected, predict(fitted.model, added)])
        pixels = np.concatenate([pixels, added])
    return pixels, expected


def _report_content(
    request: Request,
    bundle: Bundle,
    data: TrainingData,
    fitted: Fitted,
    predictions: "NDArray[np.float32]",
    seconds: float,
) -> ReportContent:
    train, labels = data.parts["train"], len(bundle.labels)
    return ReportContent(
        title=f"Training of {request.name}",
        command=request.command,
        labels=bundle.labels,
        mains=data.labels.distinct_mains,
        metrics=bundle.metrics,
        environment=_environment(seconds),
        history=fitted.history,
        counts={name: np.bincount(part.truth, minlength=labels) for name, part in data.parts.items()},
        training=Sample(train.pixels, train.truth, inverted=data.inverted),
        judged=Sample(data.judged.pixels, data.judged.truth, inverted=data.inverted),
        predictions=tempered(predictions, bundle.temperature),
        uncalibrated=predictions,
        thresholds=review_thresholds(bundle, REVIEW_THRESHOLD),
        rule=str(REVIEW_THRESHOLD),
        with_photos=request.photos,
        seed=request.seed,
    )


def _environment(seconds: float) -> dict[str, str | float]:
    """Return the versions that decide the numbers of a training, and how long it took."""
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in ("keras", "numpy", "openvino")},
        backend: importlib.import_module(backend).__version__,
        "training_seconds": round(seconds, 1),
    }
