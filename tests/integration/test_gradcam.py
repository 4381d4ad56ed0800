"""Explanations: the maps are those of Grad-CAM, although no framework computes a gradient."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.openvino_feature_map import last_feature_map
from returns_pipeline.classify.runtimes.openvino_gradcam import GradCam
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier, import_openvino
from returns_pipeline.classify.runtimes.registry import explainer_of
from returns_pipeline.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "models"
CNNS = ("fashion-mnist/1", "fashion-mnist/2")
#: Equations 1 and 2 of the paper, with TensorFlow's gradients of the score before the softmax.
WITH_GRADIENTS = """
import sys
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf
pixels = np.load(sys.argv[1])
for network, named, made in zip(sys.argv[2::3], sys.argv[3::3], sys.argv[4::3], strict=True):
    model = keras.saving.load_model(network, compile=False)
    last = max(at for at, layer in enumerate(model.layers) if len(layer.output.shape) == 4)
    first = keras.Model(model.inputs, model.layers[last].output)
    *middle, dense = model.layers[last + 1 :]
    maps = []
    for image, label in zip(pixels, np.load(named), strict=True):
        shown = first(image[np.newaxis])
        with tf.GradientTape() as tape:
            tape.watch(shown)
            values = shown
            for layer in middle:
                values = layer(values)
            score = (tf.matmul(values, dense.kernel) + dense.bias)[:, label]
        slopes = tape.gradient(score, shown).numpy()[0].mean(axis=(0, 1))
        maps.append(np.maximum(shown.numpy()[0] @ slopes, 0))
    np.save(made, maps)
"""


def test_maps_equal_those_of_gradients(tmp_path: Path) -> None:
    """On the samples each map of the CPU runtime correlates with TensorFlow's by at least 0.98."""
    paths = sorted((PROJECT_ROOT / "samples").glob("image_*_label_*.png"))[:24]
    pixels = np.stack([np.asarray(Image.open(path))[..., np.newaxis] for path in paths])
    np.save(tmp_path / "pixels.npy", pixels)
    asked: list[Path] = []
    found = {}
    for number, model in enumerate(CNNS):
        classifier = OpenVINOClassifier(load_bundle(MODELS / model))
        labels = classifier.predict(pixels).probabilities.argmax(axis=1)
        made = tmp_path / f"{number}-maps.npy"
        explainer = explainer_of(classifier)
        assert explainer is not None
        found[made] = [explainer.gradcam(*each) for each in zip(pixels, labels.tolist(), strict=True)]
        named = tmp_path / f"{number}-labels.npy"
        np.save(named, labels)
        asked += [MODELS / model / "model.keras", named, made]
    subprocess.run([sys.executable, "-c", WITH_GRADIENTS, tmp_path / "pixels.npy", *asked], check=True)
    for made, maps in found.items():
        compared = 0
        for each, right in zip(maps, np.load(made), strict=True):
            assert each.heat.shape == right.shape
            if right.std() > 0:
                compared += 1
                assert np.corrcoef(each.heat.ravel(), right.ravel())[0, 1] >= 0.98
        assert compared > len(pixels) / 2


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("fashion-mnist/1", (3, 3)),
        ("fashion-mnist/2", (3, 3)),
        ("clothing/1", (8, 8)),
        ("clothing/2", (8, 8)),
    ],
)
def test_each_shipped_model_can_be_explained(model: str, size: tuple[int, int]) -> None:
    """The map has the size of the last feature map; the features are those of the classification."""
    bundle = load_bundle(MODELS / model)
    classifier = OpenVINOClassifier(bundle)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *bundle.input.shape), np.uint8)
    scores = classifier.predict(pixels)
    explainer = explainer_of(classifier)
    assert explainer is not None
    found = explainer.gradcam(pixels[1], int(scores.probabilities[1].argmax()))
    assert found.heat.shape == size
    assert 0 <= found.heat.min() <= found.heat.max() <= 1
    assert scores.features is not None
    assert np.allclose(found.features, scores.features[1], atol=1e-4)


def test_a_network_without_a_feature_map_is_not_explained() -> None:
    """Without a convolution, or with a path around it, no feature map is found and GradCam refuses."""
    openvino = import_openvino()
    opset, size = openvino.opset13, [-1, 1, 8, 8]
    pixels = opset.parameter(size, openvino.Type.f32)
    flat = opset.reshape(pixels, opset.constant([0, 64]), special_zero=True)
    dense = openvino.Model([opset.softmax(flat, 1)], [pixels], "dense")
    assert last_feature_map(dense) is None
    filters = opset.constant(np.ones((1, 1, 3, 3), np.float32))
    convolved = opset.convolution(pixels, filters, [1, 1], [1, 1], [1, 1], [1, 1])
    bypassed = opset.add(
        opset.reduce_mean(convolved, opset.constant([2, 3])), opset.reduce_max(pixels, opset.constant([2, 3]))
    )
    bypass = openvino.Model([opset.softmax(bypassed, 1)], [pixels], "bypass")
    assert last_feature_map(bypass) is None
    with pytest.raises(ValueError, match="convolution"):
        GradCam(openvino, bypass, {})
