"""Varies training photos the way photos of the same item differ: position, angle, light."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHANNELS_OF_COLOUR = 3


@dataclass(frozen=True, slots=True)
class Variation:
    """The limits of the random changes to a photo; half of the photos are mirrored.

    `crop`: the largest share of the area that is cut off before the rest is scaled to the old size, perhaps
    with other proportions. `turn` and `shear`: degrees in both directions. `shift`: share of a side in both
    directions. `jitter`: share by which brightness, contrast and, for colour photos, saturation change.
    """

    crop: float = 0.0
    turn: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    jitter: float = 0.0

    def __call__(self, pixels: "NDArray[np.uint8]", draw: np.random.Generator) -> "NDArray[np.uint8]":
        """Return varied photos: uint8 [n, h, w, c] in and out."""
        # One generator for each photo, so that the result does not depend on the order of the threads.
        draws = draw.spawn(len(pixels))
        varied = np.empty_like(pixels)
        with ThreadPoolExecutor() as pool:
            for index, photo in enumerate(pool.map(self._vary, pixels, draws)):
                varied[index] = photo
        return varied

    def _vary(self, photo: "NDArray[np.uint8]", draw: np.random.Generator) -> "NDArray[np.uint8]":
        grey = photo.shape[2] != _CHANNELS_OF_COLOUR
        image = Image.fromarray(photo[..., 0] if grey else photo)
        # One transform for all moves, so that a photo is resampled once.
        image = image.transform(
            image.size,
            Image.Transform.AFFINE,
            self._moves(image.width, image.height, draw),
            Image.Resampling.BILINEAR,
            fillcolor=image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)),
        )
        if self.jitter:
            image = self._jittered(image, draw)
        return np.asarray(image).reshape(photo.shape)

    def _moves(self, width: int, height: int, draw: np.random.Generator) -> tuple[float, ...]:
        """Return the affine transform from the new photo's pixels to the old one's, about the centre."""
        side = math.sqrt(draw.uniform(1 - self.crop, 1))
        # Proportions between 3:4 and 4:3, only with a crop.
        shape = math.exp(draw.uniform(-1, 1) * math.log(4 / 3) / 2) if self.crop else 1.0
        across, down = side * shape, side / shape
        mirrored = -1 if draw.random() < 0.5 else 1
        angle, slant = (math.radians(draw.uniform(-most, most)) for most in (self.turn, self.shear))
        cosine, sine = math.cos(angle), math.sin(angle)
        a, b = across * mirrored * cosine, across * (sine + math.tan(slant))
        d, e = -down * mirrored * sine, down * cosine
        moved_x, moved_y = (draw.uniform(-1, 1) * (self.shift + (1 - part) / 2) for part in (across, down))
        x, y = width / 2, height / 2
        return a, b, x + moved_x * width - a * x - b * y, d, e, y + moved_y * height - d * x - e * y

    def _jittered(self, image: Image.Image, draw: np.random.Generator) -> Image.Image:
        """Return a photo in other light: a look-up table for each channel, a matrix for saturation."""
        brightness, contrast, saturation = draw.uniform(1 - self.jitter, 1 + self.jitter, 3)
        values = (np.arange(256) * brightness - 128) * contrast + 128
        table = values.clip(0, 255).astype(np.uint8).tolist()
        if image.mode != "RGB":
            return image.point(table)
        grey = (0.299, 0.587, 0.114)
        matrix = [
            (1 - saturation) * grey[column] + (saturation if row == column else 0) if column < 3 else 0.0
            for row in range(3)
            for column in range(4)
        ]
        return image.point(table * 3).convert("RGB", tuple(matrix))
