"""Which products look like a vector, or like another product.

Below 50,000 vectors the search is exact. Above, a worker writes an index into HOME/vectors, and each process
maps it. The database is the truth: an index of another space, another revision, or with other bytes is not
used for longer than it takes to build the next one.
"""

import threading
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from returns_pipeline.classify.spaces.space import find_space
from returns_pipeline.records.catalogue import ProductFilter
from returns_pipeline.records.embedding import SimilarProduct, SpaceRow
from returns_pipeline.report.whole_file import whole_file
from returns_pipeline.settings import Settings
from returns_pipeline.store import embedding_chunks, spaces
from returns_pipeline.store.database import Database
from returns_pipeline.vectors import index
from returns_pipeline.vectors.index import Stamp, VectorIndex
from returns_pipeline.vectors.nearest import Exact, Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

_EVERY = ProductFilter()
#: Pictures among which the products of a filter are looked for.
_NEAREST = 500
#: A product may have several pictures, so more pictures are found than products are wanted.
_PICTURES_PER_PRODUCT = 4


class ProductSearch:
    """Searches the active space. One instance serves all threads of a process; it loads what it needs."""

    def __init__(self, settings: Settings, db: Database) -> None:
        """Open nothing yet."""
        self._settings, self._db = settings, db
        self._lock = threading.Lock()
        self._loaded: tuple[Stamp, Exact | VectorIndex] | None = None

    def like_product(self, product: int, count: int, wanted: ProductFilter = _EVERY) -> list[SimilarProduct]:
        """Return the products most like the product of a row id, without itself; none if it has no vector."""
        space = spaces.active(self._db)
        vector = spaces.vector_of(self._db, space.id, product) if space else None
        if space is None or vector is None:
            return []
        found = self.like_vector(space, vector, count + 1, wanted)
        return [each for each in found if each.product != product][:count]

    def like_vector(
        self, space: SpaceRow, content: bytes, count: int, wanted: ProductFilter = _EVERY
    ) -> list[SimilarProduct]:
        """Return the products nearest to a vector of the active space, int8 [d] as bytes, each once.

        Those that a filter chooses are looked for among the nearest; if these are too few, each product that
        it chooses is compared.
        """
        vector = np.frombuffer(content, np.int8)
        with self._lock:
            searcher = self._searcher(space)
        if wanted == _EVERY:
            return self._best(searcher.search(vector, count * _PICTURES_PER_PRODUCT), count, wanted)
        found = self._best(searcher.search(vector, max(_NEAREST, count)), count, wanted)
        if len(found) == count:
            return found
        few = Exact(*_read(self._db, space, wanted))
        return self._best(few.search(vector, count * _PICTURES_PER_PRODUCT), count, _EVERY)

    def nearby(self, space: SpaceRow, content: bytes, count: int) -> list[int]:
        """Return the rows of the products nearest to a vector, for a page that must not wait.

        Among many vectors, those of an older revision count until an index of the newest one is written, and
        nothing is found before the first one is: reading all vectors takes seconds.
        """
        with self._lock:
            searcher = self._at_hand(space)
        if searcher is None:
            return []
        found = searcher.search(np.frombuffer(content, np.int8), 2 * count)
        return [each.product for each in self._best(found, count, _EVERY)]

    def _at_hand(self, space: SpaceRow) -> Exact | VectorIndex | None:
        """Return what searches the newest vectors, or older ones of the space if reading them takes long."""
        loaded = self._loaded if self._loaded and self._loaded[0].digest == space.digest else None
        if loaded and loaded[0].revision == space.revision:
            return loaded[1]
        if (opened := _open(self._settings, space)) is not None:
            self._loaded = opened.stamp, opened
            return opened
        if loaded and loaded[0].vectors >= index.LEAST_VECTORS:
            return loaded[1]
        return None if spaces.has(self._db, space.id, index.LEAST_VECTORS) else self._searcher(space)

    def _best(self, found: Found, count: int, wanted: ProductFilter) -> list[SimilarProduct]:
        ids = found.ids.tolist()
        products = spaces.products_of(self._db, ids, wanted)
        best: dict[int, SimilarProduct] = {}
        for image_id, cosine in zip(ids, found.cosines.tolist(), strict=True):
            # A picture that was deleted meanwhile has no product, nor has one that is not wanted.
            if (product := products.get(image_id)) is not None:
                best.setdefault(product, SimilarProduct(product, image_id, min(cosine, 1.0)))
        return list(best.values())[:count]

    def _searcher(self, space: SpaceRow) -> Exact | VectorIndex:
        """Return what searches the newest vectors: an index of this revision, else exact search."""
        if self._loaded:
            stamp, searcher = self._loaded
            if (stamp.digest, stamp.revision) == (space.digest, space.revision):
                return searcher
        opened = _open(self._settings, space)
        if opened is not None:
            self._loaded = opened.stamp, opened
            return opened
        ids, rows = _read(self._db, space)
        exact = Exact(ids, rows)
        self._loaded = Stamp(space.digest, space.revision, len(ids)), exact
        return exact


def refresh_index(settings: Settings, db: Database, *, least: int | None = None) -> bool:
    """Write the index of the active space if it has at least `least` vectors and none is current.

    `least` is LEAST_VECTORS by default. Returns whether one was written. Safe in several processes: each
    writes a whole file of its own.
    """
    space = spaces.active(db)
    least = index.LEAST_VECTORS if least is None else least
    if space is None or embedding_chunks.count(db, space.id) or spaces.count(db, space.id) < least:
        return False
    if _open(settings, space) is not None:
        return False
    ids, rows = _read(db, space)
    stamp = Stamp(space.digest, space.revision, len(ids))
    with whole_file(_index_path(settings, space, stamp)) as partial:
        sha256 = index.build(partial, ids, rows)
    with whole_file(_stamp_path(settings, space)) as partial:
        index.write_stamp(partial, stamp, sha256)
    _remove_others(settings, _index_path(settings, space, stamp), _stamp_path(settings, space))
    log.info("index_written", space=str(space.ref), vectors=len(ids))
    return True


def has_stale_index(settings: Settings, db: Database, space: SpaceRow) -> bool:
    """Whether this machine has an index of older vectors, and the present ones are many enough for one.

    Reads the stamp alone, so a sweep can ask each minute. A machine that has never had one, because its
    workers are elsewhere, needs none.
    """
    known = index.read_stamp(_stamp_path(settings, space))
    if known is None or known[0][:2] == (space.digest, space.revision):
        return False
    return spaces.has(db, space.id, index.LEAST_VECTORS)


def _open(settings: Settings, space: SpaceRow) -> VectorIndex | None:
    known = index.read_stamp(_stamp_path(settings, space))
    if known is None or known[0][:2] != (space.digest, space.revision):
        return None
    stamp, sha256 = known
    dimensions = find_space(settings.spaces_dir, str(space.ref)).dimensions
    found = index.open_index(_index_path(settings, space, stamp), dimensions, stamp, sha256)
    if found is None:
        log.warning("index_broken", space=str(space.ref))
    return found


def _read(
    db: Database, space: SpaceRow, wanted: ProductFilter | None = None
) -> "tuple[NDArray[np.int64], NDArray[np.int8]]":
    ids, rows = array("q"), bytearray()
    for image_id, vector in spaces.vectors(db, space.id, wanted):
        ids.append(image_id)
        rows += vector
    return np.array(ids, np.int64), np.frombuffer(rows, np.int8).reshape(len(ids), -1 if ids else 0)


def _folder(settings: Settings) -> Path:
    return settings.home / "vectors"


def _stamp_path(settings: Settings, space: SpaceRow) -> Path:
    return _folder(settings) / f"{space.digest[:16]}.json"


def _index_path(settings: Settings, space: SpaceRow, stamp: Stamp) -> Path:
    return _folder(settings) / f"{space.digest[:16]}-{stamp.revision}.usearch"


def _remove_others(settings: Settings, *kept: Path) -> None:
    """Remove files of older revisions and spaces. A process that has one mapped keeps its content."""
    for path in _folder(settings).iterdir():
        if path not in kept and path.suffix in {".usearch", ".json"} and not path.name.startswith("."):
            path.unlink(missing_ok=True)
