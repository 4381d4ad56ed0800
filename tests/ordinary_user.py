"""File accesses of an ordinary user, in tests that run as root."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_NOBODY = 65534
_libc = ctypes.CDLL(None)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Let the kernel check this thread's file accesses as those of another user; root may do everything."""
    if os.geteuid() != 0:
        yield
        return
    _libc.setfsuid(_NOBODY)
    try:
        if _libc.setfsuid(_NOBODY) != _NOBODY:
            pytest.skip("this kernel does not change the user of file accesses")
        yield
    finally:
        _libc.setfsuid(0)
