"""Finds out what a place of a store lacks: writes an object there, reads, copies and deletes it."""

import contextlib
import uuid

from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.intake_rules import OWN_PREFIX
from returns_pipeline.photos.objects import requests
from returns_pipeline.photos.objects.stores import ERRORS, Address, reason_of, require_bucket, store_of

_CONTENT, _OTHER = b"doctor", b"another"


class UnwritableFault(ConfigFault):
    """A place of a store that can be listed, and where no object can be written."""


def require_usable(place: str) -> None:
    """Raise ConfigFault, with a sentence about what is missing, unless a place is as the program needs it.

    It must be listed, and objects must be written, kept if another one is written on the condition that
    there is none, read, copied and deleted. The objects of the test are deleted as far as that is possible.
    Raises UnwritableFault if it can only be listed, TransientFault if the store does not answer.
    """
    bucket, prefix = Address.of(place)
    require_bucket(bucket, prefix)
    store = store_of(bucket)
    key = f"{prefix}/{OWN_PREFIX}doctor-{uuid.uuid4().hex}".lstrip("/")
    copy = f"{key}-copy"
    try:
        _require_written(store, place, key)
        _require_kept(store, place, key)
        _require_read(store, place, key)
        _require_copied(store, place, key, copy)
        _require_deleted(store, place, [key, copy])
    finally:
        for each in (key, copy):
            with contextlib.suppress(*ERRORS):
                requests.delete(store, each)


def _require_written(store: ObjectStore, place: str, key: str) -> None:
    try:
        requests.put(store, key, _CONTENT)
    except ERRORS as error:
        raise UnwritableFault(
            "No object can be written to {place}: {reason}.",
            "Let the credentials write objects there.",
            place=place,
            reason=reason_of(error),
        ) from error


def _require_kept(store: ObjectStore, place: str, key: str) -> None:
    try:
        requests.put(store, key, _OTHER, mode="create")
    except AlreadyExistsError:
        return
    except ERRORS as error:
        raise ConfigFault(
            "The store of {place} refuses to write an object on the condition that there is none: {reason}.",
            "Use a store that supports conditional writes (If-None-Match): without them a photo may replace "
            "another one.",
            place=place,
            reason=reason_of(error),
        ) from error
    raise ConfigFault(
        "The store of {place} replaces an object that it was asked to keep: it ignores conditions.",
        "Use a store that supports conditional writes (If-None-Match): without them a photo may replace "
        "another one.",
        place=place,
    )


def _require_read(store: ObjectStore, place: str, key: str) -> None:
    try:
        found = bytes(requests.get(store, key).bytes())
    except ERRORS as error:
        raise ConfigFault(
            "No object of {place} can be read: {reason}.",
            "Let the credentials read objects there.",
            place=place,
            reason=reason_of(error),
        ) from error
    if found != _CONTENT:
        raise ConfigFault(
            "An object of {place} was read with another content than it was written with.",
            "Look for a cache or a proxy between this machine and the store.",
            place=place,
        )


def _require_copied(store: ObjectStore, place: str, key: str, copy: str) -> None:
    try:
        requests.copy(store, key, copy)
    except ERRORS as error:
        raise ConfigFault(
            "The store copies no object of {place}: {reason}.",
            "Let the credentials read and write objects there, with their tags.",
            place=place,
            reason=reason_of(error),
        ) from error


def _require_deleted(store: ObjectStore, place: str, keys: list[str]) -> None:
    reason = "it is still there"
    try:
        for each in keys:
            requests.delete(store, each)
        requests.head(store, keys[0])
    except FileNotFoundError:
        return
    except ERRORS as error:
        reason = reason_of(error)
    raise ConfigFault(
        "No object of {place} can be deleted: {reason}. {key} stays.",
        "Let the credentials delete objects there. Then delete that one.",
        place=place,
        reason=reason,
        key=keys[0],
    )
