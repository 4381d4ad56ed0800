"""What the web sends to a process that draws pictures, and what it gets back, as bytes of a pipe.

An order is its length, its values as JSON, the heat map and the photo. A reply is a flag, its length and the
picture, or the reason why there is none.
"""

import json
import struct
from typing import IO, NamedTuple

#: The reason for no picture if the limit of memory was reached.
TOO_MUCH_MEMORY = "too_much_memory"

_LENGTHS = struct.Struct(">III")
_REPLY = struct.Struct(">?I")


class Heat(NamedTuple):
    """A heat map, uint8 [height, width] as bytes."""

    width: int
    height: int
    values: bytes


class Order(NamedTuple):
    """A picture to draw: `size` pixels on its longer side, from a photo of `width` x `height` pixels.

    `width` and `height` are None if they are not known. `max_bytes` and `max_pixels` limit the decoder, which
    is ended after `seconds`. With `is_damaged`, the readable part of the photo is drawn.
    """

    size: int
    width: int | None
    height: int | None
    max_bytes: int
    max_pixels: int
    seconds: float
    is_damaged: bool = False


class Reply(NamedTuple):
    """A WebP, or None and the reason why the photo cannot be drawn."""

    webp: bytes | None
    reason: str = ""


def write_order(stream: IO[bytes], order: Order, heat: Heat | None, photo: bytes) -> None:
    """Send an order. Raises OSError if the process has ended."""
    values = json.dumps([order, heat[:2] if heat else None]).encode()
    drawn = heat.values if heat else b""
    stream.write(_LENGTHS.pack(len(values), len(drawn), len(photo)) + values + drawn)
    stream.write(photo)
    stream.flush()


def read_order(stream: IO[bytes]) -> tuple[Order, Heat | None, bytes] | None:
    """Return the next order; None after the last one."""
    head = stream.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    lengths = _LENGTHS.unpack(head)
    values, shape = json.loads(stream.read(lengths[0]))
    drawn = stream.read(lengths[1])
    return Order(*values), Heat(shape[0], shape[1], drawn) if shape else None, stream.read(lengths[2])


def write_reply(stream: IO[bytes], reply: Reply) -> None:
    """Send a reply."""
    content = reply.reason.encode() if reply.webp is None else reply.webp
    stream.write(_REPLY.pack(reply.webp is not None, len(content)) + content)
    stream.flush()


def read_reply(stream: IO[bytes]) -> Reply | None:
    """Return the reply to an order; None if the process ended before."""
    head = stream.read(_REPLY.size)
    if len(head) < _REPLY.size:
        return None
    is_drawn, length = _REPLY.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        return None
    return Reply(content) if is_drawn else Reply(None, content.decode())
