"""A frozen Keras network that OpenVINO runs on all cores."""

import hashlib
import json
import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.runtimes.openvino_runtime import import_openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FrozenNetwork:
    """A network from pixels to features, whose weights do not change.

    `model` is a Keras model that takes uint8 [n, h, w, c] and returns float32 [n, …]. Features have the type
    `dtype`: float16 needs half of the space.
    """

    def __init__(self, model: Any, dtype: "type[np.float32 | np.float16]" = np.float32) -> None:
        """Wrap a model. It is exported when it first computes."""
        self._model = model
        self.dtype = np.dtype(dtype)
        self.shape: tuple[int, ...] = tuple(model.output_shape[1:])
        self.digest = self._digest()

    def compute(self, pixels: "NDArray[np.uint8]") -> "NDArray[Any]":
        """Return the features [n, *shape] of `pixels` uint8 [n, h, w, c]."""
        features = np.empty((len(pixels), *self.shape), self.dtype)

        def store(request: Any, place: int) -> None:
            features[place] = request.get_output_tensor(0).data[0]

        queue = self._queue
        queue.set_callback(store)
        try:
            for place, photo in enumerate(pixels):
                queue.start_async([np.ascontiguousarray(photo)[np.newaxis]], place)
        finally:
            queue.wait_all()
        return features

    @cached_property
    def _queue(self) -> Any:
        openvino = import_openvino()
        core = openvino.Core()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.xml"
            self._model.export(str(path), format="openvino", verbose=False)
            graph = core.read_model(path)
        # One photo at a time in each thread: larger batches leave a core's cache.
        graph.reshape([1, *self._model.input_shape[1:]])
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
            "ENABLE_CPU_PINNING": False,
        }
        return openvino.AsyncInferQueue(core.compile_model(graph, "CPU", settings))

    def _digest(self) -> str:
        """Return a sha256 in hex over the layers, the weights and the type of the features."""
        config = self._model.get_config()
        # Keras numbers the names of layers in each process.
        names = {name: f"layer {number}" for number, name in enumerate(dict.fromkeys(_names(config)))}
        found = hashlib.sha256(json.dumps([_renamed(config, names), str(self.dtype)], default=str).encode())
        for weights in self._model.get_weights():
            found.update(np.ascontiguousarray(weights).data)
        return found.hexdigest()


def _names(config: Any) -> list[str]:
    if isinstance(config, dict):
        own = [config["name"]] if isinstance(config.get("name"), str) else []
        return own + [name for value in config.values() for name in _names(value)]
    if isinstance(config, list | tuple):
        return [name for value in config for name in _names(value)]
    return []


def _renamed(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
