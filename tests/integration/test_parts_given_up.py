"""A large request that fails after some of its parts were accepted."""

import asyncio
import time
from collections.abc import Iterable

import pytest

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.errors import TransientFault
from returns_pipeline.records.images import FoundFile
from returns_pipeline.usecases import uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.queries import worker_client
from returns_pipeline.web.queries.pace import Pace
from tests.support import Installation, write_images

_PATIENCE = 30


class Watched(Pace):
    """A pace that shows which chunks it counts."""

    counted: set[int]

    def begin(self, chunk_ids: Iterable[int], chunk_size: int) -> None:
        """Count chunks."""
        type(self).counted |= set(chunk_ids)
        super().begin(chunk_ids, chunk_size)

    def end(self, chunk_ids: Iterable[int]) -> None:
        """Count chunks that are done."""
        type(self).counted -= set(chunk_ids)
        super().end(chunk_ids)


def _no_bundle(_: str) -> Bundle:
    raise AssertionError


def _until(*, counts: bool) -> None:
    end = time.monotonic() + _PATIENCE
    while bool(Watched.counted) is not counts:
        assert time.monotonic() < end, Watched.counted
        time.sleep(0.01)


def test_chunks_of_a_request_that_failed_do_not_count_for_ever(
    sqlite_home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part that was accepted delays later requests until it is done, and not longer."""
    Watched.counted = set()
    settings = sqlite_home.settings.model_copy(update={"api_batch": 2})
    context, queue = Installation(settings, sqlite_home.database).in_process()
    photos = write_images(settings.home / "sent", 4)
    written: list[list[FoundFile]] = []

    def write_spool(context: Context, images: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        if written:
            _until(counts=True)
            raise TransientFault("The disk is full.")
        written.append(uploads.write_spool(context, images))
        return written[0]

    monkeypatch.setattr(worker_client, "Pace", Watched)
    monkeypatch.setattr(worker_client, "IN_MEMORY", 0)
    monkeypatch.setattr(worker_client, "write_spool", write_spool)

    async def ask() -> None:
        client = worker_client.WorkerClient(context, _no_bundle)
        with pytest.raises(TransientFault, match="full"):
            await client.receive([(path.name, path.read_bytes()) for path in photos])
        assert len(Watched.counted) == 1
        while not queue.messages:
            await asyncio.sleep(0.01)
        queue.deliver(context)
        await asyncio.to_thread(_until, counts=False)

    asyncio.run(asyncio.wait_for(ask(), _PATIENCE))
