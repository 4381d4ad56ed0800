"""Tries one backbone: a linear classifier on its features, judged, exported and timed."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, Bundle, file_sha256
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.errors import ConfigFault, PipelineError
from returns_pipeline.records.models import ImageInput, Precision
from returns_pipeline.records.text import printable
from returns_pipeline.training.evaluation.comparison import wilson
from returns_pipeline.training.features.classifier import fit_classifier
from returns_pipeline.training.features.compute import features_of, open_cache
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.pipeline.export import LARGE, write_model
from returns_pipeline.training.pipeline.int8_export import spread, write_int8

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.training.labelled.parts import TrainingData
    from returns_pipeline.training.pipeline.recipe import Listener

#: Photos on which a model is timed; the least of so many turns counts.
_TIMED, _TURNS = 16, 3
#: Photos from which int8 learns its ranges. They decide how right it is, which is not measured here.
_CALIBRATING = 32
_LONGEST_REASON = 300


class Candidate(NamedTuple):
    """A backbone to try, and the size of its images.

    `build` returns a Keras network from uint8 [n, h, w, c] to float32 [n, f]. It raises PipelineError if the
    backbone is not available.
    """

    backbone: str
    size: ImageInput
    build: Callable[[], Any]


class Tried(NamedTuple):
    """What a trial has measured.

    `right` bool [n]: for which validation photos the label is right, the same photos for all backbones.
    `milliseconds` of CPU for a photo on one core, in float32 and, if it was measured, in int8. `file_bytes`:
    the files of the model in float32. `seconds`: how long the trial took.
    """

    backbone: str
    size: ImageInput
    parameters: int
    right: "NDArray[np.bool_]"
    milliseconds: float
    int8_milliseconds: float | None
    file_bytes: int
    seconds: float

    @property
    def accuracy(self) -> float:
        """The share of validation photos whose label is right."""
        return float(self.right.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Wilson)."""
        return wilson(self.accuracy, len(self.right))

    @property
    def cost(self) -> float:
        """The milliseconds for a photo, in int8 if they were measured."""
        return self.milliseconds if self.int8_milliseconds is None else self.int8_milliseconds


def try_backbone(
    candidate: Candidate,
    data: "TrainingData",
    seed: int,
    folder: Path,
    listener: "Listener",
    *,
    in_int8: bool,
) -> Tried:
    """Try a backbone on photos of its size; `folder` is empty and gets the files of the model.

    `seed` decides the choice of the regularisation. Raises PipelineError if the backbone is not available, or
    if it cannot be exported.
    """
    try:
        return _tried(candidate, data, seed, folder, listener, in_int8=in_int8)
    except PipelineError:
        raise
    except Exception as error:  # Keras, OpenVINO and NNCF raise errors of many kinds for layers they lack
        raise ConfigFault(
            "The backbone {name} cannot be tried: {reason}.",
            name=printable(candidate.backbone),
            reason=printable(str(error).strip().split("\n")[0][:_LONGEST_REASON]),
        ) from error


def _tried(
    candidate: Candidate,
    data: "TrainingData",
    seed: int,
    folder: Path,
    listener: "Listener",
    *,
    in_int8: bool,
) -> Tried:
    began = time.perf_counter()
    train, validation = data.parts["train"], data.parts["validation"]
    listener.stage(f"Computing the features of {candidate.backbone}")
    network = candidate.build()
    frozen = FrozenNetwork(network)
    cache = open_cache(frozen)
    features, judged = (features_of(frozen, part.pixels, cache, listener) for part in (train, validation))
    classifier = fit_classifier(network, features, train.truth, len(data.labels.names), seed, listener)
    predicted = classifier.regression.probabilities(judged).argmax(axis=1)
    listener.stage(f"Exporting {candidate.backbone}")
    bundle = _written(classifier.model, candidate, data, folder / "float32")
    timed = spread(validation.pixels, _TIMED)
    milliseconds = _milliseconds(bundle, timed)
    int8_milliseconds = None
    if in_int8:
        listener.stage(f"Quantizing {candidate.backbone}")
        int8_milliseconds = _milliseconds(_in_int8(bundle, train.pixels, folder / "int8"), timed)
    return Tried(
        candidate.backbone,
        candidate.size,
        classifier.model.count_params(),
        predicted == validation.truth,
        milliseconds,
        int8_milliseconds,
        sum((bundle.folder / name).stat().st_size for name in bundle.sha256),
        time.perf_counter() - began,
    )


def _written(model: Any, candidate: Candidate, data: "TrainingData", folder: Path) -> Bundle:
    """Write the files of a bundle, as a training does; return the bundle, which is not published."""
    folder.mkdir(parents=True)
    return Bundle(
        folder=folder,
        name="trial",
        version=1,
        labels=data.labels.names,
        main_categories=data.labels.mains,
        input=candidate.size,
        sha256=write_model(model, folder, halve=model.count_params() > LARGE),
        recipe="",
        command="",
    )


def _in_int8(bundle: Bundle, calibrating: "NDArray[np.uint8]", folder: Path) -> Bundle:
    folder.mkdir()
    write_int8(bundle.file(OPENVINO_MODEL), folder / OPENVINO_MODEL, spread(calibrating, _CALIBRATING))
    files = (OPENVINO_MODEL, OPENVINO_WEIGHTS)
    digests = {name: file_sha256(folder / name) for name in files}
    return replace(bundle, folder=folder, sha256=digests, precision=Precision.INT8, familiarity=None)


def _milliseconds(bundle: Bundle, pixels: "NDArray[np.uint8]") -> float:
    """Return the CPU time of a photo with one thread, by the code of the workers."""
    classifier = OpenVINOClassifier(bundle)
    classifier.predict(pixels)
    times = []
    for _ in range(_TURNS):
        began = time.process_time()
        classifier.predict(pixels)
        times.append((time.process_time() - began) * 1000 / len(pixels))
    return min(times)
