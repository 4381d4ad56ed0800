"""The picture in place of a photo that cannot be shown."""

import functools
import io

from PIL import Image, ImageDraw

_PAPER, _LINE = (238, 238, 238), (150, 150, 150)


@functools.lru_cache(maxsize=32)
def placeholder(size: int) -> bytes:
    """Return a WebP of `size` x `size` pixels: a grey frame that is crossed out, and words if they fit."""
    image = Image.new("RGB", (size, size), _PAPER)
    pen = ImageDraw.Draw(image)
    thick, last = max(1, size // 40), size - 1
    pen.line((0, 0, last, last), _LINE, thick)
    pen.line((0, last, last, 0), _LINE, thick)
    pen.rectangle((0, 0, last, last), None, _LINE, thick)
    if size >= 96:
        words, middle = "no picture", (size / 2, size / 2)
        letters = size / 10
        left, top, right, bottom = pen.textbbox(middle, words, anchor="mm", font_size=letters)
        pen.rectangle((left - letters, top - letters / 2, right + letters, bottom + letters / 2), _PAPER)
        pen.text(middle, words, (90, 90, 90), anchor="mm", font_size=letters)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80, method=0)
    return stream.getvalue()
