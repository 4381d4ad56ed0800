"""Photos that a client writes into a bucket itself: by an address that is signed for one object.

They arrive below a hidden folder of the intake, which no scan reads. `take` puts one where a scan finds it,
after its size and its ETag were compared. Two photos that want the same name at the same time are kept apart
by an object that only one of them can create.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from obstore.exceptions import AlreadyExistsError
from obstore.store import AzureStore, ObjectStore

from returns_pipeline.errors import ConflictError, NotFoundError
from returns_pipeline.photos.file_identity import size_of
from returns_pipeline.photos.intake_rules import ARRIVING, MOST_ARRIVING, too_many_unfinished
from returns_pipeline.photos.objects import files, requests
from returns_pipeline.photos.objects.moves import identity_of
from returns_pipeline.photos.objects.stores import ERRORS, Address, fault_of, listed, store_of

#: How long a client has to begin sending a photo.
SIGNED_FOR = timedelta(minutes=15)
_FILES, _CLAIMS = "files", "claims"


class SignedAddress(NamedTuple):
    """Where a client sends one photo by PUT, and the headers that the store wants with it."""

    url: str
    headers: Mapping[str, str]


class Arrived(NamedTuple):
    """A photo that a client has written: `key` is its name while it arrives, `target` its wanted place.

    `tag` is the ETag that the store gave the client.
    """

    root: str
    key: str
    target: str
    #: The place if another photo has `target`.
    beside: str
    sha256: str
    size: int
    tag: str

    @property
    def place(self) -> str:
        """Where the client has written it."""
        return f"{self.root}/{ARRIVING}/{_FILES}/{self.key}"

    @property
    def claim(self) -> str:
        """The object that says which photo has `target`."""
        return f"{self.root}/{ARRIVING}/{_CLAIMS}/{hashlib.sha256(self.target.encode()).hexdigest()}"


def sign(root: str, key: str) -> SignedAddress:
    """Return the address that takes a photo for the intake `root`.

    Signing sends no request. Raises ConfigFault if the store cannot sign with its credentials.
    """
    place = f"{root}/{ARRIVING}/{_FILES}/{key}"
    url = files.signed(place, "PUT", SIGNED_FOR)
    is_azure = isinstance(store_of(Address.of(place)[0]), AzureStore)
    return SignedAddress(url, {"x-ms-blob-type": "BlockBlob"} if is_azure else {})


def require_room(root: str) -> None:
    """Raise TransientFault if too many photos for the intake `root` are unconfirmed."""
    bucket, prefix = Address.of(f"{root}/{ARRIVING}/{_FILES}")
    try:
        count = len(next(listed(bucket, prefix), ()))
    except ERRORS as error:
        raise fault_of(root, error) from error
    if count >= MOST_ARRIVING:
        raise too_many_unfinished()


def take(photo: Arrived) -> None:
    """Move a photo to its place, within the bucket. Safe to repeat after any interruption.

    Raises NotFoundError if it has not arrived, ConflictError if it is another one than the client sent,
    TransientFault if the store does not answer.
    """
    bucket, name = Address.of(photo.place)
    store = store_of(bucket)
    try:
        _take(store, name, photo)
    except ERRORS as error:
        raise fault_of(photo.place, error) from error


def _take(store: ObjectStore, name: str, photo: Arrived) -> None:
    there = _identity(store, name)
    if there is None:
        if _claimed_by(store, photo) != photo.sha256:
            raise NotFoundError("The photo has not arrived in the object store.", "Send it again.")
        return  # a request before this one has moved it
    if there != f"{photo.size}-{photo.tag.strip(chr(34))}":
        if size_of(there) != photo.size:
            # The address takes any size; what was not announced is not kept.
            requests.delete(store, name)
        raise _another()
    place, is_there = _free(store, photo, there)
    if not is_there:
        target = Address.of(place).key
        requests.copy(store, name, target)
        if _identity(store, name) not in {there, None}:
            # The client has written another one meanwhile.
            requests.delete(store, target)
            raise _another()
    with contextlib.suppress(FileNotFoundError):
        requests.delete(store, name)


def _free(store: ObjectStore, photo: Arrived, identity: str) -> tuple[str, bool]:
    """Return the place of a photo, and whether it is there: the wanted one, unless another photo has it."""
    claim = Address.of(photo.claim).key
    is_new = True
    try:
        requests.put(store, claim, photo.sha256.encode(), mode="create")
    except AlreadyExistsError:
        is_new = False
        if _claimed_by(store, photo) != photo.sha256:
            return _beside(store, photo)
    found = _identity(store, Address.of(photo.target).key)
    if found is None or found == identity:
        return photo.target, found is not None
    # Some stores give a copy another ETag: of a request that was interrupted only the size is compared.
    is_mine = not is_new and size_of(found) == photo.size
    return (photo.target, True) if is_mine else _beside(store, photo)


def _beside(store: ObjectStore, photo: Arrived) -> tuple[str, bool]:
    return photo.beside, _identity(store, Address.of(photo.beside).key) is not None


def _claimed_by(store: ObjectStore, photo: Arrived) -> str | None:
    """Return the sha256 of the photo that has a place."""
    try:
        return bytes(requests.get(store, Address.of(photo.claim).key).bytes()).decode()
    except FileNotFoundError:
        return None


def _identity(store: ObjectStore, key: str) -> str | None:
    try:
        return identity_of(requests.head(store, key))
    except FileNotFoundError:
        return None


def _another() -> ConflictError:
    return ConflictError("The file arrived with another content.", "Send it again.")


def remove_old(root: str, before: datetime) -> int:
    """Delete what arrived before a moment and was never confirmed; return how many. Raises TransientFault."""
    bucket, prefix = Address.of(f"{root}/{ARRIVING}")
    store, count = store_of(bucket), 0
    try:
        for page in listed(bucket, prefix):
            old = [meta["path"] for meta in page if meta["last_modified"] < before]
            for key in old:
                with contextlib.suppress(FileNotFoundError):
                    requests.delete(store, key)
            count += sum(f"/{_FILES}/" in key for key in old)
    except ERRORS as error:
        raise fault_of(root, error) from error
    return count
