"""From a trained Keras model to a bundle on disk that appears whole or not at all."""

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.classify.bundle import (
    KERAS_MODEL,
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    Bundle,
    file_sha256,
    versions_of,
)
from returns_pipeline.classify.openvino_runtime import OpenVINOClassifier, import_openvino
from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

LEAST_AGREEMENT = 0.999


@contextmanager
def draft_folder(models_dir: Path) -> "Iterator[Path]":
    """Give an empty folder on the same disk as the bundles; what is still in it at the end is deleted."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".draft-") as temporary:
        # The temporary folder can be read by its owner only; the one that is published is like any other.
        draft = Path(temporary) / "bundle"
        draft.mkdir()
        yield draft


def write_model(model: Any, folder: Path) -> dict[str, str]:
    """Write model.keras and its OpenVINO export (float32 weights, uint8 input); return each file's sha256."""
    import_openvino()  # before Keras does it, so that the conversion reports nothing to the vendor
    (folder / OPENVINO_MODEL).parent.mkdir()
    # Without Adam's state, which would make the file three times as large.
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    bare.save(folder / KERAS_MODEL)
    bare.export(str(folder / OPENVINO_MODEL), format="openvino", verbose=False)
    return {name: file_sha256(folder / name) for name in (KERAS_MODEL, OPENVINO_MODEL, OPENVINO_WEIGHTS)}


def verify(bundle: Bundle, pixels: "NDArray[np.uint8]", expected: "NDArray[np.float32]") -> float:
    """Return the share of images for which the exported model and Keras name the same label.

    `pixels` uint8 [n, h, w, c], `expected` Keras' probabilities float32 [n, labels].
    Raises ConfigFault when it is less than LEAST_AGREEMENT: such an export must not be served.
    """
    answers = OpenVINOClassifier(bundle).predict(pixels).probabilities
    agreement = float((answers.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if agreement < LEAST_AGREEMENT:
        raise ConfigFault(
            f"The OpenVINO export agrees with Keras on {agreement:.2%} of {len(pixels):,} images; "
            f"{LEAST_AGREEMENT:.1%} are needed.",
            advice="No bundle was written. Install the versions of requirements-train.txt and train again.",
        )
    return agreement


def publish(bundle: Bundle, models_dir: Path) -> Bundle:
    """Move a finished draft to MODELS_DIR/NAME/VERSION, the next free version; return it as it lies there."""
    (models_dir / bundle.name).mkdir(exist_ok=True)
    while True:
        version = max(versions_of(models_dir, bundle.name), default=0) + 1
        target = models_dir / bundle.name / str(version)
        final = replace(bundle, version=version)
        final.save()
        try:
            final.folder.rename(target)
        except OSError:
            if target.exists():  # another training took this version first
                continue
            raise
        return replace(final, folder=target)
