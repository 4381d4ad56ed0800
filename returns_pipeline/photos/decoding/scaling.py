"""Converts and scales large pictures strip by strip, so that no second copy of their pixels is held."""

from collections.abc import Callable, Iterator

from PIL import Image

#: Pixels of a strip, and of a picture that is converted whole.
_STRIP_PIXELS, _SMALL_PIXELS = 1 << 18, 1 << 20


def strips_of(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield each strip of a picture from the top, with its first row."""
    rows = max(1, _STRIP_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def scaled(
    image: Image.Image, size: tuple[int, int], convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Return a picture converted and stretched to `size` (width, height), with bilinear filtering.

    Pillow scales first each row and then each column, so strips whose rows are scaled give the same pixels.
    """
    if image.width * image.height > _SMALL_PIXELS and image.width >= size[0]:
        image = _narrowed(image, size[0], convert)
    else:
        image = convert(image)
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _narrowed(image: Image.Image, width: int, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    narrow = Image.new(convert(image.crop((0, 0, 1, 1))).mode, (width, image.height), None)
    for top, strip in strips_of(image):
        converted = convert(strip)
        if converted.width != width:
            converted = converted.resize((width, converted.height), Image.Resampling.BILINEAR)
        narrow.paste(converted, (0, top))
    return narrow
