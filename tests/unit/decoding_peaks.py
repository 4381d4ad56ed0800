"""Prints the peak growth of this process' memory for decoding each file that is named, in bytes.

A program of its own, because a test process has grown before. Arguments: the pixel limit, then the files.
"""

import sys
from pathlib import Path

from returns_pipeline.errors import ImageFault
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput

WANT = ImageInput(224, 224, 3)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def main() -> None:
    """Decode each file and print its name, the growth and the result."""
    limits = Limits(max_bytes=1 << 30, max_pixels=int(sys.argv[1]))
    for path in map(Path, sys.argv[2:]):
        data = path.read_bytes()
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak to the present size
        before = _status("VmRSS")
        try:
            decode(data, WANT, limits)
            result = "classified"
        except ImageFault as fault:
            result = str(fault.code)
        sys.stdout.write(f"{path.name} {_status('VmHWM') - before} {result}\n")


if __name__ == "__main__":
    main()
