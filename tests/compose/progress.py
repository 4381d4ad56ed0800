"""What the check prints: a line for each step, with the time since its start."""

import contextlib
import time
from collections.abc import Iterator

_STARTED = time.monotonic()


class CheckError(Exception):
    """What the check found is wrong. Its text is the reason."""


def say(line: str) -> None:
    """Print a line after the time since the check's start."""
    minutes, seconds = divmod(int(time.monotonic() - _STARTED), 60)
    print(f"[{minutes:2d}m{seconds:02d}s] {line}", flush=True)  # noqa: T201 - the check's output


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Print that a step is ok, and the seconds that it took. An error in it becomes a CheckError."""
    began = time.monotonic()
    try:
        yield
    except Exception as error:
        raise CheckError(f"{name}: {error or type(error).__name__}") from error
    say(f"ok: {name} ({time.monotonic() - began:.0f} s)")


def expect(what: str, found: object, wanted: object) -> None:
    """Raise CheckError unless `found` equals `wanted`."""
    if found != wanted:
        raise CheckError(f"{what}: {found!r} instead of {wanted!r}")
