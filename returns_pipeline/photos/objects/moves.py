"""Moves objects within a bucket: copy, check, delete. Safe to repeat after any interruption.

No store moves an object in one step, or deletes it only if it is still the same. So the check of the source
stands directly before its deletion, for a few objects at a time. A newer object that comes under the same
name between the two, within milliseconds, is deleted with it, unless the bucket keeps versions.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import obstore
from obstore.exceptions import PermissionDeniedError

from returns_pipeline.errors import PipelineError
from returns_pipeline.photos.objects.stores import (
    ERRORS,
    Address,
    deletes_together,
    fault_of,
    listed,
    reason_of,
    store_of,
)
from returns_pipeline.photos.source import ImmovableFault, another_photo, raise_first
from returns_pipeline.records.images import Move

if TYPE_CHECKING:
    from obstore import ObjectMeta  # the module has it for type checkers only

#: Objects between whose check and deletion no other request stands.
_TOGETHER = 32
_QUOTE = '"'


def identity_of(meta: "ObjectMeta") -> str:
    """Return the identity of an object: SIZE-ETAG.

    Azure has quotes around an ETag in some responses only, so they are left out.
    """
    tag = meta["e_tag"] or meta["last_modified"].isoformat()
    return f"{meta['size']}-{tag.strip(_QUOTE)}"


def etag(identity: str) -> str:
    """Return the ETag of an identity as a condition of a request spells it."""
    return f"{_QUOTE}{identity.partition('-')[2]}{_QUOTE}"


def size_of(identity: str) -> int:
    """Return the size of an identity, in bytes."""
    return int(identity.partition("-")[0])


def is_in_parts(identity: str) -> bool:
    """Whether an object was sent in parts: its ETag depends on them, so that a copy has another one."""
    return "-" in etag(identity)


def move_all(pool: ThreadPoolExecutor, moves: Sequence[Move], progress: Callable[[], None]) -> list[int]:
    """Move objects, many at the same time. See PhotoSource.move."""
    listings = _listings(moves)
    gone: list[int] = []
    faults: list[PipelineError] = []
    immovable: dict[int, ImmovableFault] = {}
    for start in range(0, len(moves), _TOGETHER):
        some = moves[start : start + _TOGETHER]
        copied: list[Move] = []
        for request, result in zip(some, pool.map(lambda each: _copied(each, listings), some), strict=True):
            progress()
            if isinstance(result, ImmovableFault):
                immovable[request.image_id] = result
            elif isinstance(result, PipelineError):
                faults.append(result)
            elif result:
                copied.append(request)
            else:
                gone.append(request.image_id)
        try:
            gone += _remove_sources(pool, copied)
        except ImmovableFault as fault:
            immovable |= dict.fromkeys((each.image_id for each in copied), fault)
        except PipelineError as fault:
            faults.append(fault)
    raise_first(gone, faults, immovable)
    return gone


def _listings(moves: Iterable[Move]) -> dict[str, str]:
    """Return the identities of what lies in the destinations' folders, by place; one request a folder."""
    found: dict[str, str] = {}
    for folder in {each.destination.rpartition("/")[0] for each in moves}:
        bucket, prefix = Address.of(folder)
        try:
            for page in listed(bucket, prefix):
                found |= {f"{bucket}/{meta['path']}": identity_of(meta) for meta in page}
        except ERRORS as error:
            raise fault_of(folder, error) from error
    return found


def _copied(request: Move, listings: dict[str, str]) -> bool | PipelineError:
    """Copy one object; return whether its destination holds the classified photo now, or the fault.

    False: the source has another object, or none, and the destination has none.
    """
    if (there := listings.get(request.destination)) is not None:
        return _is_copy(there, request) or another_photo(request.destination)
    (bucket, source), (_, target) = Address.of(request.source), Address.of(request.destination)
    store = store_of(bucket)
    try:
        obstore.copy(store, source, target)
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            return fault_of(request.source, error)
        return _is_moved(request)
    except PermissionDeniedError as error:
        return fault_of(request.destination, error)
    except ERRORS as error:
        return fault_of(request.source, error)
    return True


def _is_moved(request: Move) -> bool | PipelineError:
    """Whether another process has moved the photo since the destination was listed."""
    bucket, key = Address.of(request.destination)
    try:
        there = identity_of(obstore.head(store_of(bucket), key))
    except FileNotFoundError:
        return False
    except ERRORS as error:
        return fault_of(request.destination, error)
    return _is_copy(there, request) or another_photo(request.destination)


class _Look(NamedTuple):
    """What lies at a source: its identity, None if there is none, or why it cannot be told."""

    identity: str | None
    fault: PipelineError | None = None


def _remove_sources(pool: ThreadPoolExecutor, copied: Sequence[Move]) -> list[int]:
    """Delete sources that are still the classified photos; return images whose copy is of a newer one.

    Raises the first fault of a request, and ImmovableFault if objects may not be deleted.
    """
    gone: list[int] = []
    removable: list[Move] = []
    for request, look in zip(copied, pool.map(_look, copied), strict=True):
        if look.fault:
            raise look.fault
        if look.identity == request.identity:
            removable.append(request)
        elif look.identity is not None and not _keep_copy(request):
            gone.append(request.image_id)
    if removable:
        _delete(removable)
    return gone


def _look(request: Move) -> _Look:
    bucket, key = Address.of(request.source)
    try:
        return _Look(identity_of(obstore.head(store_of(bucket), key)))
    except FileNotFoundError:
        return _Look(None)
    except ERRORS as error:
        return _Look(None, fault_of(request.source, error))


def _keep_copy(request: Move) -> bool:
    """Whether the destination has the classified photo although a newer one lies at its source.

    A copy of the newer photo is removed; that photo itself stays in the intake. The contents are compared,
    because some stores give a copy another ETag.
    """
    (bucket, source), (_, target) = Address.of(request.source), Address.of(request.destination)
    store = store_of(bucket)
    try:
        there = obstore.get(store, target)
        if identity_of(there.meta) == request.identity:
            return True
        if bytes(there.bytes()) != bytes(obstore.get(store, source).bytes()):
            return size_of(identity_of(there.meta)) == size_of(request.identity)
        obstore.delete(store, target)
    except FileNotFoundError:
        return False
    except ERRORS as error:
        raise fault_of(request.destination, error) from error
    return False


def _delete(moves: Sequence[Move]) -> None:
    bucket = Address.of(moves[0].source).bucket
    keys = [Address.of(each.source).key for each in moves]
    store = store_of(bucket)
    try:
        for some in [keys] if deletes_together(store) else [[key] for key in keys]:
            obstore.delete(store, some)
    except FileNotFoundError:
        return
    except ERRORS as error:
        if isinstance(error, PermissionDeniedError) or "AccessDenied" in str(error):
            _remove_copies(moves)
            raise ImmovableFault(
                "The photo stays in {folder}, because it cannot be deleted there: {reason}.",
                "Let the workers' credentials delete objects of the intake.",
                folder=moves[0].source.rpartition("/")[0],
                reason=reason_of(error),
            ) from error
        raise fault_of(moves[0].source, error) from error


def _remove_copies(moves: Sequence[Move]) -> None:
    """Remove the copies of photos that stay, where that is allowed: the archive would have them twice."""
    for each in moves:
        bucket, key = Address.of(each.destination)
        with contextlib.suppress(*ERRORS):
            obstore.delete(store_of(bucket), key)


def _is_copy(there: str, request: Move) -> bool:
    """Whether an object may be a copy of the classified photo. Its ETag may differ, its size may not."""
    return size_of(there) == size_of(request.identity)
