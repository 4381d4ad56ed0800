"""Moves photos between kinds of places, for example from a folder into a bucket: read, write, delete.

Safe to repeat after any interruption. The photo is read with its identity, so a newer one is never carried.
It is written so that its destination has all of it or nothing.
"""

import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from returns_pipeline.errors import FaultCode, ImageFault, PipelineError
from returns_pipeline.photos.file_identity import size_of
from returns_pipeline.photos.source import ImmovableFault, PhotoSource, another_photo, raise_first
from returns_pipeline.records.images import Move, PendingImage
from returns_pipeline.records.places import is_object
from returns_pipeline.records.removal import StoredFile

#: Photos that are carried at the same time; each is whole in memory.
_MOST = 8
#: A photo that is moved has passed the limits of its run.
_ANY_SIZE = 2**63


def carry_all(photos: PhotoSource, moves: Sequence[Move], progress: Callable[[], None]) -> list[int]:
    """Move photos. `photos` is the source of both kinds of places. See PhotoSource.move."""
    gone: list[int] = []
    faults: list[PipelineError] = []
    immovable: dict[int, ImmovableFault] = {}
    with ThreadPoolExecutor(_MOST, "carry") as pool:
        for move, result in zip(moves, pool.map(partial(_result, photos), moves), strict=True):
            progress()
            if isinstance(result, ImmovableFault):
                immovable[move.image_id] = result
            elif isinstance(result, PipelineError):
                faults.append(result)
            elif not result:
                gone.append(move.image_id)
    raise_first(gone, faults, immovable)
    return gone


def _result(photos: PhotoSource, move: Move) -> bool | PipelineError:
    try:
        return _carried(photos, move)
    except PipelineError as fault:
        return fault


def _carried(photos: PhotoSource, move: Move) -> bool:
    """Return whether the photo is at its destination now; False: its source has another one, or none."""
    size = size_of(move.identity)
    try:
        content = photos.read(PendingImage(move.image_id, move.source, size, move.identity), _ANY_SIZE)
    except ImageFault as fault:
        if fault.code is FaultCode.EMPTY_FILE:
            content = b""
        elif fault.code in {FaultCode.VANISHED, FaultCode.CHANGED}:
            there = photos.describe(move.destination)
            return bool(there.identity) and there.size == size
        else:
            raise ImmovableFault(
                "The photo stays in {folder}, because it cannot be read.", folder=_folder(move.source)
            ) from fault
    _write_whole(photos, move, content)
    stored = StoredFile(move.image_id, move.source, _folder(move.source), size, move.identity, None)
    removed = photos.remove_originals([stored])[move.image_id]
    if isinstance(removed, PipelineError) and not isinstance(removed, ImageFault):
        # The copy is whole, and a repetition finds it; only the original could not be deleted.
        raise ImmovableFault(
            "The photo stays in {folder}, because it cannot be deleted there.",
            "Let the workers' user delete files there.",
            folder=_folder(move.source),
        ) from removed
    return True


def _write_whole(photos: PhotoSource, move: Move, content: bytes) -> None:
    """Write a photo durably. Raises ConfigFault if another one lies at its destination."""
    if is_object(move.destination):
        photos.put_all(_folder(move.destination), [(_name(move.destination), content)])
        return
    draft_name = f".{move.image_id}.{uuid.uuid4().hex}.part"
    (draft,) = photos.put_all(_folder(move.destination), [(draft_name, content)])
    try:
        with Path(draft.path).open("rb") as stream:
            os.fsync(stream.fileno())
        there = photos.describe(move.destination)
        if not there.identity:
            photos.move([Move(move.image_id, draft.path, move.destination, draft.identity)], lambda: None)
        elif there.size != len(content):
            raise another_photo(move.destination)
    finally:
        photos.remove(draft.path)


def _folder(place: str) -> str:
    return place.rpartition("/")[0]


def _name(place: str) -> str:
    return place.rpartition("/")[2]
