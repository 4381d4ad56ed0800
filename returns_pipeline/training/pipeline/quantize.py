"""Quantizes a bundle: writes its next version in int8 if that predicts what float32 predicts."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import (
    KERAS_MODEL,
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    Bundle,
    file_sha256,
)
from returns_pipeline.classify.confidence import review_thresholds, tempered
from returns_pipeline.classify.publishing import draft_folder, publish
from returns_pipeline.classify.runtimes.int8_proof import Int8Proof
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import Precision
from returns_pipeline.training.evaluation.comparison import mcnemar
from returns_pipeline.training.evaluation.metrics import accuracy, cross_entropy
from returns_pipeline.training.evaluation.verdicts import with_rates
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.pipeline.bundle_metrics import judged_metrics
from returns_pipeline.training.pipeline.calibration import calibrate
from returns_pipeline.training.pipeline.familiarity import with_familiarity
from returns_pipeline.training.pipeline.int8_export import MOST_CALIBRATING, Score, spread, write_int8
from returns_pipeline.training.pipeline.processors import WITHOUT_VNNI, labels_with, probabilities_of
from returns_pipeline.training.report.evaluation_report import (
    REVIEW_THRESHOLD,
    ReportContent,
    write_report,
)
from returns_pipeline.training.report.photo_grid import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.recipe import Listener

#: Most validation photos on which the processors are compared, and on which accuracy control scores.
_MOST_COMPARED = 2_000
#: Metrics of the float32 version that hold for int8 too.
_KEPT_METRICS = ("parameters", "epochs")


def require_quantizable(bundle: Bundle) -> None:
    """Raise RefusedError for a bundle without an export in float32."""
    if bundle.precision is not Precision.FLOAT32:
        raise RefusedError(
            "{bundle_ref} is in {precision} already.",
            "Quantize its float32 version.",
            bundle_ref=bundle.ref,
            precision=str(bundle.precision),
        )
    if OPENVINO_MODEL not in bundle.sha256:
        raise RefusedError(
            "{bundle_ref} has no OpenVINO export, so it cannot be quantized.",
            "Train the model again: `returns-pipeline train` writes one.",
            bundle_ref=bundle.ref,
        )


def quantize(
    bundle: Bundle,
    data: TrainingData,
    models_dir: Path,
    command: str,
    listener: "Listener",
    *,
    photos: bool = True,
) -> Bundle:
    """Publish the next version of a float32 bundle, in int8; return it with its final folder.

    `data` are the photos of the training, with the bundle's labels in its order. The export is quantized on
    training photos and compared with float32 on validation photos. If it loses too much, it is quantized
    again, with accuracy control. `command` is the command line that repeats this. Without `photos` the report
    has no photos. Raises RefusedError, and leaves nothing behind, if the export still loses too much.
    """
    require_quantizable(bundle)
    bundle.file(OPENVINO_WEIGHTS)
    source, validation = bundle.file(OPENVINO_MODEL), data.parts["validation"]
    listener.stage("Predicting in float32")
    expected = probabilities_of(bundle, validation.pixels)
    score = _score(spread(validation.pixels, _MOST_COMPARED), spread(expected, _MOST_COMPARED))
    with draft_folder(models_dir) as folder:
        if KERAS_MODEL in bundle.sha256:
            shutil.copyfile(bundle.file(KERAS_MODEL), folder / KERAS_MODEL)
        for stage, control in (("Quantizing", None), ("Quantizing with accuracy control", score)):
            listener.stage(stage)
            write_int8(source, folder / OPENVINO_MODEL, data.parts["train"].pixels, control)
            draft = _draft(bundle, folder, command)
            listener.stage("Comparing with float32")
            predicted = probabilities_of(draft, validation.pixels)
            proof = _proof(draft, data, expected, predicted)
            fault = proof.fault(draft)
            if fault is None:
                break
            listener.warn(fault.message)
        else:
            raise RefusedError(
                "{bundle_ref} loses too much in int8, even with accuracy control: {reason}",
                "No int8 version was written. Use the float32 version.",
                bundle_ref=bundle.ref,
                reason=fault.message if fault else "",
            )
        listener.stage("Judging")
        predictions = {"validation": predicted} | {
            name: probabilities_of(draft, part.pixels)
            for name, part in data.parts.items()
            if name not in {"train", "validation"}
        }
        final = _judged(draft, data, predictions, proof, controlled=control is not None)
        final = with_familiarity(final, data)
        write_report(folder / "report", _report(final, data, predictions[data.judged_on], photos=photos))
        return publish(final, models_dir)


def _score(pixels: "NDArray[np.uint8]", expected: "NDArray[np.float32]") -> Score:
    """Return how often a compiled model predicts the labels of `expected`, as a function of the model."""
    labels = expected.argmax(axis=1)

    def score(compiled: "Any") -> float:
        right = [
            compiled(photo[np.newaxis])[compiled.output(0)].argmax() == label
            for photo, label in zip(pixels, labels, strict=True)
        ]
        return float(np.mean(right))

    return score


def _draft(bundle: Bundle, folder: Path, command: str) -> Bundle:
    files = [name for name in (KERAS_MODEL, OPENVINO_MODEL, OPENVINO_WEIGHTS) if name in bundle.sha256]
    draft = replace(
        bundle,
        folder=folder,
        sha256={name: file_sha256(folder / name) for name in files},
        command=command,
        precision=Precision.INT8,
        familiarity=None,
    )
    draft.save()  # other processes read it
    return draft


def _proof(
    draft: Bundle, data: TrainingData, expected: "NDArray[np.float32]", predicted: "NDArray[np.float32]"
) -> Int8Proof:
    """Compare int8 with float32 on the validation photos, and processors with one another."""
    validation = data.parts["validation"]
    before, after = (each.argmax(axis=1) for each in (expected, predicted))
    only_float32 = int(((before == validation.truth) & (after != validation.truth)).sum())
    only_int8 = int(((before != validation.truth) & (after == validation.truth)).sum())
    pixels, labels = spread(validation.pixels, _MOST_COMPARED), spread(after, _MOST_COMPARED)
    shares = [float((labels_with(each, draft, pixels) == labels).mean()) for each in WITHOUT_VNNI]
    return Int8Proof(
        agreement=float((before == after).mean()),
        processors=min(shares),
        only_float32=only_float32,
        only_int8=only_int8,
        p=mcnemar(only_float32, only_int8),
    )


def _judged(
    draft: Bundle,
    data: TrainingData,
    predictions: "Mapping[str, NDArray[np.float32]]",
    proof: Int8Proof,
    *,
    controlled: bool,
) -> Bundle:
    """Return the bundle with the calibration, the rates and the metrics of its own predictions."""
    validation = data.parts["validation"]
    calibration = calibrate(validation.truth, predictions["validation"], len(draft.labels))
    served = {name: tempered(each, calibration.temperature) for name, each in predictions.items()}
    metrics = judged_metrics(data, served[data.judged_on])
    if "official" in served:
        truth = data.parts["official"].truth
        metrics |= {
            "official_accuracy": accuracy(truth, served["official"]),
            "official_loss": cross_entropy(truth, served["official"]),
            "official_n": len(truth),
        }
    metrics |= {name: draft.metrics[name] for name in _KEPT_METRICS if name in draft.metrics}
    source = {
        "knows": draft.data.get("knows"),
        "quantized_from": str(draft.ref),
        "calibrating": min(MOST_CALIBRATING, len(data.parts["train"].truth)),
        "accuracy_control": controlled,
    }
    final = replace(
        draft,
        data={**data.description, **{name: value for name, value in source.items() if value is not None}},
        metrics={**metrics, **proof.metrics},
        temperature=calibration.temperature,
        reliability=calibration.precision_steps,
    )
    return with_rates(final, validation.truth, served["validation"])


def _report(
    bundle: Bundle, data: TrainingData, predictions: "NDArray[np.float32]", *, photos: bool
) -> ReportContent:
    labels = len(bundle.labels)
    return ReportContent(
        title=f"{bundle.name} in {bundle.precision}",
        command=bundle.command,
        labels=bundle.labels,
        mains=data.labels.distinct_mains,
        metrics=bundle.metrics,
        counts={name: np.bincount(part.truth, minlength=labels) for name, part in data.parts.items()},
        judged=Sample(data.judged.pixels, data.judged.truth, inverted=data.inverted),
        predictions=tempered(predictions, bundle.temperature),
        uncalibrated=predictions,
        thresholds=review_thresholds(bundle, REVIEW_THRESHOLD),
        rule=str(REVIEW_THRESHOLD),
        with_photos=photos,
    )
