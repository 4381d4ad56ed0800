"""Checks model.weights.h5 before Keras reads it: arrays inside of the file, no larger than it."""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

from returns_pipeline.classify.runtimes.keras_archive import WEIGHTS
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.text import printable

#: Most groups and arrays. A network of 200 layers has about 1,000.
_MOST_NODES = 100_000
#: Kinds of NumPy types that weights have: floating point, integers, truth values.
_KINDS = frozenset("fiub")


def require_plain(path: Path) -> None:
    """Raise ConfigFault unless the weights of a .keras file are arrays of numbers inside of the file.

    HDF5 can also link to other files, map their bytes into an array, and declare arrays of any size without
    storing them. Needs h5py, which is installed with Keras.
    """
    import h5py

    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(WEIGHTS)  # as Keras does
        with h5py.File(io.BytesIO(content), "r") as file:
            _check(h5py, file, len(content))
    except Exception as error:
        # h5py and the zip reader raise errors of many kinds for damaged files.
        raise ConfigFault(
            "The weights in {path} cannot be read: {reason}.",
            "Save the model with Keras 3 and try again.",
            path=printable(path),
            reason=printable(error),
        ) from error


def _check(h5py: Any, file: Any, file_bytes: int) -> None:
    waiting, nodes, declared = [file], 0, 0
    seen = set()
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            raise ValueError(f"{group.name} occurs twice")
        seen.add(address)
        for name in group:
            nodes += 1
            if nodes > _MOST_NODES:
                raise ValueError(f"they have more than {_MOST_NODES:,} groups and arrays")
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                raise ValueError(f"{name} is a link to another place")
            node = group[name]
            if isinstance(node, h5py.Group):
                waiting.append(node)
                continue
            if not isinstance(node, h5py.Dataset) or node.dtype.kind not in _KINDS:
                raise ValueError(f"{name} is not an array of numbers")
            if node.external or node.is_virtual:
                raise ValueError(f"{name} is stored in another file")
            # Keras compresses nothing, so all arrays together are not larger than the file.
            declared += math.prod(node.shape or ()) * node.dtype.itemsize
            if declared > file_bytes:
                raise ValueError(f"{name} has more bytes than the file")
