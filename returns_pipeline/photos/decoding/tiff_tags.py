"""Numbers from the tags of a TIFF, whose values Pillow returns as it finds them."""

from typing import Any

BITS_PER_SAMPLE, PHOTOMETRIC, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = 258, 262, 322, 323, 339
COMPRESSION, STRIP_OFFSETS, STRIP_BYTES = 259, 273, 279
SAMPLES, ROWS_PER_STRIP = 277, 278


def tags_of(image: Any) -> Any:
    """Return the tags of an opened image; no tags for a format other than TIFF."""
    return getattr(image, "tag_v2", {})


def number_of(value: object) -> int:
    """Return a tag's number, or the first of its numbers; 0 for anything else."""
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else 0
