"""Limits of log-ins: bounded in memory, slower under attack, and the same for every address of a caller."""

import asyncio
import time

import pytest

from returns_pipeline.web.errors import TooManyAttemptsError
from returns_pipeline.web.security.attempts import Attempt, Failures, LogIns, Tokens, network_of


async def wrong() -> None:
    """Check a password that is wrong."""


async def right() -> str:
    """Check a password that is right."""
    return "ann"


def test_any_number_of_names_needs_the_same_memory() -> None:
    """The newest failures are kept, and keys whose failures are old are dropped."""
    failures = Failures(most_keys=1000)
    for number in range(200_000):
        failures.add(f"name {number}", 5)
    assert len(failures) == 1000
    assert failures.reach("name 199999", 1)
    assert not failures.reach("name 0", 1)
    tokens = Tokens()
    for number in range(20_000):
        tokens.count(str(number), f"2001:db8:{number:x}::1", is_right=False)
    for number in range(30):
        tokens.require_attempts_left("new", "192.0.2.1")
        tokens.count(f"guess {number}", "192.0.2.1", is_right=False)
    with pytest.raises(TooManyAttemptsError):
        tokens.require_attempts_left("new", "192.0.2.1")


def test_only_failures_of_the_last_minute_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute after the first of five failures one more attempt is left."""
    now = time.monotonic()
    failures = Failures()
    for second in range(0, 50, 10):
        monkeypatch.setattr(time, "monotonic", lambda second=second: now + second)
        assert not failures.reach("ann", 5)
        failures.add("ann", 5)
    assert failures.reach("ann", 5)
    monkeypatch.setattr(time, "monotonic", lambda: now + 60.5)
    assert not failures.reach("ann", 5)
    failures.add("ann", 5)
    assert failures.reach("ann", 5)
    monkeypatch.setattr(time, "monotonic", lambda: now + 200)
    failures.add("bob", 5)
    assert len(failures) == 1


def test_an_attack_from_many_networks_is_slowed_down_but_known_browsers_are_not() -> None:
    """After 100 failures of all callers an unknown browser waits a second, with any name and address."""

    async def attack() -> None:
        log_ins = LogIns()
        for number in range(100):
            await log_ins.attempt(Attempt("ann", f"192.0.2.{number}", None), wrong)
        began = time.monotonic()
        assert await log_ins.attempt(Attempt("ann", "198.51.100.1", "her browser"), right) == "ann"
        assert time.monotonic() - began < 0.5
        unknown = Attempt("bob", "198.51.100.2", None)
        began = time.monotonic()
        assert await log_ins.attempt(unknown, right) == "ann"
        assert time.monotonic() - began >= 1
        # More than 100 that wait at the same time are refused, so a flood takes no memory.
        flood = [log_ins.attempt(Attempt("ann", f"203.0.113.{n}", None), wrong) for n in range(150)]
        found = await asyncio.gather(*flood, return_exceptions=True)
        assert sum(isinstance(each, TooManyAttemptsError) for each in found) == 50

    asyncio.run(attack())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
        ("x" * 10_000, "x" * 64),
    ],
)
def test_one_caller_is_one_network(address: str, network: str) -> None:
    """A household has a whole /64 network of IPv6 addresses."""
    assert network_of(address) == network
