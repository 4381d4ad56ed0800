"""Requests with images take a place only when they are whole; what they hold is limited and given back."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from fastapi import Request
from starlette.types import Message

from returns_pipeline.web.errors import BusyError
from returns_pipeline.web.security import bodies
from returns_pipeline.web.security.bodies import Bodies

_LARGE = 9 * 1024 * 1024


def _request(parts: Iterable[bytes], end: asyncio.Event | None = None) -> Request:
    """Return a request whose body arrives in parts; the last one after `end`."""
    left = list(parts)

    async def receive() -> Message:
        if len(left) == 1 and end is not None:
            await end.wait()
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@pytest.mark.parametrize("length", [0, 1, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024 + 7, _LARGE])
def test_a_body_is_given_as_it_was_sent(tmp_path: Path, length: int) -> None:
    """From memory or from a file, the body is the same, and no file is left."""
    content = bytes(range(256)) * (length // 256 + 1)
    content = content[:length]
    parts = [content[at : at + 60_000] for at in range(0, length, 60_000)] or [b""]

    async def receive_it() -> bytes:
        async with Bodies(tmp_path, 2 * _LARGE).received(_request(parts)) as whole:
            return await whole.body()

    assert asyncio.run(receive_it()) == content
    assert list(tmp_path.iterdir()) == []


def test_slow_bodies_take_no_place(tmp_path: Path) -> None:
    """However many bodies are incomplete, a whole one is processed at once."""

    async def send() -> bytes:
        room, never = Bodies(tmp_path, _LARGE), asyncio.Event()

        async def wait() -> None:
            async with room.received(_request([b"x" * 100, b""], never)):
                pass

        slow = [asyncio.create_task(wait()) for _ in range(50)]
        await asyncio.sleep(0)
        async with room.received(_request([b"whole"])) as whole:
            body = await whole.body()
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        return body

    assert asyncio.run(send()) == b"whole"


def test_without_a_free_place_a_body_is_refused_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two large bodies are processed at a time; a third is refused, a small one is not."""
    monkeypatch.setattr(bodies, "_WAIT_SECONDS", 0.05)

    async def send() -> None:
        room = Bodies(tmp_path, _LARGE)
        large = [b"x" * _LARGE]
        async with room.received(_request(large)), room.received(_request(large)):
            with pytest.raises(BusyError):
                async with room.received(_request(large)):
                    pass
            async with room.received(_request([b"small"])) as whole:
                assert await whole.body() == b"small"
        async with room.received(_request(large)) as whole:
            assert len(await whole.body()) == _LARGE

    asyncio.run(send())


def test_the_bytes_of_all_bodies_are_limited(tmp_path: Path) -> None:
    """Four of the largest bodies may arrive together; a fifth is refused until one of them ends."""

    async def send() -> None:
        room, never = Bodies(tmp_path, _LARGE), asyncio.Event()

        async def wait() -> None:
            async with room.received(_request([b"x" * _LARGE, b""], never)):
                pass

        others = [asyncio.create_task(wait()) for _ in range(4)]
        # Each writes its part in a thread.
        await asyncio.sleep(0.5)
        with pytest.raises(BusyError):
            async with room.received(_request([b"x" * _LARGE, b""])):
                pass
        async with room.received(_request([b"small"])):
            pass
        others[0].cancel()
        await asyncio.gather(others[0], return_exceptions=True)
        async with room.received(_request([b"x" * _LARGE, b""])):
            pass
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run(send())
