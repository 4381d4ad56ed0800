"""How long a process that ended waits before it starts again, and which of its ends are reported."""

import signal
import time
from typing import NamedTuple

#: Seconds in which the pause of a process that runs is halved.
_HALF_LIFE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 60.0
#: Seconds between two reports about a process that ends again and again for the same reason.
_REPORT_SECONDS = 3600.0


class _Pause(NamedTuple):
    """A process that does not run: why it ended, and the monotonic time of its next start."""

    until: float
    reason: str


class Restarts:
    """The pauses of all processes by name.

    Each end doubles the pause, up to a minute. Each minute that the process then runs halves it.
    """

    def __init__(self) -> None:
        """Begin without an end."""
        self._lengths: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._pauses: dict[str, _Pause] = {}
        self._reported: dict[str, tuple[str, float]] = {}

    def started(self, name: str) -> None:
        """Note that a process has started now."""
        self._started[name] = time.monotonic()
        self._pauses.pop(name, None)

    def ended(self, name: str, reason: str) -> float:
        """Note that a process has ended now; return the seconds that it pauses."""
        now = time.monotonic()
        decay: float = 0.5 ** ((now - self._started.pop(name, now)) / _HALF_LIFE)
        seconds = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * decay * self._lengths.get(name, 0.0)))
        self._lengths[name] = seconds
        self._pauses[name] = _Pause(now + seconds, reason)
        return seconds

    def pausing(self) -> dict[str, str]:
        """Return why each process that pauses has ended."""
        return {name: pause.reason for name, pause in self._pauses.items()}

    def is_due(self, name: str) -> bool:
        """Whether a process's pause is over."""
        return time.monotonic() >= self._pauses[name].until

    def is_news(self, name: str, reason: str) -> bool:
        """Whether to report an end: its pause still grows, its reason is new, or the last report is old."""
        last_reason, last_time = self._reported.get(name, ("", 0.0))
        now = time.monotonic()
        is_old = now - last_time > _REPORT_SECONDS
        if self._lengths[name] < _LONGEST_PAUSE or reason != last_reason or is_old:
            self._reported[name] = (reason, now)
            return True
        return False


def reason_of(return_code: int) -> str:
    """Return how a process ended, from the return code of `subprocess`: negative for a signal."""
    if return_code >= 0:
        return f"ended with exit code {return_code}"
    try:
        return f"was ended by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"was ended by signal {-return_code}"
