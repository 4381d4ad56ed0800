"""Small pictures of photos: from the cache, or drawn in a process with a limit of memory, two at a time."""

import asyncio
import hashlib
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import structlog
from starlette.concurrency import run_in_threadpool

from returns_pipeline.catalogue.pictures import read_picture, stamp_of
from returns_pipeline.errors import ImageFault, TransientFault
from returns_pipeline.photos import kept_pictures
from returns_pipeline.records.catalogue import ProductImage
from returns_pipeline.records.images import Picture
from returns_pipeline.store import deletion
from returns_pipeline.usecases.context import Context
from returns_pipeline.web.errors import BusyError
from returns_pipeline.web.render.drawing_client import DrawingClient
from returns_pipeline.web.render.orders import Heat, Order, Reply
from returns_pipeline.web.render.picture_cache import PictureCache

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

#: The sizes of pictures in pixels. Few, so that each photo is decoded and kept only a few times.
SIZES = (16, 32, 48, 64, 96, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1024, 1440, 2048)
#: Photos that are decoded at the same time.
_AT_ONCE = 2
#: Pictures that are drawn or wait for it. A page of 60 needs at most 6: browsers open so many connections.
_MOST_WAITING = 64
#: Seconds that a request waits for its picture.
_WAIT_SECONDS = 30.0
#: Seconds between two looks for pictures of photos that were removed.
_CHECK_SECONDS = 3600.0
#: Part of every key: raised when pictures are drawn in another way.
_FORM = "1"


class Wanted(NamedTuple):
    """A picture to show: a photo where it lies now, `size` pixels on the longer side, with or without heat.

    `key` is the same for the same picture and changes when the photo changes. It is empty without a photo.
    The path of a product's picture is an address below `folder`; a photo has no folder.
    """

    picture: Picture | None
    size: int
    heat: Heat | None
    key: str
    folder: str | None = None


class Pictures:
    """Draws pictures and keeps them in HOME/thumbnails. Each web process has one."""

    def __init__(self, context: Context) -> None:
        """Start no process yet."""
        settings = context.settings
        self._context = context
        self._cache = PictureCache(
            settings.home / kept_pictures.FOLDER, settings.thumbnail_cache_mb * 1024 * 1024
        )
        self._threads = ThreadPoolExecutor(_AT_ONCE, "pictures")
        self._clients: queue.SimpleQueue[DrawingClient] = queue.SimpleQueue()
        self._every_client = [DrawingClient(settings.thumbnail_memory_mb) for _ in range(_AT_ONCE)]
        for client in self._every_client:
            self._clients.put(client)
        self._drawing: dict[str, asyncio.Future[Reply]] = {}
        self._is_closed = False
        self._next_check = 0.0

    def wanted(self, picture: Picture | None, size: int, heat: Heat | None = None) -> Wanted:
        """Return what to draw, with its key. Looks at the file."""
        identity = self._context.photos.describe(picture.path).identity if picture else ""
        if picture is None or not identity:
            return Wanted(None, size, None, "")
        drawn = hashlib.sha256(heat.values).hexdigest() if heat else ""
        text = "\n".join((_FORM, picture.path, identity, str(size), drawn, *["damaged"] * picture.is_damaged))
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return Wanted(picture, size, heat, kept_pictures.key(picture.image_id, digest))

    def wanted_of_product(self, found: ProductImage | None, size: int) -> Wanted:
        """Return what to draw of a product's picture, if it is a file. Looks at the file."""
        if found is None or found.folder is None:
            return Wanted(None, size, None, "")
        try:
            identity, content_size = stamp_of(found.folder, found.address)
        except (ImageFault, TransientFault):
            return Wanted(None, size, None, "")
        text = "\n".join((_FORM, "product", found.folder, found.address, identity, str(size)))
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        picture = Picture(found.address, content_size, None, None)
        return Wanted(picture, size, None, kept_pictures.key(0, digest), found.folder)

    async def draw(self, wanted: Wanted) -> bytes | None:
        """Return a WebP; None if the photo is gone or cannot be decoded.

        Requests for the same picture share one decoding. Raises BusyError if too many pictures wait, or if
        this one waits for too long.
        """
        if wanted.picture is None:
            return None
        found = await run_in_threadpool(self._cache.get, wanted.key)
        if found is None:
            found = await self._drawn(wanted.key, partial(self._draw, wanted, wanted.picture))
        return found.webp

    async def _drawn(self, key: str, draw: "partial[Reply]") -> Reply:
        drawing = self._drawing.get(key)
        if drawing is None:
            if len(self._drawing) >= _MOST_WAITING:
                raise BusyError("Too many pictures are being drawn.")
            drawing = asyncio.get_running_loop().run_in_executor(self._threads, draw)
            self._drawing[key] = drawing
            drawing.add_done_callback(lambda _: self._drawing.pop(key, None))
        try:
            # A request that ends must not end the decoding for the others.
            return await asyncio.wait_for(asyncio.shield(drawing), _WAIT_SECONDS)
        except TimeoutError:
            raise BusyError("The picture was not drawn in time.") from None

    def _draw(self, wanted: Wanted, picture: Picture) -> Reply:
        settings = self._context.settings
        client = self._clients.get()
        try:
            if wanted.folder is None:
                photo = self._context.photos.read_classified(picture, settings.max_file_bytes)
            else:
                photo = read_picture(wanted.folder, picture.path, settings.max_file_bytes)
            order = Order(
                wanted.size,
                picture.width,
                picture.height,
                settings.max_file_bytes,
                settings.max_pixels,
                settings.image_seconds,
                picture.is_damaged,
            )
            reply = client.draw(order, wanted.heat, photo)
        except ImageFault as fault:
            reply = Reply(None, fault.code)
        except (TransientFault, OSError) as error:
            # The disk may answer again soon, or the machine start another process: nothing is kept.
            return Reply(None, str(error))
        finally:
            self._clients.put(client)
        # A process that `close` ends says nothing about its photo.
        if not self._is_closed:
            self._cache.put(wanted.key, reply)
            self._remove_gone(picture.image_id)
        return reply

    def _remove_gone(self, image_id: int) -> None:
        """Remove what was kept of a photo that was removed while it was drawn; now and then of all.

        A worker on another machine, which removes photos, does not reach this folder.
        """
        db, folder = self._context.db, self._context.settings.home / kept_pictures.FOLDER
        try:
            if image_id and deletion.gone_among(db, [image_id]):
                kept_pictures.remove(folder, [image_id])
            if time.monotonic() > self._next_check:
                self._next_check = time.monotonic() + _CHECK_SECONDS
                kept_pictures.remove_those(folder, lambda ids: deletion.gone_among(db, ids))
        except TransientFault as fault:
            log.warning("pictures_not_checked", reason=fault.message)

    def close(self) -> None:
        """End the processes."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._every_client:
            client.close()
