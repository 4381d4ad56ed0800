"""A chunk's files to batches of pixels: read and decoded one by one, or ahead of the model in threads."""

import errno
import math
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import FaultCode, ImageFault, TransientFault
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.lookahead import map_ahead
from returns_pipeline.records.images import Decoded, ImageFacts, PendingImage, Picture
from returns_pipeline.records.models import ImageInput

#: What says something of the file and not of the disk or the machine.
_THE_FILES_OWN = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENOTDIR}
#: How often within its time an image's clock is looked at.
_LOOKS = 4
#: Batches that the threads may be ahead of the model.
_AHEAD = 2


class Batch(NamedTuple):
    """What a model takes at once: `pixels` uint8 [n, h, w, c], `images` and `facts` of the same n.

    `pixels` is overwritten when the next batch is asked for. `refused` are the images between them that
    could not be read or decoded.
    """

    pixels: NDArray[np.uint8]
    images: list[PendingImage]
    facts: list[ImageFacts]
    refused: list[tuple[PendingImage, "Refusal"]]


class Refusal(NamedTuple):
    """Why an image has no pixels. Not the ImageFault itself: its traceback would keep the file's content."""

    code: FaultCode
    detail: str


class _Answer(NamedTuple):
    """What became of one file, and the seconds that it took."""

    result: Decoded | Refusal
    read_seconds: float
    decode_seconds: float


class Decoder:
    """Reads and decodes what a model takes. `read_seconds` and `decode_seconds` add up over its threads."""

    def __init__(self, want: ImageInput, limits: Limits, image_seconds: float) -> None:
        """Make pixels as the model wants them; an image may take `image_seconds` to decode."""
        self._want, self._limits = want, limits
        self._watch = _Watch(image_seconds)
        self.read_seconds = self.decode_seconds = 0.0

    def batches(
        self, images: Sequence[PendingImage], size: int, threads: int, progress: Callable[[], None]
    ) -> Iterator[Batch]:
        """Yield batches of at most `size` decoded images; calls `progress` after each image.

        With `threads` they decode ahead while the caller lets the model predict, and no image has a time
        limit of its own: only the main thread can be interrupted. Raises TransientFault when the disk or the
        machine is at fault.
        """
        pixels = np.empty((min(size, len(images)), *self._want.shape), np.uint8)
        batch = Batch(pixels, [], [], [])
        for image, answer in zip(images, self._answers(images, size, threads), strict=True):
            progress()
            self.read_seconds += answer.read_seconds
            self.decode_seconds += answer.decode_seconds
            if isinstance(answer.result, Refusal):
                batch.refused.append((image, answer.result))
                continue
            pixels[len(batch.images)] = answer.result.pixels
            batch.images.append(image)
            batch.facts.append(answer.result.facts)
            if len(batch.images) == size:
                yield batch
                batch = Batch(pixels, [], [], [])
        if batch.images or batch.refused:
            yield batch._replace(pixels=pixels[: len(batch.images)])

    def _answers(self, images: Sequence[PendingImage], size: int, threads: int) -> Iterator[_Answer]:
        if threads:
            with ThreadPoolExecutor(threads, "decode") as pool:
                yield from map_ahead(pool, self._answer, images, _AHEAD * size)
        else:
            with self._watch:
                yield from map(self._answer, images)

    def _answer(self, image: PendingImage) -> _Answer:
        began = begun = time.perf_counter()
        result: Decoded | Refusal
        try:
            data = read(image, self._limits)
            # The time limit is the decoder's: a disk that is slow is not the image's fault.
            self._watch.began = begun = time.perf_counter()
            result = bytes_to_pixels.decode(data, self._want, self._limits)
            self._watch.began = math.inf
        except ImageFault as fault:
            self._watch.began = math.inf
            result = Refusal(fault.code, fault.detail)
        return _Answer(result, begun - began, time.perf_counter() - begun)


def read(image: PendingImage, limits: Limits) -> bytes:
    """Return a file's content if it is still the file that was seen.

    Raises ImageFault: vanished, changed, unreadable, empty_file, too_large; TransientFault when the disk or
    the machine is at fault.
    """
    try:
        # Neither a link nor a pipe may take the place of the file that was seen.
        descriptor = os.open(image.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            seen = (image.size, image.mtime_ns)
            if not stat.S_ISREG(found.st_mode) or (found.st_size, found.st_mtime_ns) != seen:
                raise ImageFault(FaultCode.CHANGED)
            if image.size == 0:
                raise ImageFault(FaultCode.EMPTY_FILE)
            if image.size > limits.max_bytes:
                raise ImageFault(
                    FaultCode.TOO_LARGE,
                    "The file has {size:,} bytes; at most {max_bytes:,} are accepted.",
                    size=image.size,
                    max_bytes=limits.max_bytes,
                )
            data = os.read(descriptor, image.size)
            while len(data) < image.size and (more := os.read(descriptor, image.size - len(data))):
                data += more
            return data
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ImageFault(FaultCode.VANISHED) from None
    except OSError as error:
        if error.errno in _THE_FILES_OWN:
            raise ImageFault(
                FaultCode.UNREADABLE, "The file cannot be read: {reason}.", reason=error.strerror
            ) from error
        raise TransientFault(
            "{path} cannot be read: {reason}.",
            "Look after the disk; the sweep tries again.",
            path=image.path,
            reason=error.strerror,
        ) from error


def read_again(picture: Picture, limits: Limits) -> bytes:
    """Return the content of a file that has been classified, wherever it was moved. Raises as `read`.

    Its time is not asked: a file system that it was copied to may keep only a part of it.
    """
    try:
        time_ns = Path(picture.path).lstat().st_mtime_ns
    except FileNotFoundError:
        raise ImageFault(FaultCode.VANISHED) from None
    except OSError as error:
        raise TransientFault(
            "{path} cannot be read: {reason}.",
            "Look after the disk, then try again.",
            path=picture.path,
            reason=error.strerror,
        ) from error
    return read(PendingImage(0, picture.path, picture.size, time_ns), limits)


class _Watch:
    """Raises ImageFault timed_out in the main thread when a decoder takes longer than its time.

    A ticking clock instead of an alarm for each image: setting one costs as much as reading a small file.
    A decoder that never returns to Python is not reached: the chunk's time limit ends its process, and the
    chunk is split.
    """

    def __init__(self, seconds: float) -> None:
        """Allow `seconds`, and up to a quarter more."""
        self._seconds = seconds
        #: When the present image was begun, on time.perf_counter; infinite between images.
        self.began = math.inf

    def __enter__(self) -> Self:
        """Start the clock."""
        self.began = math.inf
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, self._seconds / _LOOKS, self._seconds / _LOOKS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock."""
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _look(self, _signal: int, _frame: FrameType | None) -> None:
        now = time.perf_counter()
        if now - self.began > self._seconds:
            # Again after as long: a decoder may swallow the first one.
            self.began = now
            raise ImageFault(FaultCode.TIMED_OUT)
