"""Photos in object stores: the PhotoSource for places that are URIs, see `records.places`."""

import contextlib
import hashlib
import posixpath
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

from obstore.exceptions import AlreadyExistsError

from returns_pipeline.errors import FaultCode, ImageFault, PipelineError, TransientFault
from returns_pipeline.photos import intake_rules, sent_requests
from returns_pipeline.photos.file_identity import size_of
from returns_pipeline.photos.objects import moves as object_moves
from returns_pipeline.photos.objects import requests
from returns_pipeline.photos.objects.fetching import FetchedAhead
from returns_pipeline.photos.objects.stores import (
    ERRORS,
    MOST_REQUESTS,
    Address,
    fault_of,
    listed,
    require_bucket,
    store_of,
)
from returns_pipeline.photos.source import Reader, another_photo, require_size
from returns_pipeline.records.images import FoundFile, ImageFile, Move, PendingImage, Picture
from returns_pipeline.records.removal import StoredFile

if TYPE_CHECKING:
    from obstore import ObjectMeta  # the module has it for type checkers only

#: What an opened object may take in memory before it goes to a temporary file.
_IN_MEMORY = 8 * 1024 * 1024


class ObjectSource:
    """See PhotoSource. An identity is SIZE-ETAG: an object that is replaced has another ETag."""

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Threads that wait for requests. They start when they are first needed, so after any fork."""
        return ThreadPoolExecutor(MOST_REQUESTS, "objects")

    def require_folder(self, root: str) -> None:
        """Raise ConfigFault unless the bucket of `root` can be listed. A prefix needs no objects."""
        require_bucket(*Address.of(root))

    def has_folder(self, root: str) -> bool:  # noqa: ARG002
        """Return True: a prefix exists without objects, and a missing bucket is found by listing it."""
        return True

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = intake_rules.is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,  # noqa: ARG002 - a listing has no parts
        with_clock: bool = False,
    ) -> Iterator[FoundFile]:
        """Yield every object below `root`, page by page. See PhotoSource.find."""
        bucket, prefix = Address.of(root)
        now_ns = self._clock(root) if with_clock else None
        rule = _Skipping(prefix, is_skipped)
        try:
            for page in listed(bucket, prefix):
                for meta in page:
                    # A key that ends with a slash is a folder that some programs create; no GET finds it.
                    if rule.leaves_out(meta["path"]) or (meta["size"] == 0 and self._is_marker(bucket, meta)):
                        continue
                    yield _found(bucket, meta, now_ns)
        except ERRORS as error:
            raise TransientFault(
                "The folder {root} cannot be listed: {reason}.",
                root=root,
                reason=fault_of(root, error).message,
            ) from error

    def file_system(self, root: str) -> str:
        """Return the bucket."""
        return Address.of(root).bucket

    def describe(self, place: str) -> FoundFile:
        """Return one object. See PhotoSource.describe."""
        bucket, key = Address.of(place)
        try:
            return _found(bucket, requests.head(store_of(bucket), key))._replace(path=place)
        except FileNotFoundError:
            return FoundFile(place, 0, 0, 0, "")
        except ERRORS as error:
            raise fault_of(place, error) from error

    def unchanged(self, files: Sequence[FoundFile]) -> list[bool]:
        """Whether each object still has the same identity.

        A listing from the first key to the last asks for a thousand objects in one request. Where the keys
        between are many, as after photos of several nights, each object is asked for, many at the same time.
        """
        there = _listed_between(files)
        if there is None:
            return list(self._pool.map(self._is_unchanged, files))
        return [there.get(file.path) == file.identity for file in files]

    def reading(self, images: Sequence[PendingImage], max_bytes: int) -> AbstractContextManager[Reader]:
        """Give a reader that fetches ahead. See PhotoSource.reading."""
        return FetchedAhead(self.read, images, max_bytes)

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return an object's content in one conditional request. See PhotoSource.read."""
        bucket, key = Address.of(image.path)
        require_size(image.size, max_bytes)
        try:
            response = requests.get(
                store_of(bucket), key, options={"if_match": object_moves.etag(image.identity)}
            )
            if object_moves.identity_of(response.meta) != image.identity:
                raise ImageFault(FaultCode.CHANGED)
            return bytes(response.bytes())
        except ERRORS as error:
            raise fault_of(image.path, error) from error

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        """Return a classified object of the same size. See PhotoSource.read_classified."""
        bucket, key = Address.of(picture.path)
        require_size(picture.size, max_bytes)
        try:
            response = requests.get(store_of(bucket), key)
            if response.meta["size"] != picture.size:
                raise ImageFault(FaultCode.CHANGED)
            return bytes(response.bytes())
        except ERRORS as error:
            raise fault_of(picture.path, error) from error

    def open(self, file: ImageFile) -> BinaryIO:
        """Return a temporary copy of an object. See PhotoSource.open. A copy may have another ETag."""
        bucket, key = Address.of(file.path)
        copy = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller closes it
        try:
            response = requests.get(store_of(bucket), key)
            for part in response.stream():
                copy.write(part)
        except ERRORS as error:
            copy.close()
            raise fault_of(file.path, error) from error
        if response.meta["size"] != size_of(file.identity):
            copy.close()
            raise ImageFault(FaultCode.CHANGED)
        copy.seek(0)
        return cast("BinaryIO", copy)

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        """Move objects within their bucket. See PhotoSource.move."""
        return object_moves.move_all(self._pool, list(moves), progress)

    def put_all(self, folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        """Write new objects, never over another one. See PhotoSource.put_all."""
        wanted = [(f"{folder}/{name}", content) for name, content in photos]
        results = list(self._pool.map(_put, wanted))
        faults = [each for each in results if isinstance(each, PipelineError)]
        written = [each for each in results if isinstance(each, FoundFile)]
        if faults:
            for each in written:
                with contextlib.suppress(PipelineError):
                    self.remove(each.path)
            raise faults[0]
        return written

    def remove_originals(self, files: Sequence[StoredFile]) -> Mapping[int, bool | PipelineError]:
        """Delete objects that are the recorded ones. See PhotoSource.remove_originals."""
        return dict(self._pool.map(_removed, files))

    def requests(self) -> int:
        """Return how many requests this process has sent. See PhotoSource.requests."""
        return sent_requests.sent()

    def remove_empty(self, folders: Iterable[str], root: str) -> None:
        """Do nothing: a prefix without objects does not exist."""

    def remove(self, place: str) -> None:
        """Delete an object. See PhotoSource.remove."""
        bucket, key = Address.of(place)
        try:
            with contextlib.suppress(FileNotFoundError):
                requests.delete(store_of(bucket), key)
        except ERRORS as error:
            raise fault_of(place, error) from error

    def _is_unchanged(self, file: FoundFile) -> bool:
        return self.describe(file.path).identity == file.identity

    def _is_marker(self, bucket: str, meta: "ObjectMeta") -> bool:
        return not self.describe(f"{bucket}/{meta['path']}").identity

    def _clock(self, root: str) -> int | None:
        """Return the store's time: that of an object which is written for it; None if none can be written."""
        bucket, prefix = Address.of(root)
        key = f"{prefix}/{intake_rules.OWN_PREFIX}clock-{uuid.uuid4().hex}".lstrip("/")
        store = store_of(bucket)
        try:
            requests.put(store, key, b"clock")
            now_ns = _nanoseconds(requests.head(store, key)["last_modified"])
            requests.delete(store, key)
        except ERRORS:
            return None
        return now_ns


class _Skipping:
    """Applies a rule of names to the folders and the name of each key below a prefix."""

    def __init__(self, prefix: str, is_skipped: Callable[[str], bool]) -> None:
        self._start, self._is_skipped = len(f"{prefix}/") if prefix else 0, is_skipped
        #: Folders that were asked for: a rule counts what it leaves out.
        self._folders: dict[str, bool] = {"": False}

    def leaves_out(self, key: str) -> bool:
        folder, _, name = key[self._start :].rpartition("/")
        return self._leaves_folder(folder) or self._is_skipped(name)

    def _leaves_folder(self, folder: str) -> bool:
        found = self._folders.get(folder)
        if found is None:
            above, _, name = folder.rpartition("/")
            found = self._folders[folder] = self._leaves_folder(above) or self._is_skipped(name)
        return found


def _put(photo: tuple[str, bytes]) -> FoundFile | PipelineError:
    """Write one object; return it, or the fault."""
    place, content = photo
    bucket, key = Address.of(place)
    store = store_of(bucket)
    try:
        try:
            requests.put(store, key, content, mode="create")
        except AlreadyExistsError:
            # The object of an attempt whose response was lost is the same; another one stays.
            if bytes(requests.get(store, key).bytes()) != content:
                return another_photo(place)
        found = requests.head(store, key)
    except ERRORS as error:
        return fault_of(place, error)
    return _found(bucket, found)._replace(path=place)


def _listed_between(files: Sequence[FoundFile]) -> dict[str, str] | None:
    """Return the identities of objects by place, from the first of these files to the last.

    None if they are of several buckets, or if a listing would need more requests than the files. Raises
    TransientFault if the store does not answer.
    """
    addresses = sorted(Address.of(file.path) for file in files)
    (bucket, first), (another, last) = addresses[0], addresses[-1]
    if bucket != another:
        return None
    folder = posixpath.commonpath([posixpath.dirname(first), posixpath.dirname(last)])
    found: dict[str, str] = {}
    try:
        # The key without its last character stands before the key.
        for number, page in enumerate(listed(bucket, folder, first[:-1]), start=1):
            found |= {f"{bucket}/{meta['path']}": object_moves.identity_of(meta) for meta in page}
            if page[-1]["path"] >= last:
                break
            if number > len(files) // 100 + 1:
                return None
    except ERRORS as error:
        raise fault_of(f"{bucket}/{folder}", error) from error
    return found


def _found(bucket: str, meta: "ObjectMeta", now_ns: int | None = None) -> FoundFile:
    changed = _nanoseconds(meta["last_modified"])
    place, identity = f"{bucket}/{meta['path']}", object_moves.identity_of(meta)
    return FoundFile(place, meta["size"], changed, changed, identity, now_ns=now_ns)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


def _removed(file: StoredFile) -> tuple[int, bool | PipelineError]:
    bucket, key = Address.of(file.path)
    store = store_of(bucket)
    try:
        found = requests.head(store, key)
        if object_moves.identity_of(found) != file.identity and not _has_content_of(file):
            return file.image_id, ImageFault(FaultCode.CHANGED)
        requests.delete(store, key)
    except FileNotFoundError:
        return file.image_id, False
    except ERRORS as error:
        return file.image_id, fault_of(file.path, error)
    return file.image_id, True


def _has_content_of(file: StoredFile) -> bool:
    """Whether an object with another ETag, for example a copy, is the recorded file. Raises one of ERRORS."""
    bucket, key = Address.of(file.path)
    response = requests.get(store_of(bucket), key)
    if response.meta["size"] != file.size:
        return False
    if file.sha256 is None:
        # It was not read, for example because it is too large. Only the ETag of an object in parts changes
        # with a copy.
        return object_moves.is_in_parts(file.identity)
    return hashlib.sha256(bytes(response.bytes())).hexdigest() == file.sha256
