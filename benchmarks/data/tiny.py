"""Tiny images for measuring the queue alone: hardly anything to read or to decode, and a known answer."""

from pathlib import Path

from PIL import Image

_SIDE = 28
#: Names for one file. ext4 admits 65,000, and each round of a benchmark gives every image one more.
_NAMES = 8_000
_LEVELS = 256


def write_tiny(folder: Path, count: int, labels: int) -> dict[str, int]:
    """Write `count` grey PNG files into the new `folder`; return the stub runtime's label of each.

    The stub answers with the one of `labels` labels that an image's mean brightness falls on. Most names are
    hard links: a file that the pipeline moves is a name of its own.
    """
    folder.mkdir(parents=True)
    answers = {}
    for number in range(count):
        group = number // _NAMES
        level = group * 97 % _LEVELS
        name = f"tiny_{number:07}.png"
        if number % _NAMES == 0:
            first = folder / name
            Image.new("L", (_SIDE, _SIDE), level).save(first)
        else:
            (folder / name).hardlink_to(first)
        answers[name] = level * labels // _LEVELS
    return answers
