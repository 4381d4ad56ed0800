"""The original file of an image: opened only if it is the very file that the image was made of."""

import hashlib
from typing import BinaryIO

from returns_pipeline.errors import (
    ConflictError,
    FaultCode,
    GoneError,
    ImageFault,
    NotFoundError,
    TransientFault,
)
from returns_pipeline.records.images import FilePlace, ImageFile
from returns_pipeline.records.places import is_object
from returns_pipeline.store import image_files
from returns_pipeline.usecases.context import Context

_BLOCK = 1024 * 1024


def existing(context: Context, image_id: int) -> ImageFile:
    """Return the file of an image. Raises NotFoundError for an unknown id, GoneError for a deleted image."""
    found = image_files.find(context.db, image_id)
    if found is None:
        raise NotFoundError("There is no image {image}.", image=image_id)
    if found.place is FilePlace.DELETED:
        raise GoneError("Image {image} was deleted.", image=image_id)
    return found


def open_original(context: Context, image_id: int) -> tuple[ImageFile, BinaryIO]:
    """Return the file of an image, open at its begin; the caller closes it.

    Its size and modification time are compared, and its sha256 if it is known: that reads the file once more.
    Raises NotFoundError if the file is gone, ConflictError if another file lies in its place or if it may
    not be read, TransientFault if the disk fails, GoneError if the image was deleted or its photo removed.
    """
    file = _kept(context, image_id)
    try:
        content = context.photos.open(file)
    except ImageFault as fault:
        if fault.code is FaultCode.VANISHED:
            raise _gone(image_id) from None
        if fault.code is FaultCode.CHANGED:
            raise _another(image_id) from None
        raise ConflictError(
            "The file of image {image} cannot be read.",
            "Ask an operator to check its permissions.",
            image=image_id,
        ) from fault
    if not _is_original(content, file.sha256):
        raise _another(image_id)
    return file, content


def address(context: Context, image_id: int) -> str | None:
    """Return an address of the store that a browser may read the file of an image at, for some minutes.

    None for a file of this machine, and for one that is no picture. Only the size is compared. Raises as
    `open_original`, and ConfigFault if the store signs no addresses.
    """
    file = _kept(context, image_id)
    if not is_object(file.path) or file.format is None:
        return None
    found = context.photos.describe(file.path)
    if not found.identity:
        raise _gone(image_id)
    if found.size != file.size:
        raise _another(image_id)
    from returns_pipeline.photos.objects import files

    return files.link(file.path)


def _kept(context: Context, image_id: int) -> ImageFile:
    """Return the file of an image. Raises GoneError, NotFoundError for one that is not there any more."""
    file = existing(context, image_id)
    if file.place is FilePlace.REMOVED:
        raise GoneError(
            "The photo of image {image} is not kept any more.", "A backup may have it.", image=image_id
        )
    if file.place is FilePlace.GONE:
        raise _gone(image_id)
    return file


def _is_original(content: BinaryIO, sha256: str | None) -> bool:
    """Whether a file has this sha256; then it stands at its begin, else it is closed."""
    try:
        if sha256 is not None:
            digest = hashlib.sha256()
            while block := content.read(_BLOCK):
                digest.update(block)
            if digest.hexdigest() != sha256:
                content.close()
                return False
            content.seek(0)
    except OSError as error:
        content.close()
        raise TransientFault("The file cannot be read: {reason}.", reason=error.strerror) from error
    return True


def _gone(image_id: int) -> NotFoundError:
    return NotFoundError(
        "The file of image {image} is gone.", "A backup of the archive may have it.", image=image_id
    )


def _another(image_id: int) -> ConflictError:
    return ConflictError(
        "Another file lies in the place of image {image}.",
        "A backup of the archive may have the original.",
        image=image_id,
    )
