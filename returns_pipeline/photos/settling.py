"""Finds the photos of an intake that have settled, and counts what it leaves behind."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from returns_pipeline.photos.intake_rules import SkipRule, is_same, is_settled
from returns_pipeline.photos.source import PhotoSource
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.runs import LeftBehind

#: Looks at a file before it counts as still changing. The third is for a copy that ended between the first
#: two, and for file systems that count a file's blocks some seconds after it was written.
_MOST_LOOKS = 3
#: Files that wait for another look, so that memory stays flat.
_MOST_WAITING = 50_000


class _Waiting(NamedTuple):
    """A file, the time of the last look at it, in seconds of the monotonic clock, and the number of looks."""

    seen: float
    looks: int
    file: FoundFile


class Settling:
    """One scan of a folder. First iterate over `old`, then over `young`; then `left` is complete.

    A file has settled if it did not change for the settling time by its file server's clock, or if two looks
    that are so far apart see the same file. This machine's clock decides nothing: a file server's clock may
    be ahead, which would hide new files, or behind, which would let unfinished ones pass.
    """

    def __init__(
        self,
        source: PhotoSource,
        root: str,
        is_skipped: SkipRule,
        settle_seconds: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is listed yet. `pause` waits for some seconds."""
        self._source, self._root, self._is_skipped = source, root, is_skipped
        self._seconds, self._pause = settle_seconds, pause
        self._waiting: deque[_Waiting] = deque()
        self._still_changing = 0
        self._unreadable_folders = 0

    @property
    def left(self) -> LeftBehind:
        """What was left so far."""
        return LeftBehind(self._still_changing, self._is_skipped.count, self._unreadable_folders)

    def old(self) -> Iterator[FoundFile]:
        """Yield the files that settled before this scan. Rarely waits: only if very many have not."""
        found = self._source.find(
            self._root, self._is_skipped, unreadable=self._count_folder, with_clock=self._seconds > 0
        )
        for file in found:
            if is_settled(file, self._seconds):
                yield file
                continue
            if len(self._waiting) == _MOST_WAITING:
                yield from self._look_again()
            self._waiting.append(_Waiting(time.monotonic(), 1, file))

    def young(self) -> Iterator[FoundFile]:
        """Wait for the other files; yield those that settle."""
        while self._waiting:
            yield from self._look_again()

    def _look_again(self) -> Iterator[FoundFile]:
        seen, looks, before = self._waiting.popleft()
        rest = seen + self._seconds - time.monotonic()
        if rest > 0:
            self._pause(rest)
        file = self._source.describe(before.path)
        if not file.identity or file.path != before.path:  # removed, or replaced by a link
            return
        if is_same(file, before):
            yield file
        elif looks + 1 < _MOST_LOOKS:
            self._waiting.append(_Waiting(time.monotonic(), looks + 1, file))
        else:
            self._still_changing += 1

    def _count_folder(self, _: str) -> None:
        self._unreadable_folders += 1
