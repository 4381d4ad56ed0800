"""Alters the picture of a product as a photo at a desk would: another ground, light, place and focus."""

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Degrees, and shares of the picture's side.
_TURN, _SHIFT, _TILT = 8.0, 0.05, 0.04
_SMALLEST, _LARGEST = 0.75, 1.15
#: How far a colour at the edge may differ from a corner's and still be the ground that the item lies on.
_GROUND = 60
#: The side of the picture in which the ground is found, and the colour that marks it.
_SMALL, _MARK = 56, (255, 0, 254)
#: Grounds of desks: wood, grey, dark cloth, white paper.
_DESKS = np.array([(181, 150, 116), (150, 152, 155), (70, 72, 78), (240, 238, 232)], np.float32)


def desk_photo(pixels: "NDArray[np.uint8]", draw: np.random.Generator) -> "NDArray[np.uint8]":
    """Return a photo uint8 [h, w, 3] of what a picture uint8 [h, w, 3] shows.

    In half of them the ground is a desk. The item is turned by up to 8 degrees, moved by up to 5 %, tilted,
    and between 25 % smaller and 15 % larger. Brightness changes by up to 25 %, the colours of the light by
    8 %, and the light gets weaker to one side. Then blur, noise, and a JPEG of quality 50 to 90. The same
    `draw` gives the same photo.
    """
    picture = Image.fromarray(pixels)
    if draw.random() < 0.5:
        picture = _on_desk(picture, draw)
    lit = _lit(np.asarray(_seen(picture, draw), np.float32), draw)
    noisy = lit + draw.normal(0, draw.uniform(0, 5), lit.shape)
    photo = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    photo = photo.filter(ImageFilter.GaussianBlur(draw.uniform(0, 0.006) * photo.width))
    saved = io.BytesIO()
    photo.save(saved, "JPEG", quality=int(draw.integers(50, 91)))
    return np.asarray(Image.open(saved))


def _on_desk(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Return a picture whose ground, as far as it reaches from the corners, has the colour of a desk."""
    desk = _DESKS[draw.integers(len(_DESKS))] * draw.uniform(0.85, 1.05)
    colour = tuple(int(value) for value in np.clip(desk, 0, 255))
    # Small: quick, and without the specks that a JPEG has around an item.
    small = picture.resize((_SMALL, _SMALL), Image.Resampling.BOX)
    ground = Image.new("L", small.size, 0)
    for corner in ((0, 0), (_SMALL - 1, 0), (0, _SMALL - 1), (_SMALL - 1, _SMALL - 1)):
        filled = small.copy()
        ImageDraw.floodfill(filled, corner, _MARK, thresh=_GROUND)
        is_filled = (np.asarray(filled) == _MARK).all(axis=2)
        ground = Image.fromarray(np.where(is_filled, 255, np.asarray(ground)).astype(np.uint8))
    mask = ground.resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", picture.size, colour), picture, mask)


def _seen(picture: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Return a picture from another place; what was outside of it has the colour of its corner."""
    width, height = picture.size
    angle = np.deg2rad(draw.uniform(-_TURN, _TURN))
    scale = draw.uniform(_SMALLEST, _LARGEST)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    corners = np.array([(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)])
    placed = corners @ turn.T + draw.uniform(-_SHIFT, _SHIFT, 2) + draw.uniform(-_TILT, _TILT, (4, 2))
    quad = ((placed + 0.5) * (width, height)).ravel().tolist()
    ground = picture.getpixel((0, 0))
    return picture.transform(
        (width, height), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR, fillcolor=ground
    )


def _lit(pixels: "NDArray[np.float32]", draw: np.random.Generator) -> "NDArray[np.float32]":
    """Return pixels in another light, which gets weaker to one side."""
    colours = draw.uniform(0.75, 1.25) * draw.uniform(0.92, 1.08, 3)
    across = np.linspace(-0.5, 0.5, pixels.shape[1], dtype=np.float32)[None, :, None]
    down = np.linspace(-0.5, 0.5, pixels.shape[0], dtype=np.float32)[:, None, None]
    shade = 1 + across * draw.uniform(-0.2, 0.2) + down * draw.uniform(-0.2, 0.2)
    lit: NDArray[np.float32] = (pixels * shade * colours).astype(np.float32)
    return lit
