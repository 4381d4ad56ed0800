"""Moves objects within a bucket: copy, check, delete. Safe to repeat after any interruption.

No store moves an object in one step, or deletes it only if it is still the same. So the check of the source
stands directly before its deletion, for a few objects at a time. A newer object that comes under the same
name between the two, within milliseconds, is deleted with it, unless the bucket keeps versions.
"""

import contextlib
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from obstore.exceptions import PermissionDeniedError

from returns_pipeline.errors import PipelineError
from returns_pipeline.photos.file_identity import size_of
from returns_pipeline.photos.objects import requests
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


def is_in_parts(identity: str) -> bool:
    """Whether an object was sent in parts: its ETag depends on them, so that a copy has another one."""
    return "-" in etag(identity)


def move_all(pool: ThreadPoolExecutor, moves: Sequence[Move], progress: Callable[[], None]) -> list[int]:
    """Move objects, many at the same time. See PhotoSource.move."""
    found = _Found([], [], {})
    listed_places = _listed_places(moves)
    for start in range(0, len(moves), _TOGETHER):
        some = moves[start : start + _TOGETHER]
        # A process that stood still for longer than its lease ends here, before it changes anything.
        progress()
        copied = _copy_all(pool, some, listed_places, found)
        looks = list(pool.map(look_at_source, copied))
        progress()
        try:
            _remove_sources(pool, dict(zip(copied, looks, strict=True)), found)
        except PipelineError as fault:
            found.faults.append(fault)
    raise_first(*found)
    return found.gone


class _Found(NamedTuple):
    """Images whose photo is gone, faults of requests, and the images whose source may not be deleted."""

    gone: list[int]
    faults: list[PipelineError]
    immovable: dict[int, ImmovableFault]


def _copy_all(
    pool: ThreadPoolExecutor, moves: Sequence[Move], listed_places: Container[str], found: _Found
) -> list[Move]:
    """Copy objects; return those whose destination has the photo, and add what happens to the others."""
    copied: list[Move] = []
    for request, result in zip(
        moves, pool.map(lambda each: _copied(each, listed_places), moves), strict=True
    ):
        if isinstance(result, ImmovableFault):
            found.immovable[request.image_id] = result
        elif isinstance(result, PipelineError):
            found.faults.append(result)
        elif result:
            copied.append(request)
        else:
            found.gone.append(request.image_id)
    return copied


def _listed_places(moves: Iterable[Move]) -> set[str]:
    """Return the places of what lies in the destinations' folders; one request a folder."""
    found: set[str] = set()
    for folder in {each.destination.rpartition("/")[0] for each in moves}:
        bucket, prefix = Address.of(folder)
        try:
            for page in listed(bucket, prefix):
                found |= {f"{bucket}/{meta['path']}" for meta in page}
        except ERRORS as error:
            raise fault_of(folder, error) from error
    return found


def _copied(request: Move, listed_places: Container[str]) -> bool | PipelineError:
    """Copy one object; return whether its destination holds the classified photo now, or the fault.

    False: the source has another object, or none, and the destination has none.
    """
    if request.destination in listed_places:
        # A listing may show an object that is gone.
        found = _is_at_destination(request)
        if found is not False:
            return found
    (bucket, source), (_, target) = Address.of(request.source), Address.of(request.destination)
    store = store_of(bucket)
    try:
        requests.copy(store, source, target)
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            return fault_of(request.source, error)
        # Another process may have moved the photo since the destination was listed.
        return _is_at_destination(request)
    except PermissionDeniedError as error:
        return fault_of(request.destination, error)
    except ERRORS as error:
        return fault_of(request.source, error)
    return True


def _is_at_destination(request: Move) -> bool | PipelineError:
    """Whether the destination has the photo; a fault if it has another one."""
    bucket, key = Address.of(request.destination)
    try:
        there = identity_of(requests.head(store_of(bucket), key))
    except FileNotFoundError:
        return False
    except ERRORS as error:
        return fault_of(request.destination, error)
    return _is_copy(there, request) or another_photo(request.destination)


class Look(NamedTuple):
    """What lies at a source: its identity, None if there is none, or why it cannot be told."""

    identity: str | None
    fault: PipelineError | None = None


def _remove_sources(pool: ThreadPoolExecutor, copied: Mapping[Move, Look], found: _Found) -> None:
    """Delete sources that are still the classified photos. Raises the first fault of a request."""
    removable: list[Move] = []
    for request, look in copied.items():
        if look.fault:
            raise look.fault
        if look.identity == request.identity:
            removable.append(request)
        elif look.identity is not None and not _keep_copy(request):
            found.gone.append(request.image_id)
    try:
        _delete(removable)
    except ImmovableFault as fault:
        found.immovable.update(_staying(pool, removable, fault))


def _staying(
    pool: ThreadPoolExecutor, moves: Sequence[Move], fault: ImmovableFault
) -> dict[int, ImmovableFault]:
    """Return the fault of each photo that was not deleted with the others, and remove its copy.

    The archive would have it twice otherwise. Where the copy may not be removed either, it stays.
    """
    found: dict[int, ImmovableFault] = {}
    for request, look in zip(moves, pool.map(look_at_source, moves), strict=True):
        if look.fault:
            raise look.fault
        if look.identity is not None:
            found[request.image_id] = fault
        if look.identity == request.identity:
            bucket, key = Address.of(request.destination)
            with contextlib.suppress(*ERRORS):
                requests.delete(store_of(bucket), key)
    return found


def look_at_source(request: Move) -> Look:
    """Return what lies at the source of a move."""
    bucket, key = Address.of(request.source)
    try:
        return Look(identity_of(requests.head(store_of(bucket), key)))
    except FileNotFoundError:
        return Look(None)
    except ERRORS as error:
        return Look(None, fault_of(request.source, error))


def _keep_copy(request: Move) -> bool:
    """Whether the destination has the classified photo although a newer one lies at its source.

    A copy of the newer photo is removed; that photo itself stays in the intake. The contents are compared,
    because some stores give a copy another ETag.
    """
    (bucket, source), (_, target) = Address.of(request.source), Address.of(request.destination)
    store = store_of(bucket)
    try:
        there = requests.get(store, target)
        if identity_of(there.meta) == request.identity:
            return True
        if bytes(there.bytes()) != bytes(requests.get(store, source).bytes()):
            return size_of(identity_of(there.meta)) == size_of(request.identity)
        requests.delete(store, target)
    except FileNotFoundError:
        return False
    except ERRORS as error:
        raise fault_of(request.destination, error) from error
    return False


def _delete(moves: Sequence[Move]) -> None:
    """Delete sources; try each. Raises ImmovableFault if one may not be deleted, or the first fault."""
    if not moves:
        return
    bucket = Address.of(moves[0].source).bucket
    keys = [Address.of(each.source).key for each in moves]
    store = store_of(bucket)
    errors: list[Exception] = []
    for some in [keys] if deletes_together(store) else [[key] for key in keys]:
        try:
            with contextlib.suppress(FileNotFoundError):
                requests.delete(store, some)
        except ERRORS as error:
            errors.append(error)
    for denied in errors:
        if isinstance(denied, PermissionDeniedError) or "AccessDenied" in str(denied):
            raise ImmovableFault(
                "The photo stays in {folder}, because it cannot be deleted there: {reason}.",
                "Let the workers' credentials delete objects of the intake.",
                folder=moves[0].source.rpartition("/")[0],
                reason=reason_of(denied),
            ) from denied
    if errors:
        raise fault_of(moves[0].source, errors[0]) from errors[0]


def _is_copy(there: str, request: Move) -> bool:
    """Whether an object may be a copy of the classified photo. Its ETag may differ, its size may not."""
    return size_of(there) == size_of(request.identity)
