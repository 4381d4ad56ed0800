"""Why a model says what it says of an image: what it looked at, and which earlier returns it finds alike."""

import heapq

import numpy as np
import structlog
from numpy.typing import NDArray

from returns_pipeline import decoding, imaging
from returns_pipeline.classify.embedding import DIMENSIONS, cosines, embeddings
from returns_pipeline.errors import ImageFault
from returns_pipeline.pipeline import Pipeline
from returns_pipeline.store import explanations
from returns_pipeline.web_records import Asked, Explanation

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: How many earlier returns are shown, and how many of the newest ones are compared: 20 ms of work.
_SHOWN, _COMPARED = 3, 100_000


def explain(pipeline: Pipeline, image_id: int) -> None:
    """Explain a classified image, once however often it is asked; do nothing for another one.

    Raises ConfigFault when the model that answered is not here, TransientFault when the disk is at fault.
    """
    asked = explanations.asked(pipeline.db, image_id)
    if asked is None:
        return
    try:
        explanation = _explained(pipeline, image_id, asked)
    except ImageFault as fault:
        explanation = _none(fault.detail)
    explanations.save(pipeline.db, image_id, asked.model_version_id, explanation)
    log.info("image_explained", image=image_id, model=str(asked.model), fault=explanation.fault)


def _explained(pipeline: Pipeline, image_id: int, asked: Asked) -> Explanation:
    settings = pipeline.settings
    bundle, classifier = pipeline.model(str(asked.model), asked.model_sha256)
    limits = imaging.Limits(settings.max_file_bytes, settings.max_pixels)
    data = decoding.read_again(asked.picture, limits)
    attention = classifier.look(imaging.decode(data, bundle.input, limits).pixels, asked.label_index)
    if attention is None:
        return _none(
            f"What {asked.model} looked at cannot be told: not all of it goes through a convolution."
        )
    height, width = attention.heat.shape
    heat = np.rint(attention.heat * 255).astype(np.uint8).tobytes()
    (vector,) = embeddings(attention.features[np.newaxis])
    return Explanation(None, height, width, heat, _alike(pipeline, image_id, asked.model_version_id, vector))


def _alike(
    pipeline: Pipeline, image_id: int, model_version_id: int, vector: NDArray[np.int8]
) -> list[tuple[int, float]]:
    """Return (image id, cosine) of the earlier returns most like an embedding, another image each."""
    best: list[tuple[float, int]] = []
    for embedded in explanations.newest_embeddings(pipeline.db, model_version_id, _COMPARED):
        ids = np.frombuffer(embedded.image_ids, "<i8")
        likeness = cosines(np.frombuffer(embedded.vectors, np.int8).reshape(-1, DIMENSIONS), vector)
        likeness[ids >= image_id] = -1
        for at in np.argsort(-likeness)[:_SHOWN]:
            if likeness[at] > -1:
                best.append((float(likeness[at]), int(ids[at])))
        best = heapq.nlargest(_SHOWN, best)
    return [(found, round(likeness, 4)) for likeness, found in best]


def _none(why: str) -> Explanation:
    return Explanation(why, 0, 0, b"", ())
