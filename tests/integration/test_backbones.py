"""A backbone of Keras becomes a bundle that is served; several are compared before one is trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import KERAS_MODEL, OPENVINO_WEIGHTS
from returns_pipeline.classify.runtimes.openvino_runtime import LEAST_AGREEMENT, OpenVINOClassifier
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled.folders import read_tree
from returns_pipeline.training.labelled.photo_folders import PhotoFolders
from returns_pipeline.training.labelled.photos import load_pixels
from returns_pipeline.training.pipeline.recipe import Request
from returns_pipeline.training.pipeline.train import train
from returns_pipeline.training.recipes.outfit import Outfit
from returns_pipeline.training.recipes.photo_recipe import PhotoRecipe
from returns_pipeline.training.trials import backbones
from returns_pipeline.training.trials.backbones import Tried
from returns_pipeline.training.trials.choice import choose
from tests.integration.test_recipes import Silent, photos
from tests.support import Installation

keras = pytest.importorskip("keras")

SIZE = ImageInput(64, 64, 3)


def lively(pixels: "np.typing.NDArray[np.uint8]", path: Path) -> Any:
    """Write random weights whose normalisations fit these photos; return the network of Keras.

    With those that Keras draws, a deep network gives the same for all photos.
    """
    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=SIZE.shape)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(preprocessed(pixels), training=True)
    network.save_weights(path)
    return network


def preprocessed(pixels: "np.typing.NDArray[np.uint8]") -> Any:
    """Return what Keras says that the network must be given."""
    return keras.applications.mobilenet_v2.preprocess_input(pixels.astype(np.float32))


def test_pixels_go_through_the_preprocessing_of_the_network(tmp_path: Path) -> None:
    """With a file of weights, the features of raw pixels are those of Keras' network for prepared ones."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, *SIZE.shape), np.uint8)
    weights = tmp_path / "some.weights.h5"
    expected = np.mean(lively(pixels, weights).predict(preprocessed(pixels), verbose=0), axis=(1, 2))
    assert expected.std(axis=0).max() > 0.1
    found = Outfit("keras:MobileNetV2", 64, weights=str(weights)).features().predict(pixels, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_a_backbone_of_keras_is_trained_exported_quantized_and_served(tmp_path: Path) -> None:
    """Workers' code gives the labels of Keras for raw pixels, and runs the same network in int8."""
    root, models, weights = photos(tmp_path / "photos"), tmp_path / "models", tmp_path / "some.weights.h5"
    pixels, _ = load_pixels(read_tree(root, None).parts["all"], SIZE, lambda *_: None)
    lively(pixels, weights)
    network = Outfit("keras:MobileNetV2", 64, 2, 6, weights=str(weights), learning_rate=1e-3)
    request = Request("outfit", models, "train", photos=False)
    bundle = train(request, PhotoRecipe(network, PhotoFolders(root, test=0)), Silent())
    vetting.require_sound(bundle, "openvino")
    served = OpenVINOClassifier(bundle).predict(pixels).probabilities.argmax(axis=1)
    model = keras.saving.load_model(bundle.file(KERAS_MODEL), safe_mode=True, compile=False)
    assert (model.predict(pixels, verbose=0).argmax(axis=1) == served).mean() >= LEAST_AGREEMENT
    assert len(set(served.tolist())) > 1
    in_int8 = backbones._in_int8(bundle, pixels, tmp_path / "int8")
    assert in_int8.file(OPENVINO_WEIGHTS).stat().st_size < bundle.file(OPENVINO_WEIGHTS).stat().st_size
    found = OpenVINOClassifier(in_int8).predict(pixels).probabilities
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-3)


@pytest.mark.slow
def test_backbones_are_compared_and_the_missing_one_is_named(
    sqlite_home: Installation, tmp_path: Path
) -> None:
    """All that can be tried are in one table; the others have a sentence; a command trains the choice."""
    root = photos(tmp_path / "photos")
    done = sqlite_home.run(
        *("train", "outfit", "--data", str(root), "--try", "lite0@32,keras:MobileNetV2@32", "--json"),
        timeout=600,
        # Nothing is downloaded through a proxy that is not there.
        HTTPS_PROXY="http://127.0.0.1:9",
        KERAS_HOME=str(tmp_path / "keras"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    (missing,) = found["missing"]
    assert "The weights of MobileNetV2 are not on this machine" in missing["reason"]
    assert "--weights" in missing["advice"]
    (tried,) = found["backbones"]
    assert (tried["backbone"], tried["input"]["height"]) == ("efficientnet-lite0", 32)
    assert tried["low"] <= tried["accuracy"] <= tried["high"]
    assert tried["accuracy"] > 0.5  # chance is a third
    assert 0 < tried["milliseconds"] < 1000
    assert tried["int8_milliseconds"] is None
    assert tried["bytes"] > 2 * tried["parameters"]
    trained = "--backbone efficientnet-lite0 --side 32 --name NAME"
    assert found["command"] == f"returns-pipeline train outfit --data {root} {trained}"
    assert not list(sqlite_home.settings.models_dir.glob(".*"))


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--try", "lite0,lite9"), "There is no backbone 'efficientnet-lite9'"),
        (("--try", "lite0@10"), "no valid size"),
        ((), "--name"),
        (("--name", "shop", "--json"), "--json needs --try"),
    ],
)
def test_a_trial_is_refused_before_a_photo_is_decoded(
    sqlite_home: Installation, tmp_path: Path, words: tuple[str, ...], fault: str
) -> None:
    """A wrong name, a wrong size and a training without a name are told immediately."""
    done = sqlite_home.run("train", "outfit", "--data", str(photos(tmp_path / "photos", 1)), *words)
    assert done.returncode != 0
    assert fault in done.stderr


def outcome(name: str, right: str, milliseconds: float) -> Tried:
    """Return a backbone that was right where `right` has a 1."""
    return Tried(name, SIZE, 1, np.array([each == "1" for each in right]), milliseconds, None, 1, 1.0)


def test_the_fastest_within_one_standard_error_of_the_best_is_chosen() -> None:
    """On the same photos: two against four is nearly as good, one against five is not."""
    best = outcome("best", "1111100000" + "1" * 30, 20)
    nearly, worse = (
        outcome("nearly", "0000111000" + "1" * 30, 10),
        outcome("worse", "0000010000" + "1" * 30, 5),
    )
    assert [each.backbone for each in choose([nearly, best, worse])] == ["nearly", "best"]
    assert [each.backbone for each in choose([best, worse])] == ["best", "best"]
    slow = outcome("slow", "1111100000" + "1" * 30, 30)
    assert choose([slow, best]).best is best
