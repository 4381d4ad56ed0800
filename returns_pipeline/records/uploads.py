"""Requests with images: what is in the spool, and what is accepted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.models import ModelRef


class Upload(NamedTuple):
    """One request: its files in the spool, its key, and the return that its sender named."""

    files: Sequence[FoundFile]
    key: RequestKey | None = None
    number: str | None = None


class AcceptedUpload(NamedTuple):
    """A request whose images have rows: `images` holds their ids in the order of the request.

    Its chunks have at most `chunk_size` images; some of them may belong to other requests.
    """

    run_id: int
    model: ModelRef
    chunk_ids: tuple[int, ...]
    images: tuple[int, ...]
    chunk_size: int = 1


class AddedImage(NamedTuple):
    """An image that has a row, and its chunk."""

    id: int
    chunk_id: int


class UploadAddress(NamedTuple):
    """Where a client sends one file by PUT, for so many seconds, and the headers that must go with it."""

    url: str
    headers: Mapping[str, str]
    seconds: int
