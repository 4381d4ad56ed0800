"""Reads the tensors of a PyTorch state dict without PyTorch, and without executing code from its pickles.

The format is that of `torch.save` before version 1.6: three small pickles (a magic number, the version of the
protocol, the byte order and sizes), the dict with a reference to the storage of each tensor, the list of
storages, then each storage as its number of values (int64) and the values, little-endian.
"""

import collections
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _Tensor:
    key: str
    dtype: "np.dtype[Any]"
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, storage: "NDArray[Any]") -> "NDArray[Any]":
        """Return the tensor's values from its storage, as the strides arrange them."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if min(self.stride, default=0) < 0 or not 0 <= self.offset <= last < len(storage):
            raise ValueError("a tensor is outside its storage")
        strides = [step * self.dtype.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides).copy()


class _Reader(pickle.Unpickler):
    """Unpickles only dicts and references to storages."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of a PyTorch name; refuse every other name."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a state dict")

    def persistent_load(self, pid: Any) -> Any:
        """Return the key and the type of a storage."""
        _, dtype, key, *_ = pid
        return key, dtype


def _tensor(
    storage: tuple[str, "np.dtype[Any]"],
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    *_: Any,
) -> _Tensor:
    key, dtype = storage
    return _Tensor(key, dtype, offset, shape, stride)


def read_state_dict(path: Path) -> "dict[str, NDArray[Any]]":
    """Return the tensors of a state dict by name, with PyTorch's axes.

    Raises ConfigFault when the file has another format, is truncated, or contains anything except tensors.
    """
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
        raise ConfigFault(
            "{path} cannot be read as PyTorch weights: {reason}.",
            advice="Reinstall its package.",
            path=path,
            reason=error,
        ) from error


def _read(stream: IO[bytes]) -> "dict[str, NDArray[Any]]":
    if _Reader(stream).load() != _MAGIC:
        raise ValueError("it has another format")
    for _ in ("version", "machine"):
        _Reader(stream).load()
    tensors = cast("dict[str, _Tensor]", _Reader(stream).load())
    types = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in _Reader(stream).load():
        count = int(np.frombuffer(stream.read(8), "<i8")[0])
        storages[key] = np.frombuffer(stream.read(count * types[key].itemsize), types[key], count)
    return {name: tensor.of(storages[tensor.key]) for name, tensor in tensors.items()}
