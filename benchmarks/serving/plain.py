"""The limit of a served model: one FastAPI process with Pillow and OpenVINO, which stores nothing.

`python -m benchmarks.serving.plain BUNDLE PORT`
"""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

from returns_pipeline.classify.bundle import OPENVINO_MODEL, Bundle, load_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import import_openvino


def create_app(bundle: Bundle) -> FastAPI:
    """Return an application whose only route predicts one photo at a time, in the shape that it has."""
    openvino = import_openvino()
    core = openvino.Core()
    model = core.read_model(bundle.file(OPENVINO_MODEL))
    model.reshape([1, *bundle.input.shape])
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    size = (bundle.input.width, bundle.input.height)
    app = FastAPI()

    @app.post("/predict")
    async def predict(file: UploadFile) -> dict[str, Any]:
        with Image.open(io.BytesIO(await file.read())) as photo:
            picture = photo.convert("L" if bundle.input.channels == 1 else "RGB")
        if picture.size != size:
            picture = picture.resize(size)
        request.infer([np.asarray(picture, np.uint8).reshape(1, *bundle.input.shape)])
        scores = request.get_output_tensor(0).data[0]
        best = int(scores.argmax())
        return {"label": bundle.labels[best], "index": best, "probability": float(scores[best])}

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(load_bundle(Path(sys.argv[1]))), port=int(sys.argv[2]), access_log=False)
