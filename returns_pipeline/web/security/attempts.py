"""Limits of wrong passwords and tokens, counted in the memory of one web process.

An attacker who fails with a name must not keep its owner out: failures count for the attacker's own network,
and a browser that has logged in before counts alone (OWASP, "Slow down online guessing attacks with device
cookies"). Successes count nowhere, so an office behind one address does not use up its attempts.
"""

import asyncio
import ipaddress
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from returns_pipeline.web.errors import TooManyAttemptsError

_T = TypeVar("_T")

#: Seconds for which a failure counts.
WINDOW = 60.0
#: Failures in WINDOW after which attempts are refused: with one name from one network, with all names from
#: one network, with one name in a browser that has logged in with it before, with tokens from one network.
_OF_NAME, _OF_NETWORK, _OF_DEVICE, _OF_TOKENS = 5, 30, 10, 30
#: Names and networks in WINDOW whose refusal is recorded: an attacker must not fill the audit log.
_RECORDED = 10
#: Failures of all callers in WINDOW that make an attempt of an unknown browser wait; its longest wait.
_FLOOD, _LONGEST_WAIT = 100, 5.0
#: Attempts that may wait at the same time, of known and of unknown browsers.
_MOST_WAITING = 100
#: Password checks that run at the same time: each takes 64 MiB.
_CHECKS = 2
#: Keys whose failures are in memory. When one more comes, the key without a failure for longest is dropped.
_MOST_KEYS = 10_000


class Failures:
    """The failures of each key in the last WINDOW. Threads may share it; its memory is bounded."""

    def __init__(self, most_keys: int = _MOST_KEYS) -> None:
        """Begin with no failure."""
        self._lock = threading.Lock()
        self._most_keys = most_keys
        #: The times of each key's newest failures; the key with the newest failure is last.
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keys in memory."""
        return len(self._times)

    def reach(self, key: str, most: int) -> bool:
        """Whether a key has `most` failures in the last WINDOW."""
        with self._lock:
            times = self._times.get(key, ())
            return len(times) >= most and times[-most] > time.monotonic() - WINDOW

    def add(self, key: str, most: int) -> None:
        """Count a failure of a key; only the newest `most` are kept."""
        now = time.monotonic()
        with self._lock:
            self._times.setdefault(key, deque(maxlen=most)).append(now)
            self._times.move_to_end(key)
            while len(self._times) > self._most_keys or next(iter(self._times.values()))[-1] < now - WINDOW:
                self._times.popitem(last=False)


class Attempt(NamedTuple):
    """An attempt to log in. `device` is the browser's id if it has logged in with this name before."""

    name: str
    address: str
    device: str | None

    @property
    def limits(self) -> dict[str, int]:
        """What a failure counts for, with the most failures of each."""
        if self.device is not None:
            return {f"device {self.device} {self.name}": _OF_DEVICE}
        network = network_of(self.address)
        return {f"name {network} {self.name}": _OF_NAME, f"network {network}": _OF_NETWORK}


class LogIns:
    """Lets an attempt check its password, refuses it, or lets it wait. For one event loop."""

    def __init__(self) -> None:
        """Begin with no failure."""
        self._failures = Failures()
        self._recorded = Failures()
        #: The times of the newest failures of all callers.
        self._newest: deque[float] = deque(maxlen=round(_FLOOD * _LONGEST_WAIT))
        self._waiting = Counter[bool]()
        self._checks = asyncio.Semaphore(_CHECKS)

    async def attempt(self, attempt: Attempt, check: Callable[[], Awaitable[_T | None]]) -> _T | None:
        """Return the result of `check`, where None counts as a failure.

        Raises TooManyAttemptsError without calling `check` if too many attempts have failed or wait.
        """
        self._require_attempts_left(attempt)
        with self._place(attempt):
            if attempt.device is None:
                await asyncio.sleep(self._wait())
            async with self._checks:
                # Again, because attempts that were sent at the same time may have failed meanwhile.
                self._require_attempts_left(attempt)
                found = await check()
                if found is None:
                    self._count(attempt)
        return found

    def _require_attempts_left(self, attempt: Attempt) -> None:
        if any(self._failures.reach(key, most) for key, most in attempt.limits.items()):
            raise TooManyAttemptsError("Too many attempts to log in. Wait a minute.")

    def is_worth_a_record(self, attempt: Attempt) -> bool:
        """Whether a failed attempt has reached a limit, so that the next one is refused.

        True once for each limit, and for some attempts of all callers in WINDOW at most.
        """
        is_refused = any(self._failures.reach(key, most) for key, most in attempt.limits.items())
        if not is_refused or self._recorded.reach("all", _RECORDED):
            return False
        self._recorded.add("all", _RECORDED)
        return True

    @contextmanager
    def _place(self, attempt: Attempt) -> Iterator[None]:
        is_known = attempt.device is not None
        if self._waiting[is_known] >= _MOST_WAITING:
            raise TooManyAttemptsError(
                "Very many log-ins are tried just now.",
                "Wait a minute, or use a browser that has logged in before.",
            )
        self._waiting[is_known] += 1
        try:
            yield
        finally:
            self._waiting[is_known] -= 1

    def _wait(self) -> float:
        """Return the seconds that an unknown browser waits: more, the more attempts of all callers fail."""
        now = time.monotonic()
        while self._newest and self._newest[0] < now - WINDOW:
            self._newest.popleft()
        return len(self._newest) / _FLOOD if len(self._newest) >= _FLOOD else 0.0

    def _count(self, attempt: Attempt) -> None:
        self._newest.append(time.monotonic())
        for key, most in attempt.limits.items():
            self._failures.add(key, most)


class Tokens:
    """Counts the wrong tokens of each network. Threads may share it.

    A token has 256 random bits, so guessing is hopeless; the limit saves the database the queries. A token
    that was valid before is always let through, so a program does not stop because of another one's guesses.
    """

    def __init__(self) -> None:
        """Begin with no failure."""
        self._failures = Failures()
        self._right, self._wrong = _Newest(_MOST_KEYS), _Newest(_MOST_KEYS)

    def require_attempts_left(self, digest: str, address: str) -> None:
        """Raise TooManyAttemptsError for a new token from a network with too many wrong ones."""
        if digest not in self._right and self._failures.reach(network_of(address), _OF_TOKENS):
            raise TooManyAttemptsError("Too many wrong tokens come from this address. Wait a minute.")

    def count(self, digest: str, address: str, *, is_right: bool) -> None:
        """Remember whether a token was valid."""
        if is_right:
            self._right.add(digest)
        elif digest not in self._wrong:
            # A program that repeats its revoked token does not guess: it counts once.
            self._wrong.add(digest)
            self._failures.add(network_of(address), _OF_TOKENS)


class _Newest:
    """The `most` texts that were added last."""

    def __init__(self, most: int) -> None:
        self._texts: OrderedDict[str, None] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def add(self, text: str) -> None:
        with self._lock:
            self._texts[text] = None
            self._texts.move_to_end(text)
            if len(self._texts) > self._most:
                self._texts.popitem(last=False)


def network_of(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address: one household has a whole /64."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))
        found = found.ipv4_mapped
    return str(found)
