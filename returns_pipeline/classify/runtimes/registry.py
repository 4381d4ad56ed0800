"""The one interface of a loaded model, and which runtime loads it."""

from typing import TYPE_CHECKING, Protocol

from returns_pipeline.classify.bundle import OPENVINO_MODEL, Bundle
from returns_pipeline.records.predictions import GradCamMap, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Classifier(Protocol):
    """A loaded model. Preprocessing lives inside it.

    `batch` is the number of images that it works best on at once.
    """

    batch: int

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Return the scores of a batch: `pixels` uint8 [n, h, w, c], n may be 0."""
        ...

    def gradcam(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap | None:
        """Return what it looked at in one image for the index of a label: `pixels` uint8 [h, w, c].

        None where that cannot be told.
        """
        ...


def load_classifier(bundle: Bundle, runtime: str, *, threads: int = 1, mixed: bool = False) -> Classifier:
    """Load a bundle's model in this process.

    `runtime` is auto (OpenVINO where the bundle has an export, else Keras), openvino, keras or stub.
    OpenVINO computes on `threads` CPU threads; Keras tries float16 if `mixed`. Nothing else is imported: a
    CPU worker never pays for TensorFlow. Raises ConfigFault when the bundle's files are missing or are not
    what it was made with.
    """
    if runtime == "auto":
        runtime = "openvino" if OPENVINO_MODEL in bundle.sha256 else "keras"
    if runtime == "openvino":
        from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier

        return OpenVINOClassifier(bundle, threads=threads)
    if runtime == "keras":
        from returns_pipeline.classify.runtimes.keras_runtime import KerasClassifier

        return KerasClassifier(bundle, mixed=mixed)
    from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier

    return StubClassifier(bundle)
