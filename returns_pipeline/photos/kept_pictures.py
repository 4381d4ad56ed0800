"""The pictures that the web keeps of photos: files of one folder, whose names begin with the image's id."""

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

#: The folder below HOME.
FOLDER = "thumbnails"
_AT_ONCE = 500


def key(image_id: int, digest: str) -> str:
    """Return the name of the file of a picture; `digest` says which picture of the image."""
    return f"{image_id}-{digest}"


def remove(folder: Path, image_ids: Collection[int]) -> int:
    """Remove every picture of these images; return how many there were."""
    wanted = set(image_ids)
    return _remove(folder, lambda found: wanted & found)


def remove_those(folder: Path, are_gone: Callable[[Collection[int]], Collection[int]]) -> int:
    """Remove the pictures of the images for which `are_gone` says so, some hundred ids at a time."""

    def gone(found: set[int]) -> set[int]:
        listed = sorted(found)
        parts = (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
        return {image_id for part in parts for image_id in are_gone(part)}

    return _remove(folder, gone)


def _remove(folder: Path, wanted_of: Callable[[set[int]], set[int]]) -> int:
    names: dict[int, list[str]] = {}
    try:
        listed = [path.name for path in folder.iterdir()]
    except OSError:
        return 0
    count = 0
    for name in listed:
        number, dash, _ = name.partition("-")
        if dash and number.isascii() and number.isdigit():
            names.setdefault(int(number), []).append(name)
        elif not name.startswith("."):
            # A picture of a release whose names do not say of which image it is: it is drawn again.
            count += _unlink(folder, name)
    for image_id in wanted_of(set(names)):
        count += sum(_unlink(folder, name) for name in names[image_id])
    return count


def _unlink(folder: Path, name: str) -> bool:
    with contextlib.suppress(OSError):
        (folder / name).unlink()
        return True
    return False
