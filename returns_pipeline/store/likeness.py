"""What photos are compared by: photos that wait, and thumbnails and keys of the photos before them.

A photo's keys are committed before it is compared. So of two that are stored at the same moment, the one that
is compared last finds the other, and the match belongs to the photo with the higher id either way.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from returns_pipeline.records.likeness import VIEWS, ComparedImage, Match, Uncompared
from returns_pipeline.records.returns import LinkSource
from returns_pipeline.records.runs import RunKind, RunState
from returns_pipeline.store import bulk, fingerprints, photo_matches
from returns_pipeline.store.clocks import is_past
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.joins import RECEIVED_AT
from returns_pipeline.store.tables import (
    chunks,
    compared_images,
    held_comparisons,
    image_keys,
    images,
    runs,
    uncompared_chunks,
)

#: Most photos that are read for one key. A plain picture has the key of many; the newest count.
MOST_OF_A_KEY = 16
_COMPARED = ("image_id", "received_day", "sha256_head", "thumbnail", "packed_keys")
_KEYS = ("key", "image_id", "view")

#: Takes the keys as a JSON list. The subquery is the oldest of the newest photos of a key.
_CANDIDATES_SQLITE = sa.text(f"""
    SELECT wanted.value, found.image_id, found.view
    FROM json_each(:keys) AS wanted CROSS JOIN image_keys AS found ON found.key = wanted.value
    AND found.image_id >= coalesce((SELECT image_id FROM image_keys WHERE key = wanted.value
        ORDER BY image_id DESC LIMIT 1 OFFSET {MOST_OF_A_KEY - 1}), 0)
""")  # noqa: S608 - a number of this file
_CANDIDATES_POSTGRESQL = sa.text(f"""
    SELECT wanted.value, found.image_id, found.view
    FROM unnest(CAST(:keys AS bigint[])) AS wanted (value) CROSS JOIN LATERAL (
        SELECT image_id, view FROM image_keys WHERE key = wanted.value
        ORDER BY image_id DESC LIMIT {MOST_OF_A_KEY}) AS found
""")  # noqa: S608 - a number of this file


class Waiting(NamedTuple):
    """The photos of a chunk to compare, the day on which they came in, and the sha256 of each that counts.

    Photos that were deleted meanwhile have none, nor photos of a client that belong to no return.
    """

    photos: Uncompared
    day: int
    digests: dict[int, str]


def keep(connection: sa.Connection, chunk_id: int, photos: Uncompared) -> None:
    """Keep the photos of a chunk until they are compared, in the transaction of its results."""
    bulk.insert(connection, uncompared_chunks, ("chunk_id", "image_ids", "thumbnails"), [(chunk_id, *photos)])


def waiting(db: Database, limit: int) -> list[int]:
    """Return the chunks that can be compared, oldest first."""
    with db.read() as connection:
        return list(connection.execute(ready().limit(limit)).scalars())


def ready() -> sa.Select[int]:
    """Return the query of the chunks that can be compared, oldest first: of clients and of closed runs.

    A night that still runs is not slowed down, and which return its photos belong to is known when it closes.
    """
    return (
        sa.select(uncompared_chunks.c.chunk_id)
        .select_from(uncompared_chunks.join(chunks).join(runs, runs.c.id == chunks.c.run_id))
        .where(sa.or_(runs.c.state == RunState.CLOSED, runs.c.kind == RunKind.API))
        .order_by(uncompared_chunks.c.chunk_id)
    )


def lost(db: Database, resend_seconds: float) -> bool:
    """Whether a chunk waits whose comparison should have begun over `resend_seconds` ago."""
    # A subquery, so that SQLite begins with the few chunks that wait.
    ready_at = (
        sa.select(
            sa.case((runs.c.kind == RunKind.API, chunks.c.finished_at), else_=runs.c.closed_at),
        )
        .select_from(runs.join(chunks, chunks.c.run_id == runs.c.id))
        .where(chunks.c.id == uncompared_chunks.c.chunk_id)
        .scalar_subquery()
    )
    query = (
        sa.select(uncompared_chunks.c.chunk_id).where(is_past(ready_at, utc_now(), resend_seconds)).limit(1)
    )
    with db.read() as connection:
        return connection.execute(query).first() is not None


def read(db: Database, chunk_id: int) -> Waiting | None:
    """Return the photos of a chunk; None if they are compared."""
    query = (
        sa.select(
            uncompared_chunks.c.image_ids,
            uncompared_chunks.c.thumbnails,
            RECEIVED_AT.label("at"),
            runs.c.kind,
        )
        .select_from(uncompared_chunks.join(chunks).join(runs, runs.c.id == chunks.c.run_id))
        .where(uncompared_chunks.c.chunk_id == chunk_id)
    )
    digests = sa.select(images.c.id, images.c.sha256).where(
        images.c.chunk_id == chunk_id, images.c.sha256.is_not(None)
    )
    with db.read() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if row.kind == RunKind.API:
            digests = digests.where(images.c.return_id.is_not(None))
        found = {image.id: image.sha256 for image in connection.execute(digests)}
    return Waiting(Uncompared(row.image_ids, row.thumbnails), int(row.at.timestamp()) // 86_400, found)


def add(connection: sa.Connection, photos: Sequence[ComparedImage]) -> None:
    """Add photos that others are compared with, and their keys. May run twice."""
    bulk.insert(connection, compared_images, _COMPARED, photos)
    bulk.insert(connection, image_keys, _KEYS, list(_keys_of(photos)))


def add_present(db: Database, photos: Sequence[ComparedImage]) -> None:
    """Add those photos that were not deleted meanwhile, and their fingerprints; of slips only these."""
    with db.write() as connection:
        found = _locked(connection, [each.image_id for each in photos])
        present = {row.id for row in found}
        items = {row.id for row in found if row.return_source != LinkSource.THE_SLIP}
        add(connection, [each for each in photos if each.image_id in items])
        heads = [(each.image_id, each.sha256_head) for each in photos if each.image_id in present]
        fingerprints.add(connection, heads)


def _keys_of(photos: Iterable[ComparedImage]) -> Iterator[tuple[int, int, int]]:
    """Yield (key, image id, view)."""
    for photo in photos:
        for (packed,) in struct.iter_unpack("<q", photo.packed_keys or b""):
            key, view = divmod(packed, VIEWS)
            yield key, photo.image_id, view


def lock(connection: sa.Connection, image_ids: Iterable[int]) -> dict[int, int | None]:
    """Keep images from being deleted until the transaction ends; return the return of each that still counts.

    Leaves out deleted images, and slips: each shows the same form.
    """
    found = _locked(connection, image_ids)
    return {row.id: row.return_id for row in found if row.return_source != LinkSource.THE_SLIP}


def _locked(connection: sa.Connection, image_ids: Iterable[int]) -> list[Any]:
    """Lock images that are not deleted; return their rows: id, return_id, return_source."""
    query = (
        sa.select(images.c.id, images.c.return_id, images.c.return_source)
        .where(images.c.id.in_(sa.bindparam("some", expanding=True)), images.c.deleted_at.is_(None))
        .order_by(images.c.id)
        .with_for_update(read=True)
    )
    parts = bulk.parts(sorted(set(image_ids)))
    return [row for part in parts for row in connection.execute(query, {"some": part})]


def candidates(db: Database, keys: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (key, image id, view) of the newest photos of each of many keys, which are distinct."""
    if not keys:
        return []
    query = _CANDIDATES_SQLITE if db.is_sqlite else _CANDIDATES_POSTGRESQL
    given = f"[{','.join(map(str, keys))}]" if db.is_sqlite else list(keys)
    with db.read() as connection:
        return [tuple(row) for row in connection.execute(query, {"keys": given})]


def compared(db: Database, image_ids: Sequence[int], since_day: int) -> dict[int, ComparedImage]:
    """Return the photos of `image_ids` that have a thumbnail and came in on `since_day` or later."""
    query = sa.select(compared_images).where(
        compared_images.c.image_id.in_(sa.bindparam("some", expanding=True)),
        compared_images.c.received_day >= since_day,
        compared_images.c.thumbnail.is_not(None),
    )
    found = {}
    with db.read() as connection:
        for part in bulk.parts(image_ids):
            for row in connection.execute(query, {"some": part}):
                found[row.image_id] = ComparedImage._make(row)
    return found


def equal_files(db: Database, image_ids: Sequence[int], since_day: int) -> list[tuple[int, int]]:
    """Return (id, other id) of photos with equal files: the first one since a day, and those after each.

    Those that come after a photo are there if their chunk was compared before its own. At most MOST_OF_A_KEY
    of them are returned.
    """
    mine, other = compared_images.alias("mine"), compared_images.alias("other")
    first = (
        sa.select(other.c.image_id)
        .where(other.c.sha256_head == mine.c.sha256_head, other.c.received_day >= since_day)
        .order_by(other.c.image_id)
        .limit(1)
    )
    following = _equal_pairs(mine, first.where(other.c.image_id > mine.c.image_id))
    with db.read() as connection:
        found = _rows(connection, _equal_pairs(mine, first), image_ids)
        # From each photo that was found, the next one, as far as the first photo is equal to it too.
        chains = {image_id: image_id for image_id in image_ids}
        for _ in range(MOST_OF_A_KEY):
            after = dict(_rows(connection, following, sorted(set(chains.values()))))
            chains = {start: after[last] for start, last in chains.items() if last in after}
            if not chains:
                break
            found += chains.items()
    return found


def _equal_pairs(mine: Any, chosen: sa.Select[Any]) -> sa.Select[Any]:
    """Return the query of (id, other id) of some photos and the chosen photo with an equal file."""
    pairs = (
        sa.select(mine.c.image_id, chosen.scalar_subquery().label("other_id"))
        .where(mine.c.image_id.in_(sa.bindparam("some", expanding=True)))
        .subquery()
    )
    one, two = images.alias("one"), images.alias("two")
    return (
        sa.select(one.c.id, two.c.id)
        .select_from(pairs.join(one, one.c.id == pairs.c.image_id).join(two, two.c.id == pairs.c.other_id))
        .where(one.c.id != two.c.id, one.c.sha256 == two.c.sha256)
    )


def _rows(
    connection: sa.Connection, query: sa.Select[Any], image_ids: Sequence[int]
) -> list[tuple[int, int]]:
    parts = bulk.parts(image_ids)
    return [(row[0], row[1]) for part in parts for row in connection.execute(query, {"some": part})]


def end(db: Database, chunk_id: int, matches: Sequence[Match]) -> tuple[int, bool]:
    """Store the matches of a chunk's photos, and that they are compared. May run twice.

    Photos of one return are no match: an item is photographed several times. Returns how many photos are
    matched, and whether returns are to be judged because of them.
    """
    with db.write() as connection:
        belongs = lock(connection, [one for match in matches for one in match[:2]])
        kept = [
            match
            for match in matches
            if match.image_id in belongs
            and match.earlier_id in belongs
            and (belongs[match.image_id] is None or belongs[match.image_id] != belongs[match.earlier_id])
        ]
        stored = photo_matches.add(db, connection, kept)
        for table in (uncompared_chunks, held_comparisons):
            connection.execute(sa.delete(table).where(table.c.chunk_id == chunk_id))
    return stored


def forget(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Remove all that photos are compared by, and their matches, in the transaction that deletes them.

    The caller has locked the images. Photos that repeated one of them are compared again: they may repeat
    another photo.
    """
    repeated = photo_matches.remove(connection, image_ids)
    _remove_waiting(connection, image_ids)
    forget_pictures(connection, image_ids)
    _compare_again(connection, [each for each in repeated if each not in image_ids])
    connection.execute(sa.delete(compared_images).where(compared_images.c.image_id.in_(image_ids)))


def forget_pictures(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Remove thumbnails and keys of photos. Equal files are found further on."""
    these = compared_images.c.image_id.in_(image_ids)
    query = sa.select(compared_images).where(these, compared_images.c.packed_keys.is_not(None))
    rows = [
        dict(zip(("key_", "image_", "view_"), row, strict=True))
        for row in _keys_of(ComparedImage._make(row) for row in connection.execute(query))
    ]
    if rows:
        this = [image_keys.c[name] == sa.bindparam(f"{name.removesuffix('_id')}_") for name in _KEYS]
        connection.execute(sa.delete(image_keys).where(*this), rows)
    connection.execute(sa.update(compared_images).where(these).values(thumbnail=None, packed_keys=None))


def remove_old(db: Database, before_day: int, most: int) -> int:
    """Remove what photos are compared by that came in before a day; return how many. Matches stay."""
    query = (
        sa.select(compared_images.c.image_id)
        .where(compared_images.c.received_day < before_day)
        .order_by(compared_images.c.received_day)
        .limit(most)
    )
    with db.read() as connection:
        ids = list(connection.execute(query).scalars())
    for part in bulk.parts(ids):
        with db.write() as connection:
            forget_pictures(connection, part)
            connection.execute(sa.delete(compared_images).where(compared_images.c.image_id.in_(part)))
    return len(ids)


def _remove_waiting(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Remove photos that wait for their comparison."""
    of_images = sa.select(images.c.chunk_id).where(images.c.id.in_(image_ids))
    query = sa.select(uncompared_chunks).where(uncompared_chunks.c.chunk_id.in_(of_images)).with_for_update()
    for row in connection.execute(query).all():
        ids = [number for (number,) in struct.iter_unpack("<q", row.image_ids)]
        width = len(row.thumbnails) // max(1, len(ids))
        kept = [place for place, number in enumerate(ids) if number not in image_ids]
        connection.execute(
            sa.update(uncompared_chunks)
            .where(uncompared_chunks.c.chunk_id == row.chunk_id)
            .values(
                image_ids=b"".join(row.image_ids[place * 8 : place * 8 + 8] for place in kept),
                thumbnails=b"".join(row.thumbnails[place * width : (place + 1) * width] for place in kept),
            )
        )


def _compare_again(connection: sa.Connection, image_ids: Sequence[int]) -> None:
    """Let photos wait for a comparison again, without their thumbnails, which are in `compared_images`."""
    photos: dict[int, list[int]] = {}
    for part in bulk.parts(image_ids):
        query = sa.select(images.c.id, images.c.chunk_id).where(images.c.id.in_(part)).order_by(images.c.id)
        for row in connection.execute(query):
            photos.setdefault(row.chunk_id, []).append(row.id)
    for chunk_id, some in photos.items():
        this = uncompared_chunks.c.chunk_id == chunk_id
        added = struct.pack(f"<{len(some)}q", *some)
        held = connection.execute(sa.select(uncompared_chunks).where(this).with_for_update()).one_or_none()
        if held is None:
            keep(connection, chunk_id, Uncompared(added, b""))
        elif not held.thumbnails:
            # Else all photos of the chunk wait for their first comparison.
            connection.execute(
                sa.update(uncompared_chunks).where(this).values(image_ids=held.image_ids + added)
            )
