"""Converts pictures to sRGB, the colours that models are trained on, with littlecms.

A profile is hostile input: its size is bounded, and one that is broken, of another kind than the picture, or
that does not map white to white and black to dark, is ignored. Browsers show such a picture as sRGB too.
"""

import hashlib
import io
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

#: Bytes of a profile. Those of printing presses have up to 3 MB.
_MOST_BYTES = 4 << 20
#: Conversions that are kept. A large one takes about 1 MiB.
_MOST_KEPT = 16
#: How far, of 255, a profile's colours may be from sRGB without a conversion.
_SAME_COLOUR = 2
_LEAST_WHITE, _MOST_BLACK = 200, 80
#: A profile's colour space, as the file's header has it, with Pillow's mode.
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
#: Kinds of profiles that describe a picture: scanner or camera, display, printer, colour space.
_CLASSES = frozenset({"scnr", "mntr", "prtr", "spac"})
_SRGB = ImageCms.createProfile("sRGB")


class Conversion(NamedTuple):
    """A conversion from a colour space to sRGB. `mode`: Pillow's mode of its pictures, L, RGB or CMYK."""

    mode: str
    transform: ImageCms.ImageCmsTransform

    def apply(self, image: Image.Image) -> Image.Image:
        """Return a picture of `mode` in sRGB, with mode RGB."""
        converted = Image.new("RGB", image.size, None)
        self.transform.apply(image, converted)
        return converted


_kept: OrderedDict[bytes, Conversion | None] = OrderedDict()
_lock = threading.Lock()


def conversion_of(profile: bytes) -> Conversion | None:
    """Return the conversion from an ICC profile to sRGB; None if the profile means sRGB or is not usable.

    The same profile is parsed once while it is among the last 16.
    """
    if len(profile) > _MOST_BYTES:
        return None
    key = hashlib.sha256(profile).digest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    conversion = _build(profile)
    with _lock:
        _kept[key] = conversion
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return conversion


def _build(profile: bytes) -> Conversion | None:
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(parsed.profile.xcolor_space)
        if mode is None or parsed.profile.device_class not in _CLASSES:
            return None
        conversion = Conversion(mode, ImageCms.buildTransform(parsed, _SRGB, mode, "RGB"))
        samples = _samples(mode)
        converted = np.asarray(conversion.apply(samples)).reshape(-1, 3).astype(int)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if converted[0].min() < _LEAST_WHITE or converted[-1].max() > _MOST_BLACK:
        return None
    plain = np.asarray(samples.convert("RGB")).reshape(-1, 3)
    is_srgb = mode != "CMYK" and np.abs(converted - plain).max() <= _SAME_COLOUR
    return None if is_srgb else conversion


def _samples(mode: str) -> Image.Image:
    """Return colours spread over a space, one in each pixel: white first, the darkest last."""
    bands = len(mode) if mode != "L" else 1
    levels = np.linspace(255, 0, 256 if mode == "L" else 6).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * bands, indexing="ij"), axis=-1).reshape(1, -1, bands)
    if mode == "CMYK":
        grid = 255 - grid
    return Image.frombytes(mode, (grid.shape[1], 1), grid.tobytes())
