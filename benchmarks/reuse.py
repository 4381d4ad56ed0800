"""Seconds to look a photo up among few and many: `python -m benchmarks.reuse [--rows N N] [--json]`.

Fills both databases with photos that have random keys and digests, made by SQL, and a few hundred real
thumbnails. Then it compares photos of which half are copies, by the code that a night uses.
"""

import argparse
import contextlib
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


def look_up(db: Database, last: int) -> list[float]:
    """Return the seconds of each look-up of _PHOTOS photos, of which every second repeats one of the rows."""
    known = pictures(_PHOTOS // 2, last, seed=1)
    with db.write() as connection:
        likeness.add(connection, reuse.with_keys(known))
    seconds = []
    for number in range(_ROUNDS + 1):
        first = last + 10_000 + number * _PHOTOS
        photos = [each._replace(image_id=first + place) for place, each in enumerate(known)]
        photos += pictures(_PHOTOS - len(known), first + len(known), seed=100 + number)
        began = time.perf_counter()
        found = reuse.near_matches(db, photos, _DAY - 90)
        likeness.equal_files(db, [each.image_id for each in photos], _DAY - 90)
        seconds.append(time.perf_counter() - began)
        if {match.image_id for match in found} != {each.image_id for each in photos[: len(known)]}:
            raise SystemExit("A copy was not found, or another photo was taken for one.")
    # The first one reads the index from the disk.
    return seconds[1:]


def measure(db: Database, sizes: list[int]) -> dict[int, float]:
    """Return the median of milliseconds for one photo, for each number of rows."""
    found: dict[int, float] = {}
    first = 1
    for size in sorted(sizes):
        fill(db, first, size + 1)
        found[size] = round(statistics.median(look_up(db, 10**9 + size * 10)) / _PHOTOS * 1000, 3)
        first = size + 1
    return found


def main() -> None:
    """Measure, print, and end with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs=2, default=[_SMALL, _LARGE], metavar="N")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    found: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory(prefix="returns-reuse-") as folder:
        for name in options.database or ("sqlite", "postgresql"):
            with contextlib.ExitStack() as stack:
                server = partial(stack.enter_context, postgres_server())
                url = stack.enter_context(empty_database(name, Path(folder), server))
                found[name] = _measured(url, options.rows)
    ratios = {name: round(each[max(each)] / each[min(each)], 2) for name, each in found.items()}
    if options.as_json:
        print(json.dumps({"milliseconds": found, "ratios": ratios}))
    else:
        for name, each in found.items():
            for rows, milliseconds in each.items():
                print(f"{name:<10} {rows:>12,} photos: {milliseconds:.3f} ms for one")
            print(f"{name:<10} ratio {ratios[name]:.2f}")
    if max(ratios.values()) > GOAL:
        raise SystemExit(1)


def _measured(url: str, sizes: list[int]) -> dict[int, float]:
    database = Database(url)
    database.upgrade()
    try:
        return measure(database, sizes)
    finally:
        database.close()


if __name__ == "__main__":
    main()
