"""JPEGs without an end marker: gives them one, and shows whether their picture was complete."""

from typing import NamedTuple

from returns_pipeline.photos.decoding.jpeg_markers import has_every_component, read_jpeg_frame

_END_OF_IMAGE = b"\xff\xd9"
#: Coded data that no picture ends with: more than one more block, and no 0xFF.
_MORE_DATA = bytes(8) + bytes(7 * i * i % 251 + 1 for i in range(4000))


class ClosedJpeg(NamedTuple):
    """A JPEG with an end marker.

    `continued`: the same with other coded data in front of the marker. A decoder ignores it if the picture is
    complete. `has_every_component`: whether no component is missing.
    """

    data: bytes
    continued: bytes
    has_every_component: bool


def close_jpeg(data: bytes) -> ClosedJpeg:
    """Add an end marker to a JPEG that ends in its coded data, perhaps with zeros after it.

    Up to 8 zeros may be data, so as many are kept.
    """
    bare = data.rstrip(b"\0")
    if bare.endswith(b"\xff"):
        bare += b"\0"  # 0xFF in coded data is stuffed with a zero
    whole = has_every_component(data, read_jpeg_frame(data))
    return ClosedJpeg(bare + _END_OF_IMAGE, bare + _MORE_DATA + _END_OF_IMAGE, whole)
