"""Whether a decoded picture has colours: a model that knows grey pictures only is a wrong choice for it."""

import numpy as np
from PIL import Image

#: Pixels of the sample on each side: about 20 µs, whatever the picture's size.
_SIDE = 16
#: How far, of 255, the channels of a pixel may differ in a grey picture: compression tints it a little.
_TINT = 16
#: Pixels of the sample that must be coloured.
_LEAST = 3


def has_colours(image: Image.Image) -> bool:
    """Return whether pixels of a picture, of any mode, are coloured; transparent ones count as white."""
    if image.mode in {"1", "L", "LA", "La", "F"} or image.mode.startswith("I"):
        return False
    sample = image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
    if sample.mode == "RGBa" or sample.has_transparency_data:
        rgba = np.asarray(sample.convert("RGBA"))
        values = np.where(rgba[..., 3:] > 0, rgba[..., :3], 255)
    else:
        values = np.asarray(sample.convert("RGB"))
    spread = np.ptp(values.astype(np.int16), axis=-1)
    return int(np.count_nonzero(spread > _TINT)) >= _LEAST
