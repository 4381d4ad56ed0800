"""The same model in BentoML with adaptive batching; runs in an environment of its own, without this package.

`MODEL=…/openvino/model.xml SIDE=28 python -m bentoml serve bento_service:Photos --port PORT`
"""

import importlib
import os
from typing import Any

import numpy as np
import openvino
from PIL import Image

#: Not in this project's environment.
bentoml: Any = importlib.import_module("bentoml")
_SIDE = int(os.environ["SIDE"])


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024})
class Model:
    """The network, whose calls BentoML gathers."""

    def __init__(self) -> None:
        """Compile it for batches of any size."""
        core = openvino.Core()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
        self._model = core.compile_model(core.read_model(os.environ["MODEL"]), "CPU", hints)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Return the scores of a batch."""
        return np.asarray(self._model([pixels])[0])


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024})
class Photos:
    """Decodes a photo and predicts it."""

    model = bentoml.depends(Model)

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    async def predict(self, file: Image.Image) -> dict[str, float]:
        """Return index and probability of the best label."""
        picture = file.convert("L")
        if picture.size != (_SIDE, _SIDE):
            picture = picture.resize((_SIDE, _SIDE))
        pixels = np.asarray(picture, np.uint8).reshape(1, _SIDE, _SIDE, 1)
        (scores,) = await self.model.to_async.scores(pixels)
        best = int(scores.argmax())
        return {"index": best, "probability": float(scores[best])}
