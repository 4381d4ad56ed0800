"""The fast path for plain JPEGs: one sequential scan, 8 bits, grey or RGB, without a fault.

Here libjpeg-turbo scales down by eighths, where Pillow lets it only by halves. Resizing costs more than
decoding, and then begins with fewer pixels.
"""

import simplejpeg
from PIL import Image, ImageFile

from returns_pipeline.photos.decoding.jpeg_markers import read_jpeg_frame
from returns_pipeline.records.models import ImageInput

#: Pixels of a decoded picture. A larger one is left to Pillow, which holds it once, not twice.
_MOST_PIXELS = 1 << 20
#: Pillow's modes, with simplejpeg's names of them.
_COLOUR_SPACES = {"L": "GRAY", "RGB": "RGB"}
_EIGHT_BITS = 8


def decode_plain_jpeg(
    image: ImageFile.ImageFile, data: bytes, size: tuple[int, int], want: ImageInput
) -> Image.Image | None:
    """Return the picture of a plain JPEG, scaled down to no less than the wanted size; None for another file.

    `image` is the opened file, `data` its content, and `size` its full (width, height). Damaged files return
    None too: Pillow then finds the reason.
    """
    colour_space, frame = _COLOUR_SPACES.get(image.mode), read_jpeg_frame(data)
    if colour_space is None or not frame.is_plain or data[frame.sof + 4] != _EIGHT_BITS:
        return None
    # The picture may still have to be turned.
    least = max(want.width, want.height)
    width, height = scaled_size(size, least)
    if width * height > _MOST_PIXELS:
        return None
    try:
        # Strict: what libjpeg only warns of is a fault too.
        pixels = simplejpeg.decode_jpeg(
            data, colour_space, min_width=least, min_height=least, min_factor=1, strict=True
        )
    except ValueError:
        return None
    if pixels.shape[:2] != (height, width):
        return None
    picture = Image.fromarray(pixels.reshape(height, width) if image.mode == "L" else pixels)
    picture.info, picture.format = image.info, image.format
    return picture


def scaled_size(size: tuple[int, int], least: int) -> tuple[int, int]:
    """Return the smallest (width, height) in eighths of `size` with no side below `least`; else `size`."""
    width, height = size
    for eighths in range(1, 8):
        scaled = -(-width * eighths // 8), -(-height * eighths // 8)
        if min(scaled) >= least:
            return scaled
    return size
