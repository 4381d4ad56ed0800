"""The photos of a chunk to batches of pixels: read and decoded in turn, or by threads ahead of the model."""

import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import FaultCode, ImageFault
from returns_pipeline.photos.codes.reader import CodeReader
from returns_pipeline.photos.decoding import bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.formats import detect_format
from returns_pipeline.photos.decoding.lookahead import map_ahead
from returns_pipeline.photos.source import Reader
from returns_pipeline.records.codes import Code
from returns_pipeline.records.images import Decoded, FaultyFacts, ImageFacts, PendingImage
from returns_pipeline.records.models import ImageInput

#: How often the clock checks an image, within the time that the image may take.
_CHECKS_PER_LIMIT = 4
#: Seconds after which an alarm comes that was due meanwhile; 0 would switch it off.
_SOON = 0.001
#: Batches that the threads may be ahead of the model.
_BATCHES_AHEAD = 2


class Failure(NamedTuple):
    """Why an image has no pixels. Not the ImageFault itself: its traceback would keep the file's content."""

    code: FaultCode
    detail: str
    #: None if the file was not read.
    facts: FaultyFacts | None = None


class Batch(NamedTuple):
    """What a model takes in one call: `pixels` uint8 [n, h, w, c], `images` and `facts` of the same n.

    `pixels` is overwritten by the next batch. `failed`: the images in between that could not be read or
    decoded. `coloured`: the places, 0 to n - 1, of pictures whose colours a grey model does not see. `codes`:
    the codes in photos, each with its place.
    """

    pixels: NDArray[np.uint8]
    images: list[PendingImage]
    facts: list[ImageFacts]
    failed: list[tuple[PendingImage, Failure]]
    coloured: list[int]
    codes: list[tuple[int, tuple[Code, ...]]]


class _Attempt(NamedTuple):
    """The result for one image, and the seconds that it took."""

    result: Decoded | Failure
    read_seconds: float
    decode_seconds: float
    codes: tuple[Code, ...] = ()
    code_seconds: float = 0.0


class Decoder:
    """Reads and decodes images, and reads the codes in them.

    `read_seconds`, `decode_seconds` and `code_seconds` are sums over its threads.
    """

    def __init__(
        self,
        source: Reader,
        want: ImageInput,
        limits: Limits,
        image_seconds: float,
        codes: CodeReader | None = None,
    ) -> None:
        """Decode photos of `source` to what the model takes; an image may take `image_seconds` to decode.

        Without `codes`, no codes are read.
        """
        self._source, self._want, self._limits, self._codes = source, want, limits, codes
        self._time_limit = _TimeLimit(image_seconds)
        self.read_seconds = self.decode_seconds = self.code_seconds = 0.0

    def batches(
        self, images: Sequence[PendingImage], size: int, threads: int, progress: Callable[[], None]
    ) -> Iterator[Batch]:
        """Yield batches of at most `size` decoded images; calls `progress` after each image.

        With `threads`, images are decoded ahead while the model predicts. They then have no time limit of
        their own: only the main thread can be interrupted. Raises TransientFault if the disk or the machine
        fails.
        """
        pixels = np.empty((min(size, len(images)), *self._want.shape), np.uint8)
        batch = Batch(pixels, [], [], [], [], [])
        for image, attempt in zip(images, self._attempts(images, size, threads), strict=True):
            progress()
            self.read_seconds += attempt.read_seconds
            self.decode_seconds += attempt.decode_seconds
            self.code_seconds += attempt.code_seconds
            if isinstance(attempt.result, Failure):
                batch.failed.append((image, attempt.result))
                continue
            pixels[len(batch.images)] = attempt.result.pixels
            if attempt.result.lost_colours:
                batch.coloured.append(len(batch.images))
            if attempt.codes:
                batch.codes.append((len(batch.images), attempt.codes))
            batch.images.append(image)
            batch.facts.append(attempt.result.facts)
            if len(batch.images) == size:
                yield batch
                batch = Batch(pixels, [], [], [], [], [])
        if batch.images or batch.failed:
            yield batch._replace(pixels=pixels[: len(batch.images)])

    def _attempts(self, images: Sequence[PendingImage], size: int, threads: int) -> Iterator[_Attempt]:
        if threads:
            with ThreadPoolExecutor(threads, "decode") as pool:
                yield from map_ahead(pool, self._attempt, images, _BATCHES_AHEAD * size)
        else:
            with self._time_limit:
                yield from map(self._attempt, images)

    def _attempt(self, image: PendingImage) -> _Attempt:
        began = begun = time.perf_counter()
        result: Decoded | Failure
        data: bytes | None = None
        picture = None
        try:
            data = self._source.read(image, self._limits.max_bytes)
            # The time limit is for decoding only: a slow disk is not a fault of the image.
            self._time_limit.began = begun = time.perf_counter()
            if self._codes is None:
                result = bytes_to_pixels.decode(data, self._want, self._limits)
            else:
                result, picture = bytes_to_pixels.decode_with_picture(data, self._want, self._limits)
            self._time_limit.began = math.inf
        except ImageFault as fault:
            self._time_limit.began = math.inf
            result = Failure(fault.code, fault.detail, _faulty_facts(data))
        decoded = time.perf_counter()
        if self._codes is None or picture is None:
            return _Attempt(result, begun - began, decoded - begun)
        # The process that reads codes has limits of its own.
        codes = self._codes.read(picture)
        return _Attempt(result, begun - began, decoded - begun, codes, time.perf_counter() - decoded)


def _faulty_facts(data: bytes | None) -> FaultyFacts | None:
    if data is None:
        return None
    try:
        name = detect_format(data)
    except ImageFault:
        name = None
    return FaultyFacts(hashlib.sha256(data).hexdigest(), name)


class _Alarm(NamedTuple):
    """A handler of SIGALRM, and the timer for it: `seconds` from `since`, on time.monotonic; 0 for none."""

    handler: Any
    seconds: float
    interval: float
    since: float

    def set_again(self) -> None:
        """Restore the handler, and the timer with the time that is left of it."""
        # None: not a handler of Python.
        signal.signal(signal.SIGALRM, self.handler or signal.SIG_DFL)
        if self.seconds:
            left = self.seconds - (time.monotonic() - self.since)
            signal.setitimer(signal.ITIMER_REAL, max(left, _SOON), self.interval)


class _TimeLimit:
    """Raises ImageFault timed_out in the main thread when decoding an image takes too long.

    One periodic timer instead of one alarm for each image: setting an alarm costs as much as reading a small
    file. A decoder that never returns to Python cannot be interrupted this way: the chunk's time limit then
    ends the process, and the chunk is split.
    """

    def __init__(self, seconds: float) -> None:
        """Allow `seconds`, and up to a quarter more."""
        self._seconds = seconds
        #: When decoding the current image began, on time.perf_counter; infinite between images.
        self.began = math.inf
        self._before: _Alarm | None = None

    def __enter__(self) -> Self:
        """Start the timer."""
        self.began = math.inf
        if threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGALRM, self._check)
            interval = self._seconds / _CHECKS_PER_LIMIT
            timer = signal.setitimer(signal.ITIMER_REAL, interval, interval)
            self._before = _Alarm(handler, *timer, time.monotonic())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the timer. An alarm that the program had set before comes in its time."""
        if self._before and threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._before.set_again()

    def _check(self, _signal: int, _frame: FrameType | None) -> None:
        now = time.perf_counter()
        if now - self.began > self._seconds:
            # Raise again after the same time: a decoder may swallow the first exception.
            self.began = now
            raise ImageFault(FaultCode.TIMED_OUT)
