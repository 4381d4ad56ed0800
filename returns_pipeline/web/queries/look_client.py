"""Has workers compute the vectors of photos, and waits for them."""

import asyncio
import contextlib

from starlette.concurrency import run_in_threadpool

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.embedding import PhotoLook
from returns_pipeline.records.tasks import EXPLAINED_SECONDS, Task
from returns_pipeline.store import photo_looks
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.likely_products import active_space
from returns_pipeline.usecases.product_search import ProductSearch
from returns_pipeline.usecases.uploads import discard, write_spool

#: Seconds between two queries while a request waits.
_PAUSE = 0.02
#: Photos that workers look at for this process at the same time, so that predictions are not delayed.
_MOST_AT_ONCE = 2


class LookClient:
    """Asks workers for vectors of the active space; `search` finds what is near. Each web process has one."""

    def __init__(self, context: Context) -> None:
        """Keep the connections."""
        self._context, self.db = context, context.db
        self.search = ProductSearch(context.settings, context.db)
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def of_image(self, image_id: int) -> PhotoLook:
        """Return the vector of an image; it is not done if no worker finished in time.

        Raises NothingEmbeddedError without an active space, PipelineError without a broker or database.
        """
        return await self._done(await run_in_threadpool(self._ask_of_image, image_id))

    def _ask_of_image(self, image_id: int) -> PhotoLook:
        return photo_looks.of_image(self.db, active_space(self.db).id, image_id)

    async def of_photo(self, name: str, content: bytes) -> PhotoLook:
        """Return the vector of a photo that was sent. Its file is removed then. Raises as `of_image`."""
        look, path = await run_in_threadpool(self._ask_of_photo, name, content)
        try:
            return await self._done(look)
        finally:
            # The sweep removes the file later if it cannot be removed now.
            with contextlib.suppress(TransientFault):
                await run_in_threadpool(discard, self._context, [path])

    def _ask_of_photo(self, name: str, content: bytes) -> tuple[PhotoLook, str]:
        space = active_space(self.db)
        (file,) = write_spool(self._context, [(name, content)])
        try:
            return photo_looks.ask(self.db, space.id, file.path, file.size), file.path
        except BaseException:
            with contextlib.suppress(TransientFault):
                discard(self._context, [file.path])
            raise

    async def _done(self, look: PhotoLook) -> PhotoLook:
        """Return a vector once a worker has stored it, or what there is when the time is over."""
        if look.is_done:
            return look
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXPLAINED_SECONDS), self._slots:
                await run_in_threadpool(self._context.queue.send, Task.LOOK_AT_PHOTO, look.id)
                while not look.is_done:
                    await asyncio.sleep(_PAUSE)
                    look = await run_in_threadpool(photo_looks.find, self.db, look)
        return look
