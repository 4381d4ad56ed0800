"""Where the photos of a chunk go: ROOT/run-RUN/CHUNK/IMAGE-name. Pure."""

import os

_MAX_NAME_BYTES = 255
#: A name with at most this many characters has at most 255 bytes.
_ALWAYS_SHORT = _MAX_NAME_BYTES // 4


def destination_folder(root: str, run_id: int, chunk_id: int) -> str:
    """Return the folder for a chunk's photos under `root`. One per chunk keeps every folder small."""
    return f"{root}/run-{run_id}/{chunk_id}"


def destination(folder: str, image_id: int, source: str) -> str:
    """Return the place for a photo in its chunk's folder.

    The id makes it unique, so a name that is used again tomorrow does not collide with today's photo. A name
    that would exceed 255 bytes loses its beginning.
    """
    name = f"{image_id}-{source.rpartition('/')[2]}"
    if len(name) > _ALWAYS_SHORT:
        prefix = f"{image_id}-".encode()
        kept = os.fsencode(name)[len(prefix) :][-(_MAX_NAME_BYTES - len(prefix)) :]
        name = os.fsdecode(prefix + kept)
    return f"{folder}/{name}"
