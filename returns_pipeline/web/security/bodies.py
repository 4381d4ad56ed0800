"""Requests with images: received whole into a file before they take a place in memory.

A body of at most 64 KiB stays in memory and needs no place; a larger one goes to a file of the spool folder
that has no name, so nothing is left of it. Only a whole body takes a place, so a slow sender holds none.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive

from returns_pipeline.errors import TransientFault
from returns_pipeline.private_files import make_private_folders
from returns_pipeline.web.errors import BusyError

#: Bytes of a body that stay in memory.
IN_MEMORY = 64 * 1024
#: Bytes that are written or read together.
_BLOCK = 1024 * 1024
#: Bytes of a small body: a few photos. Small bodies never wait for large ones.
_SMALL = 8 * 1024 * 1024
#: Bodies that are processed at the same time. Each needs memory for its text, images and the steps between.
_SMALL_PLACES, _LARGE_PLACES = 8, 2
#: Bytes of all small bodies that are received or wait for a place; and of large ones, in largest bodies.
_SMALL_ROOM, _LARGE_ROOM = 512 * 1024 * 1024, 4
#: Seconds that a whole body waits for a place.
_WAIT_SECONDS = 10.0


class _Room:
    """The bytes that bodies of one kind may have together, and the places where they are processed."""

    def __init__(self, most_bytes: int, places: int) -> None:
        self.left = most_bytes
        self.places = asyncio.Semaphore(places)


class Bodies:
    """Receives bodies with images. Each web process has one."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Receive bodies of at most `most_bytes` into files of `folder`."""
        self._folder = folder
        self._small = _Room(_SMALL_ROOM, _SMALL_PLACES)
        self._large = _Room(_LARGE_ROOM * most_bytes, _LARGE_PLACES)

    @contextlib.asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Request]:
        """Receive the body, then take a place if it is large; yield the request with its whole body.

        Raises BusyError if too many bodies are received or none of the places is free in time, and
        TransientFault if the disk takes no body.
        """
        body = _Body(self._folder, self._small)
        try:
            async for part in request.stream():
                if part:
                    await body.add(part, self._large)
            async with body.place():
                yield Request(request.scope, body.replay())
        finally:
            body.close()


class _Body:
    """One body: in memory while it is short, then in a file."""

    def __init__(self, folder: Path, room: _Room) -> None:
        self._folder, self.room = folder, room
        self._length = 0
        self._waiting = bytearray()
        self._file: IO[bytes] | None = None

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place; a body in memory needs none. Raises BusyError if none becomes free in time."""
        if self._file is None:
            yield
            return
        places = self.room.places
        try:
            await asyncio.wait_for(places.acquire(), _WAIT_SECONDS)
        except TimeoutError:
            raise BusyError("Too many requests with images are being processed.") from None
        try:
            yield
        finally:
            places.release()

    async def add(self, part: bytes, large: _Room) -> None:
        """Keep a part of the body. A body that is not small any more counts as large."""
        if self.room is not large and self._length + len(part) > _SMALL:
            if large.left < self._length:
                raise _too_many()
            self.room.left += self._length
            large.left -= self._length
            self.room = large
        if self.room.left < len(part):
            raise _too_many()
        self.room.left -= len(part)
        self._length += len(part)
        self._waiting += part
        if len(self._waiting) > (IN_MEMORY if self._file is None else _BLOCK):
            await run_in_threadpool(self._write)

    def _write(self) -> None:
        try:
            if self._file is None:
                make_private_folders([self._folder])
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` closes it
            self._file.write(self._waiting)
        except OSError as error:
            raise TransientFault(
                "The request cannot be written to the spool: {reason}.",
                "Free some space in RETURNS_SPOOL_DIR.",
                reason=error.strerror or error,
            ) from error
        self._waiting.clear()

    def replay(self) -> Receive:
        """Return a callable that gives the body again, as the server did."""
        left, file = self._length, self._file

        async def receive() -> Message:
            nonlocal left
            if file is None:
                part, left = bytes(self._waiting), 0
            else:
                part = await run_in_threadpool(file.read, _BLOCK)
                left -= len(part)
            return {"type": "http.request", "body": part, "more_body": left > 0}

        if file is not None:
            self._write()
            file.seek(0)
        return receive

    def close(self) -> None:
        """Give back the bytes; delete the file."""
        self.room.left += self._length
        self._length = 0
        if self._file is not None:
            # What could not be written is lost with the request.
            with contextlib.suppress(OSError):
                self._file.close()


def _too_many() -> BusyError:
    return BusyError("Too many requests with images are being received.")
