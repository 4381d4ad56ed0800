"""The interface of a place that photos come from and go to: a folder, or an object store."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import BinaryIO, Protocol, Self

from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError, TransientFault
from returns_pipeline.photos.intake_rules import is_skipped
from returns_pipeline.records.images import FoundFile, ImageFile, Move, PendingImage, Picture
from returns_pipeline.records.removal import StoredFile


class ImmovableFault(TransientFault):
    """Photos that may not be moved away from their place, for example from a read-only folder.

    `reasons` has a sentence for the image of each such photo. `gone` holds the ids of images whose photo no
    longer exists. Every other photo of the request was moved. Retried a few times only.
    """

    reasons: Mapping[int, str] = MappingProxyType({})
    gone: Sequence[int] = ()

    def about(self, reasons: Mapping[int, str], gone: Sequence[int]) -> Self:
        """Return this fault as that of a whole request."""
        self.reasons, self.gone = reasons, gone
        return self


def raise_first(
    gone: Sequence[int], faults: Sequence[PipelineError], immovable: Mapping[int, ImmovableFault]
) -> None:
    """Raise what `PhotoSource.move` raises for these results, the faults of photos by image; else return."""
    if faults:
        raise faults[0]
    if immovable:
        reasons = {image_id: each.message for image_id, each in immovable.items()}
        raise next(iter(immovable.values())).about(reasons, gone)


def another_photo(place: str) -> ConfigFault:
    """Return the fault of a destination that has another photo."""
    return ConfigFault(
        "{target} is another file than the one that belongs there.",
        "The folder belongs to another installation or to an older database: set RETURNS_ARCHIVE_DIR and "
        "RETURNS_QUARANTINE_DIR to folders that only this installation uses.",
        target=place,
    )


def require_size(size: int, max_bytes: int) -> None:
    """Raise ImageFault empty_file or too_large unless a photo of `size` bytes is read."""
    if size == 0:
        raise ImageFault(FaultCode.EMPTY_FILE)
    if size > max_bytes:
        raise ImageFault(
            FaultCode.TOO_LARGE,
            "The file has {size:,} bytes; at most {max_bytes:,} are accepted.",
            size=size,
            max_bytes=max_bytes,
        )


class Reader(Protocol):
    """Reads photos; what a decoder needs of a source."""

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return a photo's content; see `PhotoSource.read`."""
        ...


class PhotoSource(Protocol):
    """Finds, reads, moves and writes photos.

    A *place* says where a photo or a folder of photos lies. It is a URI; text that begins with `/` is an
    absolute path instead and stands for a file of this machine. The name of a photo is what follows the last
    `/`, and the place of a photo in a folder is `FOLDER/NAME`. Only the source interprets more of a place.

    An *identity* is text that changes when the content at a place changes. Only the source that made an
    identity may interpret it or compare it with another; everything else stores it and hands it back. It is
    empty for a photo that does not exist.

    A source has no state that belongs to one photo, and threads may share it.
    """

    def require_folder(self, root: str) -> None:
        """Raise ConfigFault unless `root` is a folder that can be listed."""
        ...

    def has_folder(self, root: str) -> bool:
        """Whether there is a folder at `root`."""
        ...

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,
        with_clock: bool = False,
    ) -> Iterator[FoundFile]:
        """Yield every photo below `root`, in no particular order.

        A file or a folder is left out if `is_skipped` is true for its name. A photo that disappears meanwhile
        is left out. `unreadable` is called with each subfolder that cannot be listed. `with_clock` fills
        `now_ns`, for which the source may write a hidden file and remove it. Raises TransientFault if `root`
        itself cannot be listed.
        """
        ...

    def file_system(self, root: str) -> str:
        """Return which disk or share `root` lies on; empty if unknown. The text survives a reboot."""
        ...

    def describe(self, place: str) -> FoundFile:
        """Return one photo as `find` would; size, times and identity are empty if it does not exist."""
        ...

    def unchanged(self, files: Sequence[FoundFile]) -> list[bool]:
        """Whether each photo is still at its place with the same identity."""
        ...

    def reading(self, images: Sequence[PendingImage], max_bytes: int) -> AbstractContextManager[Reader]:
        """Give a reader of the photos of a chunk, asked for in about this order.

        A source that waits for a network fetches them ahead.
        """
        ...

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        """Return a photo's content if it still has the identity that it was found with.

        Raises ImageFault: vanished, changed, unreadable, empty_file, too_large; TransientFault if the disk,
        the network or the machine fails.
        """
        ...

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        """Return the content of a classified photo from where it lies now. Raises as `read`.

        A photo that was moved may have a new identity, so only its size is compared. A caller that needs the
        same content compares the sha256.
        """
        ...

    def open(self, file: ImageFile) -> BinaryIO:
        """Open the file of an image where it lies now, to read it in parts. The caller closes it.

        A photo that was moved may have a new identity, so of it only what a move keeps is compared. Raises
        ImageFault: vanished, changed, unreadable; TransientFault if the disk, the network or the machine
        fails.
        """
        ...

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        """Move photos and make the moves durable; return the ids of images whose photo no longer exists.

        Safe to repeat after any interruption. A newer photo under the old name stays where it is. Calls
        `progress` before each photo. Tries every photo, then raises the first fault: TransientFault, or
        ConfigFault if another photo lies at the destination. Raises ImmovableFault if nothing failed except
        photos that may not be moved away from their place, although the destination takes photos.
        """
        ...

    def put_all(self, folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        """Write new photos, (name, content) pairs, into a folder, all or none; return them in their order.

        No photo has one of the names. Raises TransientFault if there is no room or no permission.
        """
        ...

    def remove_originals(self, files: Sequence[StoredFile]) -> Mapping[int, bool | PipelineError]:
        """Delete the files of images, durably; return a result for each by the image's id.

        True: deleted. False: there was none any more. ImageFault: another file lies there, by size, time or
        sha256, or the place leads out of its root by a link; it stays. TransientFault: it could not be
        deleted. Safe to repeat after any interruption.
        """
        ...

    def requests(self) -> int:
        """Return how many requests this process has sent to object stores so far; 0 for a folder."""
        ...

    def remove_empty(self, folders: Iterable[str], root: str) -> None:
        """Delete those of these folders that are empty, and the empty ones above them up to `root`."""
        ...

    def remove(self, place: str) -> None:
        """Delete a photo; do nothing if it does not exist. Raises TransientFault if it cannot be deleted."""
        ...
