"""Decodes pictures in a process of its own, so that one that is built to harm costs itself alone."""

import asyncio
import multiprocessing
import os
import resource
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from returns_pipeline.child_limits import limit_memory, lower_limit
from returns_pipeline.collecting.job import Job, Refusal
from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import PREFIX

_SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "HEIF": ".heic",
    "AVIF": ".avif",
    "TIFF": ".tif",
    "GIF": ".gif",
    "BMP": ".bmp",
    "JPEG2000": ".jp2",
}
#: Bytes of the interpreter and its libraries.
_OWN_MEMORY = 512 << 20
_BYTES_A_PIXEL = 8


class PictureChecker:
    """Decodes pictures one after the other with the project's decoder, with limits of memory and time."""

    def __init__(self, job: Job) -> None:
        """Start nothing yet."""
        self._job = job
        self._limits = Limits(job.max_file_bytes, job.max_pixels)
        self._pool: ProcessPoolExecutor | None = None
        # One at a time: if the process ends, the picture that it was decoding is the one to blame.
        self._turn = asyncio.Lock()

    async def check(self, body: bytes) -> tuple[str, str]:
        """Return the suffix for a picture's content and an empty text, or an empty text and a reason."""
        async with self._turn:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1,
                    multiprocessing.get_context("spawn"),
                    _prepare,
                    (_OWN_MEMORY + 2 * self._job.max_file_bytes + _BYTES_A_PIXEL * self._job.max_pixels,),
                )
            seconds, side = self._job.image_seconds, self._job.least_side
            try:
                return await asyncio.wrap_future(self._pool.submit(_check, body, self._limits, seconds, side))
            except BrokenProcessPool:
                self.close()
                return "", Refusal.DECODER

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _prepare(most_bytes: int) -> None:
    """Limit the process, take away the settings, which hold secrets, and end it when the crawl ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the crawl, which ends this process
    limit_memory(most_bytes)
    lower_limit(resource.RLIMIT_FSIZE, 0)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _check(body: bytes, limits: Limits, seconds: float, least_side: int) -> tuple[str, str]:
    # Without a handler the kernel ends the process, also inside a decoder. The time of the processor,
    # because a machine that is busy is no fault of the picture.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        facts = decode(body, ImageInput(least_side, least_side, 3), limits).facts
    except ImageFault as fault:
        return "", fault.code.value
    except MemoryError:
        return "", FaultCode.TOO_MANY_PIXELS.value
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if min(facts.width, facts.height) < least_side:
        return "", Refusal.TOO_SMALL
    suffix = _SUFFIXES.get(facts.format, "")
    return suffix, "" if suffix else FaultCode.UNSUPPORTED_FORMAT.value
