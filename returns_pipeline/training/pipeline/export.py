"""Writes the model files of a bundle, and compares the OpenVINO export with Keras."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.classify.bundle import (
    KERAS_MODEL,
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    Bundle,
    file_sha256,
)
from returns_pipeline.classify.runtimes.openvino_runtime import (
    LEAST_AGREEMENT,
    OpenVINOClassifier,
    import_openvino,
)
from returns_pipeline.errors import RefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A network with more parameters is exported with float16 weights, at half the size.
LARGE = 1_000_000


def write_model(model: Any, folder: Path, *, halve: bool = False) -> dict[str, str]:
    """Write model.keras and its OpenVINO export (uint8 input); return the sha256 of each file.

    With `halve` the export stores its weights as float16. The runtime still computes in float32.
    """
    # Imported before Keras imports it, with telemetry to the vendor switched off.
    import_openvino()
    (folder / OPENVINO_MODEL).parent.mkdir(exist_ok=True)
    # Without the optimizer's state, which makes the file three times as large with Adam.
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(folder / KERAS_MODEL)
    bare.export(str(folder / OPENVINO_MODEL), format="openvino", verbose=False)
    if halve:
        halve_weights(folder / OPENVINO_MODEL)
    return {name: file_sha256(folder / name) for name in (KERAS_MODEL, OPENVINO_MODEL, OPENVINO_WEIGHTS)}


def halve_weights(path: Path) -> None:
    """Store the weights of an export as float16, in place. The runtime still computes in float32."""
    openvino = import_openvino()
    draft = path.with_name("draft.xml")
    openvino.save_model(openvino.Core().read_model(path), draft, compress_to_fp16=True)
    draft.replace(path)
    draft.with_suffix(".bin").replace(path.with_suffix(".bin"))


def agreement(bundle: Bundle, pixels: "NDArray[np.uint8]", expected: "NDArray[np.float32]") -> float:
    """Return the share of images for which the export and Keras predict the same label.

    `pixels` uint8 [n, h, w, c], `expected` Keras' probabilities float32 [n, labels].
    """
    probabilities = OpenVINOClassifier(bundle).predict(pixels).probabilities
    return float((probabilities.argmax(axis=1) == expected.argmax(axis=1)).mean())


def verify(bundle: Bundle, pixels: "NDArray[np.uint8]", expected: "NDArray[np.float32]") -> float:
    """Return `agreement`. Raises RefusedError below LEAST_AGREEMENT: such an export must not be served."""
    found = agreement(bundle, pixels, expected)
    if found < LEAST_AGREEMENT:
        raise RefusedError(
            "The OpenVINO export agrees with Keras on {found:.2%} of {pixels_count:,} images; "
            "{least_agreement:.1%} are required.",
            advice="No bundle was written. Install the versions of requirements-train.txt and train again.",
            found=found,
            pixels_count=len(pixels),
            least_agreement=LEAST_AGREEMENT,
        )
    return found
