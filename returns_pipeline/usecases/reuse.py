"""Compares the photos of finished chunks with all photos before them. May run twice, and be interrupted.

Thumbnails are stored with the results of a chunk. Keys, candidates and comparisons come after the run is
closed, so that the night does not wait for them. The steps for one chunk:

1. Keys and thumbnails are committed.
2. Candidates are found by the keys, and compared.
3. The matches are committed, together with the end of the chunk's comparison.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import structlog

from returns_pipeline.errors import TransientFault
from returns_pipeline.photos.likeness import comparison, keys, thumbnails
from returns_pipeline.photos.likeness.thumbnails import Integers
from returns_pipeline.records.likeness import VIEWS, ComparedImage, Match, MatchKind
from returns_pipeline.records.tasks import CONTROL, Task
from returns_pipeline.store import held_comparisons, likeness
from returns_pipeline.store.database import Database
from returns_pipeline.store.fingerprints import head
from returns_pipeline.usecases.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds after which a task sends the next one. Scans and the ends of runs share its queue and wait for it.
_TASK_SECONDS = 1.0
#: Messages in the queue from which on a task sends itself no more. The sweep sends the next one.
MOST_WAITING = 10
#: Photos that are compared together: it bounds the memory.
_AT_ONCE = 256
#: Photos with which one is compared at most. It bounds the time among millions of photos.
_MOST_CANDIDATES = 64
#: Photos that one sweep removes; a day of 100,000 photos goes within minutes.
_MOST_REMOVED = 5000


class _Found(NamedTuple):
    """Candidates: positions in the searched keys, and the ids and views of the stored photos."""

    positions: Integers
    image_ids: Integers
    views: Integers


def match_photos(context: Context, chunk_id: int | None = None) -> None:
    """Compare the photos of `chunk_id` and then of every chunk that waits, for a second.

    A task that finds a chunk sends one message more if none waits in its queue: another worker may be idle.
    If more chunks wait at its end, it sends itself again. So all control workers divide the chunks, and a
    scan waits for at most two tasks.
    """
    until, has_called = time.monotonic() + _TASK_SECONDS, False
    if chunk_id is not None:
        match_chunk(context, chunk_id)
    while time.monotonic() < until:
        chunk_id = held_comparisons.hold(context.db, context.settings.lease_seconds)
        if chunk_id is None:
            return
        try:
            if not has_called and not context.queue.lengths()[CONTROL]:
                context.send(Task.MATCH_PHOTOS)
            has_called = True
            match_chunk(context, chunk_id)
        except TransientFault:
            held_comparisons.release(context.db, chunk_id)
            raise
    if context.queue.lengths()[CONTROL] < MOST_WAITING:
        context.send(Task.MATCH_PHOTOS)


def send_if_lost(context: Context) -> None:
    """Send the task if a chunk has waited for long and few messages wait: for the sweep."""
    if (
        likeness.lost(context.db, context.settings.resend_seconds)
        and context.queue.lengths()[CONTROL] < MOST_WAITING
    ):
        context.send(Task.MATCH_PHOTOS)


def match_chunk(context: Context, chunk_id: int) -> None:
    """Store the matches of one chunk's photos."""
    waiting = likeness.read(context.db, chunk_id)
    if waiting is None:
        held_comparisons.release(context.db, chunk_id)
        return
    since = waiting.day - context.settings.reuse_days
    photos = _photos(context.db, waiting)
    likeness.add_present(context.db, with_keys(photos))
    equal = likeness.equal_files(context.db, [each.image_id for each in photos], since)
    matches = [Match(max(pair), min(pair), MatchKind.EXACT, 0.0) for pair in equal]
    matches += near_matches(context.db, photos, since)
    matched, is_of_return = likeness.end(context.db, chunk_id, matches)
    log.info("photos_matched", chunk=chunk_id, images=len(photos), matches=matched)
    if is_of_return:
        context.send(Task.JUDGE_RETURNS)


def _photos(db: Database, waiting: likeness.Waiting) -> list[ComparedImage]:
    """Return the photos of a chunk that count. Those that are compared again have a stored thumbnail."""
    ids = np.frombuffer(waiting.photos.image_ids, "<i8").tolist()
    kept = np.frombuffer(waiting.photos.thumbnails, np.uint8).reshape(-1, thumbnails.BYTES)
    thumbs: dict[int, bytes | None] = {}
    if len(kept):
        thumbs = dict(zip(ids, (each.tobytes() for each in kept), strict=True))
    else:
        thumbs = {each.image_id: each.thumbnail for each in likeness.compared(db, ids, 0).values()}
    return [
        ComparedImage(image_id, waiting.day, head(waiting.digests[image_id]), thumbs.get(image_id))
        for image_id in ids
        if image_id in waiting.digests
    ]


def remove_old(context: Context, now: datetime) -> None:
    """Remove what photos are compared by that are older than RETURNS_REUSE_DAYS, some at a time."""
    before = int(now.timestamp()) // 86_400 - context.settings.reuse_days
    likeness.remove_old(context.db, before, _MOST_REMOVED)


def with_keys(photos: Sequence[ComparedImage]) -> list[ComparedImage]:
    """Return photos with the keys by which later photos find them, if they have a thumbnail."""
    pictures = [each for each in photos if each.thumbnail is not None]
    if not pictures:
        return list(photos)
    stored = keys.stored_keys(thumbnails.luma(_stacked(pictures)))
    packed = stored.keys * VIEWS + stored.views
    keyed = {
        each.image_id: packed[stored.pictures == place].astype("<i8").tobytes()
        for place, each in enumerate(pictures)
    }
    return [each._replace(packed_keys=keyed.get(each.image_id)) for each in photos]


def near_matches(db: Database, photos: Sequence[ComparedImage], since_day: int) -> list[Match]:
    """Return every pair of one of `photos` and a stored photo that show one picture."""
    with_thumbnails = [each for each in photos if each.thumbnail]
    matches = []
    for start in range(0, len(with_thumbnails), _AT_ONCE):
        matches += _near_matches(db, with_thumbnails[start : start + _AT_ONCE], since_day)
    return matches


def _near_matches(db: Database, photos: Sequence[ComparedImage], since_day: int) -> list[Match]:
    thumbs = _stacked(photos)
    ids = np.array([each.image_id for each in photos])
    searched = keys.searched_keys(thumbnails.luma(thumbs))
    found = _candidates(db, searched.keys)
    # A photo is its own candidate.
    other = found.image_ids != ids[searched.pictures[found.positions]]
    found = _Found(*(each[other] for each in found))
    found = _most_hit(searched.pictures[found.positions], found)
    stored = likeness.compared(db, np.unique(found.image_ids).tolist(), since_day)
    known = np.array([each in stored for each in found.image_ids.tolist()], bool)
    found = _Found(*(each[known] for each in found))
    if not len(found.positions):
        return []
    place_of = {image_id: place for place, image_id in enumerate(stored)}
    places = np.array([place_of[each] for each in found.image_ids.tolist()])
    theirs = _stacked(list(stored.values()))[places]
    pictures = searched.pictures[found.positions]
    mine = thumbs[pictures]
    one = comparison.Seen(
        thumbnails.luma(mine),
        thumbnails.colours(mine),
        searched.windows[found.positions],
        searched.turns[found.positions],
    )
    luma = thumbnails.luma(theirs)
    two = comparison.Seen(luma, thumbnails.colours(theirs), *keys.stored_views(luma, found.views))
    best = _best_views(pictures, found.image_ids, comparison.correlations(one, two))
    if not len(best):
        return []
    mine_ids, their_ids = ids[pictures[best]].tolist(), found.image_ids[best].tolist()
    compared = comparison.compare(one.only(best), two.only(best))
    matches = []
    for place in np.flatnonzero(compared.distances < comparison.DIFFERENT).tolist():
        mine_id, their_id = mine_ids[place], their_ids[place]
        changes = compared.changes(place, is_later=mine_id > their_id)
        distance = float(compared.distances[place])
        matches.append(
            Match(max(mine_id, their_id), min(mine_id, their_id), MatchKind.NEAR, distance, changes)
        )
    return matches


def _candidates(db: Database, searched: Integers) -> _Found:
    """Return the stored photos of each searched key."""
    wanted, positions = np.unique(searched, return_inverse=True)
    rows = np.array(likeness.candidates(db, wanted.tolist()), np.int64).reshape(-1, 3)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.searchsorted(rows[:, 0], wanted, "left")
    counts = np.searchsorted(rows[:, 0], wanted, "right") - first
    many = counts[positions]
    repeated = np.repeat(np.arange(len(searched)), many)
    within = np.arange(len(repeated)) - np.repeat(np.cumsum(many) - many, many)
    at = np.repeat(first[positions], many) + within
    return _Found(repeated, rows[at, 1], rows[at, 2])


def _most_hit(pictures: Integers, found: _Found) -> _Found:
    """Keep the candidates of each picture that share most keys with it: among millions, many share one."""
    pairs, pair_of, hits = np.unique(
        np.stack([pictures, found.image_ids]), axis=1, return_inverse=True, return_counts=True
    )
    # By picture, then by keys, then the newest.
    order = np.lexsort((-pairs[1], -hits, pairs[0]))
    first = np.searchsorted(pairs[0][order], pairs[0][order], "left")
    is_kept = np.zeros(len(hits), bool)
    is_kept[order[np.arange(len(order)) - first < _MOST_CANDIDATES]] = True
    return _Found(*(each[is_kept[pair_of.ravel()]] for each in found))


def _best_views(pictures: Integers, image_ids: Integers, correlation: thumbnails.Floats) -> Integers:
    """Return the places of the best view of each pair that is worth comparing."""
    order = np.lexsort((-correlation, image_ids, pictures))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (np.diff(pictures[order]) != 0) | (np.diff(image_ids[order]) != 0)
    order = order[is_first]
    return order[comparison.is_worth_comparing(correlation[order])]


def _stacked(photos: Sequence[ComparedImage]) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    empty = bytes(thumbnails.BYTES)
    joined = b"".join(each.thumbnail or empty for each in photos)
    return np.frombuffer(joined, np.uint8).reshape(-1, thumbnails.BYTES)
