"""Opens buckets, and says what an error of theirs means.

Credentials and addresses come from the usual variables of each store, for example AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, from a profile of S3, or from
the role of the machine.
"""

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

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
from returns_pipeline.photos.objects import profiles
from returns_pipeline.photos.sent_requests import add

if TYPE_CHECKING:
    from obstore import ObjectMeta  # the module has it for type checkers only

#: What obstore raises: its own errors, and Python's for what is missing.
ERRORS = (BaseError, NotFoundError, OSError)

#: Requests that one process has under way in all its threads.
MOST_REQUESTS = 32
#: A request is repeated for this long if the store is busy or the connection breaks, with growing pauses.
_RETRY_SECONDS = 60
_MOST_RETRIES = 8
_REQUEST_SECONDS = 30
#: The most keys of one page of a listing, in S3.
_PAGE = 1000
#: obstore repeats requests that were refused, but no listing whose body ends too early.
_CUT_OFF = "response body"
#: What stands before the status of a response, and how a listing of a missing bucket ends.
_STATUS = "non-2xx status code: "
_MISSING = f"{_STATUS}404"
_CODE = re.compile("<Code>([A-Za-z]+)</Code>")
#: Codes of S3 for credentials that are not valid any more.
_REFUSED_KEYS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"}
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

    Raises ConfigFault if a variable or a profile of the store has no valid value.
    """
    given = profiles.options() if bucket.startswith("s3://") else {}
    addresses = [*(os.environ.get(name, "") for name in _ENDPOINTS), given.get("endpoint", "")]
    options = {
        "timeout": timedelta(seconds=_REQUEST_SECONDS),
        "allow_http": any(address.startswith("http://") for address in addresses),
        "pool_max_idle_per_host": str(MOST_REQUESTS),
    }
    retries = {
        "max_retries": _MOST_RETRIES,
        "retry_timeout": timedelta(seconds=_RETRY_SECONDS),
    }
    try:
        # Its overloads differ by the kind of store, which is known only here.
        opened = cast("Callable[..., ObjectStore]", from_url)
        return opened(bucket, client_options=options, retry_config=retries, **given)
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
        next(listed(bucket, prefix), None)
    except ERRORS as error:
        refused = isinstance(error, NotFoundError | PermissionDeniedError | UnauthenticatedError)
        if not refused and _MISSING not in str(error):
            raise fault_of(bucket, error) from error
        raise ConfigFault(
            "The object store {bucket} cannot be listed: {reason}.",
            "Create the bucket, or correct its name and the credentials; docs/object-storage.md lists the "
            "variables.",
            bucket=bucket,
            reason=reason_of(error),
        ) from error


def listed(bucket: str, prefix: str, after: str | None = None) -> Iterator[Sequence["ObjectMeta"]]:
    """Yield the objects below a prefix, by pages, in the order of their keys, those after a key only.

    A page whose body was cut off is asked for again, from the last key on. Raises one of ERRORS.
    """
    store, last, tries, is_whole = store_of(bucket), after, 0, False
    while not is_whole:
        try:
            add()
            pages = obstore.list(store, prefix or None, offset=last, chunk_size=_PAGE)
            for number, page in enumerate(pages):
                add(min(number, 1))
                yield page
                last, tries = page[-1]["path"], 0
            is_whole = True
        except ERRORS as error:
            tries += 1
            if tries > _MOST_RETRIES or _CUT_OFF not in str(error):
                raise
            # With a random part, so that many processes do not come back at the same time.
            time.sleep(min(2**tries / 10, 5) * random.uniform(0.5, 1))  # noqa: S311


def fault_of(place: str, error: Exception) -> PipelineError:
    """Return what an error means: the object is at fault, or the store.

    A store whose credentials are refused is opened anew for the next request, so that it reads them again.
    """
    code = _CODE.search(str(error))
    if code and code[1] in _REFUSED_KEYS:
        store_of.cache_clear()
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
    """Return the first line of an error without a final full stop, and of the response's body the code."""
    whole = str(error).strip()
    first = whole.partition("\n")[0].partition("<?xml")[0].rpartition(_STATUS)[2].strip(" .:")
    code = _CODE.search(whole)
    return f"{first}: {code[1]}" if code else first or type(error).__name__
