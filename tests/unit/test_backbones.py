"""Converted backbones give the features of the originals, and their files cannot execute code."""

import os
import pickle
from pathlib import Path

import keras
import numpy as np
import pytest

from returns_pipeline.classify.runtimes import keras_archive
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.networks import efficientnet_lite
from returns_pipeline.training.networks.keras_backbones import _preprocessed, keras_backbone
from returns_pipeline.training.networks.levels import pooled_levels
from returns_pipeline.training.networks.torch_weights import read_state_dict

#: For each variant, PyTorch's features of `gradient_image`, averaged over all positions, float32 [1280]. Made
#: with the packages efficientnet-lite-pytorch 0.1.0 and torch.
FEATURES = Path(__file__).parents[1] / "data" / "efficientnet-lite-features.npz"


def gradient_image(side: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return one image with a gradient in each of two channels and stripes in the third."""
    rows, columns = np.mgrid[0:side, 0:side]
    stripes = (rows + columns) * 7 % 256
    return np.stack([rows * 255 // side, columns * 255 // side, stripes], -1).astype(np.float32)[None]


@pytest.mark.parametrize("name", efficientnet_lite.VARIANTS)
def test_a_converted_backbone_gives_pytorchs_features(name: str) -> None:
    """Keras' features with the converted weights equal those of PyTorch to 1e-3."""
    side = efficientnet_lite.VARIANTS[name].side
    features = efficientnet_lite.backbone(name, side).predict(gradient_image(side), verbose=0)
    assert features.shape == (1, -(-side // 32), -(-side // 32), 1280)
    assert np.abs(features.mean(axis=(0, 1, 2)) - np.load(FEATURES)[name]).max() < 1e-3


class Hostile:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Return the command."""
        return os.system, ("touch hostile",)


@pytest.mark.parametrize("content", [pickle.dumps(Hostile()), b"", b"PK\x03\x04", pickle.dumps(7)])
def test_a_file_that_is_not_a_state_dict_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """No code in a file is executed, and the message names the file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ConfigFault, match=r"weights\.pth cannot be read"):
        read_state_dict(path)
    assert [each.name for each in tmp_path.iterdir()] == ["weights.pth"]


def test_a_backbone_of_keras_is_one_graph_with_its_own_preprocessing(tmp_path: Path) -> None:
    """The graph gives what the network gives for preprocessed pixels, and bundles may have it."""
    size = ImageInput(64, 64, 3)
    keras.utils.set_random_seed(0)
    backbone = keras_backbone("MobileNetV3Small", size, "random")
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=size.shape)
    network.save_weights(tmp_path / "some.weights.h5")
    again = keras_backbone("MobileNetV3Small", size, str(tmp_path / "some.weights.h5"))
    pixels = gradient_image(64)
    for each in (backbone, again):
        assert np.allclose(each(pixels), network(pixels), atol=1e-6)
        assert not any(isinstance(layer, keras.Model) for layer in each.layers)
    backbone.save(tmp_path / "model.keras")
    keras_archive.require_safe(tmp_path / "model.keras")


def test_preprocessing_becomes_a_matrix_of_the_channels() -> None:
    """What Keras' ResNet50 subtracts, swaps and scales is a convolution; what does nothing is left out."""
    pixels = gradient_image(8)
    entered = keras.Input((8, 8, 3))
    found = keras.Model(entered, _preprocessed(keras.applications.resnet.preprocess_input, entered))
    assert np.allclose(found(pixels), keras.applications.resnet.preprocess_input(pixels.copy()), atol=1e-3)
    assert _preprocessed(keras.applications.convnext.preprocess_input, entered) is entered


def test_weights_that_are_missing_are_named_with_what_to_do(tmp_path: Path) -> None:
    """An unknown network, a missing file and another network's file are refused with advice."""
    size = ImageInput(64, 64, 3)
    with pytest.raises(ConfigFault, match="no network 'ResNet51'"):
        keras_backbone("ResNet51", size)
    with pytest.raises(ConfigFault, match="no file"):
        keras_backbone("MobileNetV2", size, str(tmp_path / "none.h5"))
    (tmp_path / "other.h5").write_bytes(b"other")
    with pytest.raises(ConfigFault, match="cannot be made with the weights"):
        keras_backbone("MobileNetV3Small", size, str(tmp_path / "other.h5"))


def test_features_of_levels_say_in_which_third_something_is(tmp_path: Path) -> None:
    """What is at the top is in the first third, and a bundle may have the network."""
    side = 96
    pixels = keras.Input((side, side, 3))
    network = keras.Model(
        pixels, pooled_levels(efficientnet_lite.backbone("efficientnet-lite0", side), pixels)
    )
    network.save(tmp_path / "model.keras")
    keras_archive.require_safe(tmp_path / "model.keras")
    photo = np.full((1, side, side, 3), 127, np.float32)
    photo[:, :32] += np.random.default_rng(0).normal(0, 60, (32, side, 3))
    upright, turned = (network.predict(each, verbose=0)[0] for each in (photo, photo[:, ::-1, ::-1]))
    first, second = (each.reshape(3, -1) for each in (upright, turned))
    assert np.linalg.norm(first - second[::-1]) < 0.7 * np.linalg.norm(first - second)
