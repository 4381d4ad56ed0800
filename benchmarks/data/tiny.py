"""Tiny images that cost almost nothing to read and decode, with known labels, to measure the queue alone."""

from pathlib import Path

from PIL import Image

_SIDE = 28
#: Hard links to one file. ext4 allows 65,000, and each round of a benchmark adds one for every image.
_MAX_LINKS = 8_000
_LEVELS = 256


def write_tiny(folder: Path, count: int, labels: int, max_links: int = _MAX_LINKS) -> dict[str, int]:
    """Write `count` grey PNG files into the new `folder`; return the stub runtime's label of each.

    The stub's label is an image's mean brightness, in `labels` steps. Most files are hard links, which the
    pipeline moves like any other file; one file has at most `max_links`.
    """
    folder.mkdir(parents=True)
    expected = {}
    for number in range(count):
        group = number // max_links
        level = group * 97 % _LEVELS
        name = f"tiny_{number:07}.png"
        if number % max_links == 0:
            first = folder / name
            Image.new("L", (_SIDE, _SIDE), level).save(first)
        else:
            (folder / name).hardlink_to(first)
        expected[name] = level * labels // _LEVELS
    return expected
