"""The picture in which codes are searched: it needs more pixels than a model takes."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Pixels of the picture that is searched. A larger one is scaled down.
MOST_PIXELS = 25_000_000
#: Pixels of a picture whose conversion to grey takes several copies.
_MOST_CONVERTED = 4_000_000
#: Pillow's modes that become grey in one step.
_SIMPLE = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})


class CodePicture(NamedTuple):
    """A picture to search: grey pixels, uint8 [height, width] as bytes, or a JPEG that is decoded for it.

    `width` and `height` are 0 for a JPEG.
    """

    content: bytes
    width: int = 0
    height: int = 0


def is_simple(image: Image.Image) -> bool:
    """Whether a picture becomes grey in one step: it is opaque and has 8 bits."""
    return image.mode in _SIMPLE and not image.has_transparency_data


def size_to_convert(image: Image.Image) -> tuple[int, int]:
    """Return the (width, height) in which a picture that is not simple is converted."""
    share = min(1.0, (_MOST_CONVERTED / (image.width * image.height)) ** 0.5)
    return max(1, round(image.width * share)), max(1, round(image.height * share))


def grey_picture(image: Image.Image) -> CodePicture:
    """Return the picture to search of a simple image."""
    grey = image if image.mode == "L" else image.convert("L")
    factor = 1
    while grey.width * grey.height > MOST_PIXELS * factor * factor:
        factor += 1
    grey = grey.reduce(factor) if factor > 1 else grey
    return CodePicture(grey.tobytes(), *grey.size)


def to_grey(picture: CodePicture) -> NDArray[np.uint8]:
    """Return the grey pixels, uint8 [h, w], of a picture. Raises what Pillow raises for a damaged JPEG."""
    if picture.width:
        return np.frombuffer(picture.content, np.uint8).reshape(picture.height, picture.width)
    with Image.open(io.BytesIO(picture.content), formats=("JPEG",)) as image:
        width, height = image.size
        while width * height > MOST_PIXELS:
            width, height = width // 2, height // 2
        # The decoder then leaves out the colours, which take most of its time.
        image.draft("L", (width, height))
        return np.asarray(image if image.mode == "L" else image.convert("L"))
