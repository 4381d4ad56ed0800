"""Stops libtiff from writing to stderr."""

import ctypes
from pathlib import Path

from PIL import features


def silence_libtiff() -> None:
    """Remove the handlers through which libtiff prints warnings and errors of a file.

    Pillow reports what fails; thousands of unknown tags are no failure. Does nothing where the library
    that Pillow loaded cannot be found: it is linked into Pillow, or this is not Linux.
    """
    features.version_codec("libtiff")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    for path in {line.split()[-1] for line in maps.read_text().splitlines() if "libtiff" in line}:
        try:
            library = ctypes.CDLL(path)
            library.TIFFSetWarningHandler(None)
            library.TIFFSetErrorHandler(None)
        except (OSError, AttributeError):
            continue
