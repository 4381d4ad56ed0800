"""A bundle in float32 becomes one in int8 that classifies, explains and embeds as before."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify.bundle import (
    KERAS_MODEL,
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    Bundle,
    file_sha256,
    load_bundle,
)
from returns_pipeline.classify.runtimes import int8_proof
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier, import_openvino
from returns_pipeline.classify.runtimes.registry import explainer_of
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput, Precision
from returns_pipeline.report.summary import label_in_name
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.labelled.parts import Part, TrainingData, describe
from returns_pipeline.training.pipeline.quantize import quantize
from returns_pipeline.training.recipes.bundle_data import load_data
from tests.support import SAMPLES, Installation

MODELS = PROJECT_ROOT / "models"


class Listener:
    """Remembers the stages and the warnings."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.warnings: list[str] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show nothing."""

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@pytest.mark.slow
def test_a_model_is_quantized_promoted_and_explained(sqlite_home: Installation, tmp_path: Path) -> None:
    """The command writes the next version; it can be promoted, and its maps are those of float32."""
    photos = tmp_path / "photos"
    for path in sorted(SAMPLES.glob("image_*_label_*.png")):
        (photos / str(label_in_name(path.name))).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, photos / str(label_in_name(path.name)))
    models = sqlite_home.settings.models_dir
    shutil.copytree(MODELS / "fashion-mnist" / "2", models / "fashion-mnist" / "2")

    asked = (
        "models",
        "quantize",
        "fashion-mnist/2",
        "--data",
        str(photos),
        "--validation",
        "0.5",
        "--force",
        "--no-photos",
    )
    done = sqlite_home.run(*asked, timeout=600)

    assert done.returncode == 0, done.stderr[-2000:]
    source, bundle = (load_bundle(models / "fashion-mnist" / version) for version in ("2", "3"))
    assert (source.precision, bundle.precision) == (Precision.FLOAT32, Precision.INT8)
    assert bundle.sha256[KERAS_MODEL] == source.sha256[KERAS_MODEL]
    assert bundle.file(OPENVINO_WEIGHTS).stat().st_size < source.file(OPENVINO_WEIGHTS).stat().st_size / 2
    assert bundle.data["quantized_from"] == "fashion-mnist/2"
    assert (bundle.temperature, bundle.reliability) != (source.temperature, source.reliability)
    assert (bundle.folder / "report" / "index.html").is_file()
    assert not list(models.glob(".*"))
    promoted = sqlite_home.run("models", "promote", "fashion-mnist/3", RETURNS_RUNTIME="openvino")
    assert "fashion-mnist/3 is active" in promoted.stdout, promoted.stderr
    _assert_the_same_maps_and_features(source, bundle)


def _assert_the_same_maps_and_features(source: Bundle, bundle: Bundle) -> None:
    paths = sorted(SAMPLES.glob("image_*_label_*.png"))[:20]
    pixels = np.stack([np.asarray(Image.open(path))[..., np.newaxis] for path in paths])
    classifiers = [OpenVINOClassifier(each) for each in (source, bundle)]
    before, after = (each.predict(pixels) for each in classifiers)
    assert before.features is not None
    assert after.features is not None
    for one, other in zip(before.features, after.features, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.98
    explainers = [explainer_of(each) for each in classifiers]
    for image, label in zip(pixels, before.probabilities.argmax(axis=1).tolist(), strict=True):
        one, other = (each.gradcam(image, label).heat for each in explainers if each is not None)
        assert one.shape == other.shape
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9 or one.std() == 0


def _fragile(folder: Path) -> Bundle:
    """Write a bundle of a network in which a quiet channel beside a loud one decides the label.

    One range for both channels leaves nothing of the quiet one in 8 bits.
    """
    openvino = import_openvino()
    opset = openvino.opset13
    pixels = opset.parameter([-1, 8, 8, 1], openvino.Type.u8, "pixels")
    values = opset.transpose(opset.convert(pixels, openvino.Type.f32), opset.constant([0, 3, 1, 2]))
    one_by_one = {"strides": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0], "dilations": [1, 1]}
    loud = np.array([1000, 1 / 255], np.float32).reshape(2, 1, 1, 1)
    both = opset.relu(opset.convolution(values, opset.constant(loud), **one_by_one))
    quiet = np.array([[0, 40], [0, -40]], np.float32).reshape(2, 2, 1, 1)
    compared = opset.convolution(both, opset.constant(quiet), **one_by_one)
    middle = np.array([-20, 20], np.float32).reshape(1, 2, 1, 1)
    scores = opset.reduce_mean(opset.add(compared, opset.constant(middle)), opset.constant([2, 3]))
    (folder / "openvino").mkdir(parents=True)
    openvino.save_model(openvino.Model([opset.softmax(scores, 1)], [pixels]), folder / OPENVINO_MODEL, False)
    files = {name: file_sha256(folder / name) for name in (OPENVINO_MODEL, OPENVINO_WEIGHTS)}
    labels = ("bright", "dark")
    return Bundle(folder, "fragile", 1, labels, labels, ImageInput(8, 8, 1), files, "test", "test")


def _brightness(count: int) -> TrainingData:
    """Return images of one brightness each, from dark to bright."""
    levels = np.linspace(0, 255, count).round().astype(np.uint8)
    pixels = np.tile(levels[:, None, None, None], (1, 8, 8, 1))
    parts = {name: Part(pixels, (levels < 128).astype(np.int64), name) for name in ("train", "validation")}
    return TrainingData(Labels(("bright", "dark"), ("bright", "dark")), parts, describe(parts, 0, {}))


@pytest.mark.slow
def test_accuracy_control_saves_what_the_plain_way_loses(tmp_path: Path) -> None:
    """The operation that cannot be quantized stays in float32, and the version predicts every label."""
    source = _fragile(tmp_path / "fragile" / "1")
    listener = Listener()
    bundle = quantize(source, _brightness(100), tmp_path, "test", listener, photos=False)
    assert "Quantizing with accuracy control" in listener.stages
    assert "predicts the label of float32" in listener.warnings[0]
    assert bundle.data["accuracy_control"] is True
    assert bundle.metrics["int8_agreement"] >= int8_proof.LEAST_AGREEMENT
    assert (bundle.version, bundle.metrics["accuracy"]) == (2, 1.0)


def test_what_cannot_be_quantized_is_refused(tmp_path: Path) -> None:
    """A version in int8, one without an export, and a photo model without its photos: nothing is written."""
    source, data = load_bundle(MODELS / "clothing" / "1"), _brightness(4)
    for bundle, reason in (
        (replace(source, precision=Precision.INT8), "is in int8 already"),
        (replace(source, sha256={}), "has no OpenVINO export"),
    ):
        with pytest.raises(RefusedError, match=reason):
            quantize(bundle, data, tmp_path, "test", Listener())
    with pytest.raises(RefusedError, match="photos, which are needed again"):
        load_data(source, None, Listener(), tmp_path)
    assert not list(tmp_path.iterdir())
