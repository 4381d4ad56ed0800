"""A grey model's photos with colours are found, in every mode and format; grey ones never are."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.photos.decoding.colourfulness import has_colours
from returns_pipeline.records.models import ImageInput

LIMITS = Limits(10**7, 10**7)
GREY, COLOUR = ImageInput(28, 28, 1), ImageInput(28, 28, 3)
_RNG = np.random.default_rng(7)
#: A grey picture that fills every tone, and one of a red thing on white.
TONES = Image.fromarray(_RNG.integers(0, 256, (60, 80), np.uint8))
RED = Image.new("RGB", (80, 60), "white")
RED.paste((200, 30, 40), (20, 15, 60, 45))


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    """Return a picture as a file."""
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("side", [(28, 28), (80, 60), (900, 700)])
def test_colours_are_found_in_every_format(name: str, side: tuple[int, int]) -> None:
    """A grey model loses the colours of a photo, a colour model does not, a grey photo has none."""
    options: dict[str, Any] = {"lossless": True} if name == "WEBP" else {}
    for want, image, expected in (
        (GREY, RED, True),
        (COLOUR, RED, False),
        (GREY, TONES, False),
        (GREY, TONES.convert("RGB"), False),
    ):
        data = encoded(image.resize(side), name, **options)
        assert decode(data, want, LIMITS).lost_colours is expected


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"]
)
def test_every_mode_is_judged_by_its_pixels(mode: str) -> None:
    """A mode that can hold colours tells nothing: the pixels do."""
    through = {"PA": "P", "RGBa": "RGBA", "LAB": None, "HSV": "RGB"}.get(mode, mode)
    if through is None:
        assert not has_colours(Image.new("LAB", (20, 20), (200, 128, 128)))
        return
    for image, expected in ((RED, mode not in {"1", "L", "LA"}), (TONES, False)):
        found = image.convert("RGB").convert(through)
        assert has_colours(found.convert(mode) if mode not in {through, "PA"} else found) is expected


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_deep_greys_have_no_colours(mode: str) -> None:
    """A scanner's picture of 16 bits is grey."""
    assert not has_colours(Image.new(mode, (40, 40), 300))


def test_hidden_colours_do_not_count() -> None:
    """A cut-out product is composited on white: what lies under its transparent part is not shown."""
    hidden = RED.convert("RGBA")
    hidden.putalpha(0)
    assert not has_colours(hidden)


def test_the_tint_of_an_old_scanner_is_no_colour() -> None:
    """Grey pictures that were compressed or scanned with a slight tint stay grey."""
    tinted = np.stack([np.asarray(TONES)] * 3, axis=-1).astype(int) + np.array([6, 0, -6])
    image = Image.fromarray(tinted.clip(0, 255).astype(np.uint8))
    data = encoded(image, "JPEG", quality=50)
    assert not decode(data, GREY, LIMITS).lost_colours
