"""Opens buckets, and says what an error of theirs means.

Credentials and addresses come from the usual variables of each store, for example AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_CONNECTION_STRING, or from the role of the machine.
"""

import os
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple, cast

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, S3Store, from_url

from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError, TransientFault

#: What obstore raises: its own errors, and Python's for what is missing.
ERRORS = (BaseError, NotFoundError, OSError)

#: Requests that one process has under way in all its threads.
MOST_REQUESTS = 32
#: A request is repeated for this long if the store is busy or the connection breaks, with growing pauses.
_RETRY_SECONDS = 60
_MOST_RETRIES = 8
_REQUEST_SECONDS = 30
#: Variables of S3 that name an address without TLS: a store of one's own network.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")


class Address(NamedTuple):
    """The parts of a place: `bucket` as SCHEME://NAME, and the key of an object or a prefix."""

    bucket: str
    key: str

    @classmethod
    def of(cls, place: str) -> "Address":
        """Return the parts of SCHEME://NAME/KEY."""
        scheme, _, rest = place.partition("://")
        name, _, key = rest.partition("/")
        return cls(f"{scheme}://{name}", key)


@cache
def store_of(bucket: str) -> ObjectStore:
    """Return the store of SCHEME://NAME, opened once in each process. Nothing is sent yet.

    Raises ConfigFault if a variable of the store has no valid value.
    """
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "allow_http": any(os.environ.get(name, "").startswith("http://") for name in _ENDPOINTS),
        "pool_max_idle_per_host": str(MOST_REQUESTS),
    }
    retries: dict[str, Any] = {
        "max_retries": _MOST_RETRIES,
        "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
    }
    try:
        return cast("ObjectStore", from_url(bucket, client_options=options, retry_config=retries))
    except ERRORS as error:
        raise ConfigFault(
            "The object store {bucket} cannot be opened: {reason}.",
            "Correct the variables of the store; docs/object-storage.md lists them.",
            bucket=bucket,
            reason=reason_of(error),
        ) from error


def deletes_together(store: ObjectStore) -> bool:
    """Whether one request deletes many objects."""
    return isinstance(store, S3Store)


def require_bucket(bucket: str, prefix: str) -> None:
    """Raise ConfigFault unless the bucket can be listed, TransientFault if the store does not answer."""
    try:
        next(iter(obstore.list(store_of(bucket), prefix or None, chunk_size=1)), None)
    except (NotFoundError, PermissionDeniedError, UnauthenticatedError) as error:
        raise ConfigFault(
            "The object store {bucket} cannot be listed: {reason}.",
            "Create the bucket, or correct its name and the credentials; docs/object-storage.md lists the "
            "variables.",
            bucket=bucket,
            reason=reason_of(error),
        ) from error
    except ERRORS as error:
        raise fault_of(bucket, error) from error


def fault_of(place: str, error: Exception) -> PipelineError:
    """Return what an error means: the object is at fault, or the store."""
    if isinstance(error, PreconditionError):
        return ImageFault(FaultCode.CHANGED)
    if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
        return ImageFault(FaultCode.VANISHED)
    return TransientFault(
        "The object store refused {place}: {reason}.",
        "Check the store and its credentials; the sweep tries again.",
        place=place,
        reason=reason_of(error),
    )


def reason_of(error: Exception) -> str:
    """Return the first line of an error, without the response's body and a final full stop."""
    first = str(error).strip().partition("\n")[0].partition("<?xml")[0]
    return first.strip(" .:") or type(error).__name__
