"""Runs the network of an embedding space: pixels to vectors of int8."""

from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.runtimes import openvino_xml
from returns_pipeline.classify.runtimes.openvino_runtime import best_batch, import_openvino
from returns_pipeline.classify.spaces.space import Space
from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Embedder:
    """A loaded space. One instance serves one thread at a time. `batch`: pictures of one call."""

    def __init__(self, space: Space, threads: int = 1) -> None:
        """Load the network for `threads` CPU threads.

        Raises ConfigFault if a file is missing or changed, or the network does not fit space.json.
        """
        path, weights = space.model()
        openvino_xml.require_plain(path, weights.stat().st_size)
        openvino = import_openvino()
        core = openvino.Core()
        model = core.read_model(path)
        self.space = space
        self.batch = best_batch(space.input)
        try:
            model.reshape([self.batch, *space.input.shape])
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",  # the same vectors on every CPU
                    "INFERENCE_NUM_THREADS": threads,
                    "PERFORMANCE_HINT": "LATENCY",
                    "ENABLE_CPU_PINNING": False,
                },
            )
            shape = tuple(compiled.output(0).shape)
        except RuntimeError as error:
            raise ConfigFault(
                "The network of {space} does not run: {reason}.", space=space.ref, reason=error
            ) from error
        if shape != (self.batch, space.dimensions):
            raise ConfigFault(
                "The network of {space} does not give the {count} numbers that space.json says.",
                space=space.ref,
                count=space.dimensions,
            )
        self._request = compiled.create_infer_request()
        self._padded = np.zeros((self.batch, *space.input.shape), np.uint8)

    def embed(self, pixels: "NDArray[np.uint8]") -> "NDArray[np.int8]":
        """Return int8 [n, dimensions] for uint8 [n, side, side, 3], n >= 0."""
        vectors = np.empty((len(pixels), self.space.dimensions), np.int8)
        for start in range(0, len(pixels), self.batch):
            part = pixels[start : start + self.batch]
            self._padded[: len(part)] = part
            self._request.infer([self._padded], share_inputs=True)
            found = self._request.get_output_tensor(0).data[: len(part)]
            vectors[start : start + len(part)] = quantized(found)
        return vectors


def quantized(vectors: "NDArray[np.float32]") -> "NDArray[np.int8]":
    """Return int8 for float32 [n, d]: each row is scaled to the range of int8, only its direction matters."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scale = np.divide(127, largest, out=np.zeros_like(largest), where=largest > 0)
    found: NDArray[np.int8] = np.rint(vectors * scale).astype(np.int8)
    return found
