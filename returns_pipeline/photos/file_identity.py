"""The identity of a file of this machine: SIZE-MTIME, in bytes and in nanoseconds since the epoch."""

import os

#: The coarsest modification times that a file system stores: FAT, 2 seconds.
_COARSEST_NS = 2_000_000_000


def identity_of(status: os.stat_result) -> str:
    """Return the identity of a file. The database spells it the same way for rows of older releases."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def size_of(identity: str) -> int:
    """Return the size that an identity states, in bytes, of a file or of an object in a store."""
    return int(identity.partition("-")[0])


def is_copy(status: os.stat_result, identity: str) -> bool:
    """Whether a file may be a copy of the one with this identity.

    The modification time of a copy may differ by up to 2 seconds: some file systems store no more digits.
    """
    size, _, mtime_ns = identity.partition("-")
    return status.st_size == int(size) and abs(status.st_mtime_ns - int(mtime_ns)) <= _COARSEST_NS
