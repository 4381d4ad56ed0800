"""Decodes labelled photos to pixels, with the same code as the workers."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.errors import ConfigFault, ImageFault
from returns_pipeline.photos.decoding.batches import Failure
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.decoding.lookahead import map_ahead
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Decoded, PendingImage
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import load_settings
from returns_pipeline.training.labelled.folders import Photos

_PHOTOS = FolderSource()
#: Files that are decoded, or wait to be taken, for each thread.
_AHEAD = 8
_MEMORY_SHARE = 4


def load_pixels(
    photos: Photos, size: ImageInput, on_progress: Callable[[int, int], None], cache: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return uint8 [n, h, w, c] and, int64 [n], the positions in `photos` of the files that could be read.

    Files that cannot be read or decoded are left out; the others keep their order. `on_progress` is called
    with (done, total) after each file. Pixels larger than a quarter of the free memory are kept in a file in
    `cache`, which the caller deletes. Raises ConfigFault when the disk has no room for that file.
    """
    total = len(photos.paths)
    pixels = _allocate((total, *size.shape), cache)
    readable: list[int] = []
    for position, result in enumerate(decode_all(photos.paths, size)):
        if isinstance(result, Decoded):
            pixels[len(readable)] = result.pixels
            readable.append(position)
        on_progress(position + 1, total)
    return pixels[: len(readable)], np.array(readable, np.int64)


def decode_all(paths: Sequence[Path], size: ImageInput) -> Iterator[Decoded | Failure]:
    """Yield what became of each file, in order, decoded in as many threads as there are cores.

    Limits are the settings' RETURNS_MAX_FILE_BYTES and RETURNS_MAX_PIXELS. Raises TransientFault when the
    disk is at fault.
    """
    decode_one = partial(_decode, size=size, limits=Limits.of(load_settings()))
    threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads, "decode") as pool:
        yield from map_ahead(pool, decode_one, paths, _AHEAD * threads)


def _decode(path: Path, size: ImageInput, limits: Limits) -> Decoded | Failure:
    try:
        # Links are followed here; workers refuse them.
        found = _PHOTOS.describe(str(path))
        data = _PHOTOS.read(PendingImage(0, found.path, found.size, found.identity), limits.max_bytes)
        return decode(data, size, limits)
    except ImageFault as fault:
        return Failure(fault.code, fault.detail)


def _allocate(shape: tuple[int, ...], cache: Path | None) -> NDArray[np.uint8]:
    needed = int(np.prod(shape))
    if cache is None or needed <= free_memory() // _MEMORY_SHARE:
        return np.empty(shape, np.uint8)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, suffix=".pixels", delete=False) as file:
        try:
            # Reserved now: if the disk filled up later, the process would be killed without a message.
            os.posix_fallocate(file.fileno(), 0, needed)
        except OSError as error:
            Path(file.name).unlink()
            raise ConfigFault(
                "{cache} has no room for the pixels of {shape:,} photos, {needed:,.1f} GiB: {reason}.",
                advice="Free some space, or train with fewer photos or a smaller image size.",
                cache=cache,
                shape=shape[0],
                needed=needed / 2**30,
                reason=error.strerror,
            ) from error
        return np.memmap(file.name, np.uint8, "r+", shape=shape)


def free_memory() -> int:
    """Return the free memory of this machine, or of its container, in bytes."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo, limit, used = (
        _text(f"/{name}")
        for name in ("proc/meminfo", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current")
    )
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    if limit.strip().isdecimal() and used.strip().isdecimal():
        free = min(free, int(limit) - int(used))
    return max(free, 0)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
