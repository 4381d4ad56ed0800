"""Explains a prediction: a Grad-CAM heat map of the image, and the most similar earlier returns."""

import heapq

import numpy as np
import structlog
from numpy.typing import NDArray

from returns_pipeline.classify.embedding import DIMENSIONS, cosines, embeddings
from returns_pipeline.classify.runtimes.registry import explainer_of
from returns_pipeline.errors import ConfigFault, ImageFault
from returns_pipeline.records.explanations import Explanation, ToExplain
from returns_pipeline.store import explanations
from returns_pipeline.usecases import classified_photos
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: How many earlier returns are shown, and how many of the newest are compared: about 25 ms.
_SHOWN, _COMPARED = 3, 100_000


def explain(context: Context, image_id: int) -> None:
    """Compute and store the explanation of a classified image; do nothing if it has one or has no prediction.

    If the image cannot be explained, the reason is stored and kept for a minute. Raises TransientFault if the
    disk fails.
    """
    if explanations.find(context.db, image_id) is not None:
        return
    image = explanations.to_explain(context.db, image_id)
    if image is None:
        return
    try:
        explanation = _explained(context, image_id, image)
    except (ImageFault, ConfigFault) as fault:
        explanation = _none(str(fault))
    explanations.save(context.db, image_id, image.model_version_id, explanation)
    log.info("image_explained", image=image_id, model=str(image.model), fault=explanation.fault)


def _explained(context: Context, image_id: int, image: ToExplain) -> Explanation:
    bundle, classifier = context.model(str(image.model), image.model_sha256)
    decoded = classified_photos.decoded(context, image_id, bundle.input)
    explainer = explainer_of(classifier)
    if explainer is None:
        return _none(f"{image.model} cannot be explained: a part of it bypasses its last convolution.")
    found = explainer.gradcam(decoded.pixels, image.label_index)
    height, width = found.heat.shape
    heat = np.rint(found.heat * 255).astype(np.uint8).tobytes()
    (vector,) = embeddings(found.features[np.newaxis])
    return Explanation(None, height, width, heat, _similar(context, image_id, image, vector))


def _similar(
    context: Context, image_id: int, image: ToExplain, vector: NDArray[np.int8]
) -> list[tuple[int, float]]:
    """Return (image id, cosine) of the most similar earlier returns, most similar first."""
    best: list[tuple[float, int]] = []
    for embedded in explanations.earlier_embeddings(
        context.db, image.model_version_id, image.chunk_id, _COMPARED
    ):
        ids = np.frombuffer(embedded.image_ids, "<i8")
        found = cosines(np.frombuffer(embedded.vectors, np.int8).reshape(-1, DIMENSIONS), vector)
        found[ids >= image_id] = 0
        nearest = np.argsort(-found)[:_SHOWN]
        best += [(float(found[at]), int(ids[at])) for at in nearest if found[at] > 0]
        best = heapq.nlargest(_SHOWN, best)
    return [(other, round(cosine, 4)) for cosine, other in best]


def _none(why: str) -> Explanation:
    return Explanation(why, 0, 0, b"", ())
