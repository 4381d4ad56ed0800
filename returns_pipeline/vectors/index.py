"""An index of vectors in a file: approximate search by HNSW. The file is never the truth.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
Small World graphs", arXiv:1603.09320. A stamp beside the file says what it is of; it is written last.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from returns_pipeline.vectors.nearest import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Vectors below which exact search is as fast.
LEAST_VECTORS = 50_000
#: Links of a vector, and candidates that are kept while building and while searching.
_LINKS, _BUILD_CANDIDATES, _CANDIDATES = 16, 64, 128


class Stamp(NamedTuple):
    """What an index is of: the digest of its space, the revision of its vectors, and how many there are."""

    digest: str
    revision: int
    vectors: int


class VectorIndex:
    """An index that is open for searching. Processes share its memory: the file is mapped."""

    def __init__(self, index: Any, stamp: Stamp) -> None:
        """Search an open usearch index; `stamp` says what it is of."""
        self._index, self.stamp = index, stamp

    def search(self, one: "NDArray[np.int8]", count: int) -> Found:
        """Return the nearest of int8 [d]; a few of 100 may be missed."""
        found = self._index.search(one, min(count, self.stamp.vectors))
        order = np.lexsort((found.keys, found.distances))
        ids = np.asarray(found.keys, np.int64)[order]
        return Found(ids, (1 - np.asarray(found.distances, np.float32))[order])


def build(path: Path, ids: "NDArray[np.int64]", vectors: "NDArray[np.int8]") -> str:
    """Write an index of int8 [n, d] to a new file; return the file's sha256."""
    index = _empty(vectors.shape[1])
    index.add(ids, vectors)
    index.save(str(path))
    return _sha256(path)


def write_stamp(path: Path, stamp: Stamp, sha256: str) -> None:
    """Write the stamp of an index file."""
    path.write_text(json.dumps({**stamp._asdict(), "sha256": sha256}), encoding="utf-8")


def read_stamp(path: Path) -> tuple[Stamp, str] | None:
    """Return a stamp and the sha256 of its index; None if it is missing or broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stamp = Stamp(str(content["digest"]), int(content["revision"]), int(content["vectors"]))
        return stamp, str(content["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def open_index(path: Path, dimensions: int, stamp: Stamp, sha256: str) -> VectorIndex | None:
    """Open an index; None if the file is missing, broken, or not the one that the stamp is of."""
    try:
        if _sha256(path) != sha256:
            return None
        index = _empty(dimensions)
        index.view(str(path))
    except (OSError, RuntimeError, ValueError):
        return None
    return VectorIndex(index, stamp) if len(index) == stamp.vectors else None


def _empty(dimensions: int) -> Any:
    # Imported here: a small catalogue needs no index.
    from usearch.index import Index

    return Index(
        ndim=dimensions,
        metric="cos",
        dtype="i8",
        connectivity=_LINKS,
        expansion_add=_BUILD_CANDIDATES,
        expansion_search=_CANDIDATES,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
