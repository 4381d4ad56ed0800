"""How fast workers finish the chunks of this process, and so whether one more request is answered in time."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from statistics import fmean

from returns_pipeline.web.errors import BusyError

#: Part of the time of a request that the work before it may take: the speed may change while it waits.
_PART_BEFORE = 0.5
#: Chunks whose times count.
_MEASURED = 16
#: Part of the times that is left out, the longest ones: of a worker process that was replaced.
_LEFT_OUT = 0.25
#: Most seconds after which a client is told to try again.
_LONGEST_RETRY = 60


class Pace:
    """The chunks that are not done yet, and the mean seconds from one done chunk to the next.

    A chunk counts until it is done, also if its client has gone: it is still before the next one.
    """

    def __init__(self, api_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Let a request wait `api_seconds`; `clock` returns seconds."""
        self._most, self._clock = api_seconds * _PART_BEFORE, clock
        self._open: set[int] = set()
        self._measured: deque[float] = deque(maxlen=_MEASURED)
        self._since = 0.0
        #: The first chunk waits for its worker process to load the model.
        self._is_first = True
        self._chunk_size = 1

    def begin(self, chunk_ids: Iterable[int], chunk_size: int) -> None:
        """Count chunks that were accepted; each has at most `chunk_size` images."""
        if not self._open:
            self._since = self._clock()
        self._open.update(chunk_ids)
        self._chunk_size = chunk_size

    def end(self, chunk_ids: Iterable[int]) -> None:
        """Count chunks that are done."""
        done = self._open.intersection(chunk_ids)
        if not done:
            return
        self._open -= done
        now = self._clock()
        each = (now - self._since) / len(done)
        # After a longer time, the workers were away: that says nothing about their speed.
        if each <= self._most and not self._is_first:
            self._measured.extend([each] * len(done))
        self._is_first = False
        self._since = now

    def require_room(self, images: int, waiting: int = 0) -> None:
        """Raise BusyError if `images` more, after `waiting` ones without a chunk, would wait for too long."""
        before = len(self._open) + math.ceil(waiting / self._chunk_size)
        if not before or not self._measured:
            return
        chunks = before + math.ceil(images / self._chunk_size)
        late = chunks * self._seconds() - self._most
        if late > 0:
            seconds = math.ceil(min(late, _LONGEST_RETRY))
            raise BusyError("More images wait than can be classified in time.", seconds)

    def _seconds(self) -> float:
        """Return the mean seconds from one done chunk to the next."""
        times = sorted(self._measured)
        return fmean(times[: len(times) - int(_LEFT_OUT * len(times))])
