"""What a worker sends to a process that reads codes, and what it gets back, as bytes of a pipe.

An order is a picture's size, its length and its bytes. A reply is the length of a JSON text, and the text.
"""

import json
import struct
from collections.abc import Sequence
from typing import IO

from returns_pipeline.photos.codes.picture import CodePicture
from returns_pipeline.records.codes import Code

_ORDER = struct.Struct(">III")
_REPLY = struct.Struct(">I")


def write_order(stream: IO[bytes], picture: CodePicture) -> None:
    """Send a picture. Raises OSError if the process has ended."""
    stream.write(_ORDER.pack(picture.width, picture.height, len(picture.content)))
    stream.write(picture.content)
    stream.flush()


def read_order(stream: IO[bytes]) -> CodePicture | None:
    """Return the next picture; None after the last one."""
    head = stream.read(_ORDER.size)
    if len(head) < _ORDER.size:
        return None
    width, height, length = _ORDER.unpack(head)
    return CodePicture(stream.read(length), width, height)


def write_reply(stream: IO[bytes], codes: Sequence[Code]) -> None:
    """Send the codes of a picture."""
    content = json.dumps(codes).encode()
    stream.write(_REPLY.pack(len(content)) + content)
    stream.flush()


def read_reply(stream: IO[bytes]) -> tuple[Code, ...] | None:
    """Return the codes of a picture; None if the process has ended."""
    head = stream.read(_REPLY.size)
    if len(head) < _REPLY.size:
        return None
    (length,) = _REPLY.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        return None
    return tuple(
        Code(text, name, tuple((x, y) for x, y in corners)) for text, name, corners in json.loads(content)
    )
