"""The embedding of products' pictures: chunks of them, spaces, and what a search finds."""

from typing import NamedTuple

from returns_pipeline.records.catalogue import SpaceState
from returns_pipeline.records.models import ModelRef


class SpaceRow(NamedTuple):
    """A row of `embedding_spaces`. `revision` is raised with each change of its vectors."""

    id: int
    name: str
    version: int
    digest: str
    state: SpaceState
    revision: int

    @property
    def ref(self) -> ModelRef:
        """NAME/VERSION."""
        return ModelRef(self.name, self.version)


class PictureToEmbed(NamedTuple):
    """A picture of a claimed chunk. `sha256` is that of the content whose vector the space has, or None."""

    id: int
    folder: str
    address: str
    sha256: str | None


class EmbeddingClaim(NamedTuple):
    """A chunk that this process holds. `attempt` counts from 1."""

    chunk_id: int
    token: str
    attempt: int
    space: SpaceRow
    pictures: tuple[PictureToEmbed, ...]


class EmbeddedPicture(NamedTuple):
    """The result for one picture: a vector, or why there is none. `sha256` is None if it was not read."""

    id: int
    folder: str
    address: str
    sha256: str | None
    vector: bytes | None
    reason: str | None = None


class PhotoToLook(NamedTuple):
    """A photo whose vector is wanted: an image, or a spool file of `size` bytes."""

    space: SpaceRow
    image_id: int | None
    path: str | None
    size: int


class PhotoLook(NamedTuple):
    """A photo's vector int8 [d] as bytes, or the `fault` why there is none; both None while it is awaited."""

    id: int
    vector: bytes | None
    fault: str | None

    @property
    def is_done(self) -> bool:
        """Whether a worker has finished."""
        return self.vector is not None or self.fault is not None


class SimilarProduct(NamedTuple):
    """A product that looks like a photo: the cosine, at most 1, of its most similar picture."""

    product: int
    product_image: int
    cosine: float
