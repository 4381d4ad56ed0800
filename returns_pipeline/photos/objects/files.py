"""Whole files in an object store that are no photos: reports and model bundles."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import AzureStore, GCSStore, S3Store

from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, NotFoundError, TransientFault
from returns_pipeline.photos.objects import requests
from returns_pipeline.photos.objects.stores import ERRORS, Address, fault_of, reason_of, store_of
from returns_pipeline.photos.source import require_size

#: How long a presigned address works.
_LINK_LASTS = timedelta(minutes=5)


def write(place: str, file: Path, kind: str = "application/octet-stream") -> None:
    """Write a file of this machine, in parts if it is large, over an earlier one; it is whole or absent.

    A browser saves it and never shows it as a page. Raises TransientFault.
    """
    bucket, key = Address.of(place)
    name = key.rpartition("/")[2]
    attributes = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    try:
        requests.put(store_of(bucket), key, file, attributes=attributes)
    except ERRORS as error:
        raise TransientFault(
            "{path} cannot be written: {reason}.",
            "Check the store and its credentials; the sweep tries again.",
            path=place,
            reason=reason_of(error),
        ) from error


def create(place: str, content: bytes) -> bool:
    """Write a new object; return False if there is one already. Raises TransientFault."""
    bucket, key = Address.of(place)
    try:
        requests.put(store_of(bucket), key, content, mode="create")
    except AlreadyExistsError:
        return False
    except ERRORS as error:
        raise fault_of(place, error) from error
    return True


def exists(place: str) -> bool:
    """Whether there is an object. Raises TransientFault."""
    bucket, key = Address.of(place)
    try:
        requests.head(store_of(bucket), key)
    except FileNotFoundError:
        return False
    except ERRORS as error:
        raise fault_of(place, error) from error
    return True


def read(place: str, most_bytes: int) -> bytes:
    """Return the content of an object. Raises ImageFault: vanished, empty_file, too_large; TransientFault."""
    bucket, key = Address.of(place)
    try:
        response = requests.get(store_of(bucket), key)
        require_size(response.meta["size"], most_bytes)
        return bytes(response.bytes())
    except ERRORS as error:
        raise fault_of(place, error) from error


def stream(place: str) -> Iterator[bytes]:
    """Return the content of an object, in parts. Raises NotFoundError before the first, TransientFault."""
    bucket, key = Address.of(place)
    try:
        response = requests.get(store_of(bucket), key)
    except ERRORS as error:
        fault = fault_of(place, error)
        if isinstance(fault, ImageFault) and fault.code is FaultCode.VANISHED:
            raise NotFoundError("There is no object {place}.", place=place) from None
        raise fault from error
    return _parts(place, response.stream())


def _parts(place: str, parts: "Iterator[object]") -> Iterator[bytes]:
    try:
        for part in parts:
            yield bytes(cast("bytes", part))
    except ERRORS as error:
        raise fault_of(place, error) from error


def link(place: str) -> str:
    """Return an address that anybody may read the object at for some minutes, without credentials.

    Raises as `signed`.
    """
    return signed(place, "GET", _LINK_LASTS)


def signed(place: str, method: Literal["GET", "PUT"], lasts: timedelta) -> str:
    """Return an address of an object for one method that needs no credentials. Sends no request.

    Raises ConfigFault if the store cannot sign addresses with its credentials.
    """
    bucket, key = Address.of(place)
    store = store_of(bucket)
    if not isinstance(store, S3Store | GCSStore | AzureStore):
        raise TypeError(bucket)
    try:
        return obstore.sign(store, method, key, lasts)
    except ERRORS as error:
        raise ConfigFault(
            "The object store {bucket} signs no addresses: {reason}.",
            "Use credentials with a key, or set RETURNS_OBJECT_LINKS=stream.",
            bucket=bucket,
            reason=reason_of(error),
        ) from error
