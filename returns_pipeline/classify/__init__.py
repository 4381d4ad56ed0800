"""From pixels to answers: one Classifier for each runtime, and the rule from scores to a prediction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from returns_pipeline.classify.bundle import OPENVINO_MODEL, Bundle
from returns_pipeline.classify.confidence import tempered
from returns_pipeline.records.predictions import Decision, GradCamMap, Prediction, Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How many of the best labels are kept with a prediction.
TOP = 5


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
        from returns_pipeline.classify.openvino_runtime import OpenVINOClassifier

        return OpenVINOClassifier(bundle, threads=threads)
    if runtime == "keras":
        from returns_pipeline.classify.keras_runtime import KerasClassifier

        return KerasClassifier(bundle, mixed=mixed)
    from returns_pipeline.classify.stub_runtime import StubClassifier

    return StubClassifier(bundle)


def to_predictions(
    bundle: Bundle, scores: Scores, review_threshold: "float | NDArray[np.float64]", kept: int = TOP
) -> Sequence[Prediction]:
    """Return one prediction for each row of `scores`, with the probabilities calibrated.

    The main category is the one that the best label belongs to, its probability the sum over that
    category's labels. Below `review_threshold`, one for all labels or float64 [labels], the decision is left
    to a person. The `kept` best labels stay with each prediction.
    """
    if not len(scores.probabilities):
        return []
    probabilities = tempered(scores.probabilities, bundle.temperature)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :kept]
    values = np.take_along_axis(probabilities, best, axis=1).astype(np.float64)
    mains = sorted(set(bundle.main_categories))
    main_of = np.array([mains.index(main) for main in bundle.main_categories])
    belongs = (main_of[:, None] == np.arange(len(mains))[None, :]).astype(np.float32)
    of_main = (probabilities @ belongs)[np.arange(len(best)), main_of[best[:, 0]]]
    sure = values[:, 0] >= np.broadcast_to(review_threshold, len(bundle.labels))[best[:, 0]]
    return [
        Prediction(
            label_index=indices[0],
            label=bundle.labels[indices[0]],
            probability=probability,
            main_label=bundle.main_categories[indices[0]],
            main_probability=main_chance,
            top=tuple(zip(indices, chances, strict=True)),
            decision=Decision.AUTO if is_sure else Decision.REVIEW,
        )
        for indices, probability, chances, main_chance, is_sure in zip(
            best.tolist(),
            values[:, 0].tolist(),
            values.round(6).tolist(),
            np.minimum(of_main, 1.0).tolist(),
            sure.tolist(),
            strict=True,
        )
    ]
