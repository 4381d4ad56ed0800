"""Seconds to look a photo up among few and many: `python -m benchmarks.reuse [--rows N N] [--json]`.

Fills databases with photos that have random keys and digests, made by SQL, and a few real thumbnails. Then it
compares photos of which half are copies, by the code that a night uses, among few and among many in turn.
"""

import argparse
import contextlib
import functools
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from returns_pipeline.photos.likeness import thumbnails
from returns_pipeline.records.likeness import ComparedImage
from returns_pipeline.store import likeness
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import reuse
from tests.databases import empty_database, postgres_server

#: A look-up among many may take this many times as long as one among few.
GOAL = 2.0
_SMALL, _LARGE = 10_000, 10_000_000
#: Photos that are looked up together, as of a chunk, and how often.
_PHOTOS, _ROUNDS = 100, 15
_KEYS_OF_A_PHOTO = 11
_AT_ONCE = 250_000
_DAY = 20_000
#: A key has 33 bits; the numbers are scattered by multiplication with an odd number modulo 2 ** 33.
_SCATTER, _KEYS = 5_851_042_673, 2**33

_FILL = {
    "sqlite": (
        """
        WITH RECURSIVE n (id) AS (SELECT :first UNION ALL SELECT id + 1 FROM n WHERE id + 1 < :last)
        INSERT INTO compared_images (image_id, received_day, sha256_head)
        SELECT id, :day, (id * 7046029254386353131) FROM n
        """,
        """
        WITH RECURSIVE n (id) AS (SELECT :first UNION ALL SELECT id + 1 FROM n WHERE id + 1 < :last),
        v (view) AS (SELECT 0 UNION ALL SELECT view + 1 FROM v WHERE view + 1 < :views)
        INSERT INTO image_keys (key, image_id, view)
        SELECT ((id * :views + view) % :keys * :scatter) % :keys AS scattered, id, view FROM n, v
        ORDER BY scattered
        """,
    ),
    "postgresql": (
        """
        INSERT INTO compared_images (image_id, received_day, sha256_head)
        SELECT id, :day, hashint8extended(id, 0) FROM generate_series(CAST(:first AS bigint), :last - 1) AS id
        """,
        """
        INSERT INTO image_keys (key, image_id, view)
        SELECT mod(CAST(mod(id * :views + view, :keys) AS numeric) * :scatter, :keys) AS scattered, id, view
        FROM generate_series(CAST(:first AS bigint), :last - 1) AS id, generate_series(0, :views - 1) AS view
        ORDER BY scattered
        """,
    ),
}


def fill(db: Database, first: int, last: int) -> None:
    """Add photos with the ids from `first` to below `last`."""
    kind = "sqlite" if db.is_sqlite else "postgresql"
    given = {"views": _KEYS_OF_A_PHOTO, "keys": _KEYS, "scatter": _SCATTER, "day": _DAY}
    for start in range(first, last, _AT_ONCE):
        with db.write() as connection:
            for statement in _FILL[kind]:
                used = {name: value for name, value in given.items() if f":{name}" in statement}
                bounds = {"first": start, "last": min(last, start + _AT_ONCE)}
                connection.execute(sa.text(statement), used | bounds)
    with db.write() as connection:
        connection.exec_driver_sql("ANALYZE")
    if db.is_sqlite:
        with db.read() as connection:
            # A night writes less at a time: its write-ahead log stays short.
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def pictures(count: int, first_id: int, seed: int) -> list[ComparedImage]:
    """Return photos of soft random shapes, each with its thumbnail."""
    side = thumbnails.SIDE * 4
    levels = np.random.default_rng(seed).integers(20, 235, (count, 8, 8, 3), np.uint8)
    pixels = np.repeat(np.repeat(levels, side // 8, axis=1), side // 8, axis=2)
    thumbs = thumbnails.thumbnails(pixels)
    return [
        ComparedImage(first_id + place, _DAY, first_id + place, thumb.tobytes())
        for place, thumb in enumerate(thumbs)
    ]


class Filled:
    """A database with many photos, and `known` ones that the looked-up photos repeat."""

    def __init__(self, url: str, size: int) -> None:
        """Fill the empty database of `url` with `size` photos."""
        self.db = Database(url)
        self.db.upgrade()
        fill(self.db, 1, size + 1)
        self._next_id = 10**9
        self._known = pictures(_PHOTOS // 2, self._take(), seed=1)
        with self.db.write() as connection:
            likeness.add(connection, reuse.with_keys(self._known))

    def _take(self) -> int:
        self._next_id += _PHOTOS
        return self._next_id - _PHOTOS

    def look_up(self, seed: int) -> float:
        """Return the seconds for one photo of _PHOTOS, of which every second repeats a known one."""
        first = self._take()
        photos = [each._replace(image_id=first + place) for place, each in enumerate(self._known)]
        photos += pictures(_PHOTOS - len(photos), first + len(photos), seed)
        began = time.perf_counter()
        found = reuse.near_matches(self.db, photos, _DAY - 90)
        likeness.equal_files(self.db, [each.image_id for each in photos], _DAY - 90)
        seconds = time.perf_counter() - began
        if {match.image_id for match in found} != {each.image_id for each in photos[: len(self._known)]}:
            raise SystemExit("A copy was not found, or another photo was taken for one.")
        return seconds / _PHOTOS


def measure(databases: dict[int, Filled]) -> tuple[dict[int, float], float]:
    """Look up in turn. Return the median of milliseconds for one photo by size, and of the rounds' ratios."""
    rounds = [
        {size: each.look_up(seed=100 + number) for size, each in databases.items()}
        for number in range(_ROUNDS + 1)
    ][1:]  # the first round reads the pages near the root from the disk
    medians = {size: round(statistics.median(each[size] for each in rounds) * 1000, 3) for size in databases}
    ratio = statistics.median(each[max(each)] / each[min(each)] for each in rounds)
    return medians, round(ratio, 2)


def main() -> None:
    """Measure, print, and end with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[_SMALL, _LARGE], metavar="N")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    found: dict[str, tuple[dict[int, float], float]] = {}
    with tempfile.TemporaryDirectory(prefix="returns-reuse-") as folder:
        for name in options.database or ("sqlite", "postgresql"):
            found[name] = _measured(name, Path(folder), options.rows)
    ratios = {name: ratio for name, (_, ratio) in found.items()}
    if options.as_json:
        print(
            json.dumps({"milliseconds": {name: each for name, (each, _) in found.items()}, "ratios": ratios})
        )
    else:
        for name, (milliseconds, ratio) in found.items():
            for rows, each in milliseconds.items():
                print(f"{name:<10} {rows:>12,} photos: {each:.3f} ms for one")
            print(f"{name:<10} ratio {ratio:.2f}, goal {GOAL}: {'reached' if ratio <= GOAL else 'missed'}")
    if max(ratios.values()) > GOAL:
        raise SystemExit(1)


def _measured(name: str, folder: Path, sizes: list[int]) -> tuple[dict[int, float], float]:
    with contextlib.ExitStack() as stack:
        server = functools.cache(partial(stack.enter_context, postgres_server()))
        databases = {}
        for size in sorted(sizes):
            url = stack.enter_context(empty_database(name, folder / str(size), server))
            databases[size] = Filled(url, size)
            stack.callback(databases[size].db.close)
        return measure(databases)


if __name__ == "__main__":
    main()
