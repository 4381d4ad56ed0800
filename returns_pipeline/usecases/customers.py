"""Deletes a customer's data: the reference, the photos, and what came from them."""

from typing import NamedTuple

from returns_pipeline.errors import ConflictError, GoneError, NotFoundError
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.settings import Settings
from returns_pipeline.store import customers
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import deletion


class DeletedCustomer(NamedTuple):
    """What a deletion did. `files_left` could not be removed yet; the sweep tries again."""

    returns: int
    photos: int
    files_left: int


def delete(
    settings: Settings, db: Database, customer: str, who: str, photos: PhotoSource | None = None
) -> DeletedCustomer:
    """Delete a customer's photos, then the reference, the order numbers and the notes of the returns.

    The returns stay with their verdicts, so that counts stand. Raises NotFoundError for an unknown reference,
    and ConflictError if photos are being classified: the other photos are deleted then, and the reference
    stays until the call is repeated.
    """
    if not customers.returns_of(db, customer):
        raise NotFoundError("No return has the customer {customer}.", customer=customer)
    customers.begin(db, customer)
    deleted: set[int] = set()
    files_left = 0
    busy: list[int] = []
    for image in customers.photos_of(db, customer):
        if image in deleted:
            continue
        try:
            done = deletion.delete(settings, db, image, who, photos)
        except GoneError:
            continue
        except ConflictError:
            busy.append(image)
            continue
        deleted.update(done.images)
        files_left += done.files_left
    if busy:
        raise ConflictError(
            "{count} photos of this customer are in a run that is not finished.",
            "Delete the customer's data again when the run is closed.",
            count=len(busy),
        )
    count = customers.forget(db, customer, who, len(deleted))
    return DeletedCustomer(count, len(deleted), files_left)
