"""Writes an OpenVINO export in int8 with NNCF, post-training quantization."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rich import get_console

from returns_pipeline.classify.runtimes.int8_proof import LEAST_AGREEMENT
from returns_pipeline.classify.runtimes.openvino_runtime import import_openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)

#: Photos from which the ranges of the activations are learned. NNCF's own default.
MOST_CALIBRATING = 300
#: With accuracy control, the share of photos that may get another label: half of what a promotion allows.
_MOST_CHANGED = (1 - LEAST_AGREEMENT) / 2

#: Return the share of photos for which a compiled model predicts the label that it should.
Score = Callable[[Any], float]


def write_int8(
    source: Path, target: Path, calibrating: "NDArray[np.uint8]", control: Score | None = None
) -> None:
    """Quantize the export `source` to `target`, both a model.xml with its model.bin beside it.

    `calibrating` uint8 [n, h, w, c] are training photos. With `control`, the operations that cost most labels
    stay in float32, until the score has fallen by no more than allowed. This takes minutes.
    """
    openvino = import_openvino()  # before NNCF imports it, without telemetry
    import nncf

    nncf.set_log_level(logging.ERROR)
    get_console().quiet = True  # NNCF's progress bars would break those of the command
    model = openvino.Core().read_model(source)
    photos = nncf.Dataset([photo[np.newaxis] for photo in spread(calibrating, MOST_CALIBRATING)])
    options = {
        "subset_size": MOST_CALIBRATING,
        # Weights of 7 bits: sums of two products then fit the 16 bits of processors without VNNI.
        "advanced_parameters": nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
    }
    if control is None:
        quantized = nncf.quantize(model, photos, **options)
    else:
        options["advanced_quantization_parameters"] = options.pop("advanced_parameters")
        quantized = nncf.quantize_with_accuracy_control(
            model,
            photos,
            photos,
            lambda compiled, _: (control(compiled), None),
            max_drop=_MOST_CHANGED,
            **options,
        )
    target.parent.mkdir(exist_ok=True)
    openvino.save_model(quantized, target, compress_to_fp16=False)


def spread(images: "NDArray[Value]", most: int) -> "NDArray[Value]":
    """Return at most so many rows, [n, ...], evenly spread, because images are ordered by label."""
    if len(images) <= most:
        return images
    found: NDArray[Value] = images[np.linspace(0, len(images) - 1, most).astype(int)]
    return found
