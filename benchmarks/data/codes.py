"""Draws pictures of 12 megapixels with a label that shows a code, as a phone's camera takes them.

A label is a plane in front of a camera with the field of view of a phone's main lens (26 mm on 36 mm film).
"""

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from returns_pipeline.records.codes import CodeFormat

#: Width and height of a picture.
SIZE = (4000, 3000)
#: Focal length in widths of a picture: 26 mm on a film of 36 mm.
_FOCAL = 26 / 36
#: Pixels of a module before the label is projected, and how many times finer than the picture that is drawn.
_MODULE, _FINER = 8, 2
#: Height of a linear code as a share of its width.
_HEIGHTS = {CodeFormat.EAN13: 0.7, CodeFormat.CODE128: 0.35}
#: Empty modules around a code, as the standards ask.
_QUIET = {CodeFormat.QR: 4, CodeFormat.EAN13: 11, CodeFormat.CODE128: 10}
_FORMATS = {
    CodeFormat.QR: zxingcpp.BarcodeFormat.QRCode,
    CodeFormat.EAN13: zxingcpp.BarcodeFormat.EAN13,
    CodeFormat.CODE128: zxingcpp.BarcodeFormat.Code128,
}
_QUALITY = 85


class Disturbance(NamedTuple):
    """What spoils a picture.

    `tilt` is the angle between label and picture in degrees, `turn` the largest angle in the picture beyond
    a multiple of 90 degrees; `blur` is the standard deviation of the lens' blur in pixels, `motion` the way
    that it moved in pixels, `noise` a standard deviation of 255, `contrast` the difference between paper and
    ink as a share of 255, and `shadow` how much darker the light is at one side of the label.
    """

    tilt: float = 0.0
    turn: float = 0.0
    blur: float = 0.7
    motion: float = 0.0
    noise: float = 2.0
    contrast: float = 0.8
    shadow: float = 0.0


def text_of(name: CodeFormat, random: np.random.Generator) -> str:
    """Return a text for a code: a link of 40 characters, 13 digits, or a number of 12 characters."""
    number = int(random.integers(10**7, 10**8))
    if name is CodeFormat.QR:
        return f"https://shop.example/return/RMA-{number}"
    if name is CodeFormat.EAN13:
        digits = f"40{number}{int(random.integers(0, 100)):02}"
        odd, even = sum(map(int, digits[::2])), sum(map(int, digits[1::2]))
        return f"{digits}{-(odd + 3 * even) % 10}"
    return f"RMA-{number}"


def draw_label(name: CodeFormat, text: str) -> tuple[NDArray[np.float32], float]:
    """Return a label, float32 [h, w] with 1 for paper and 0 for ink, and its code's share of its width."""
    barcode = zxingcpp.create_barcode(text, _FORMATS[name])
    bars = np.asarray(zxingcpp.write_barcode_to_image(barcode, scale=1, add_quiet_zones=False))
    if name in _HEIGHTS:
        bars = np.tile(bars[:1], (round(_HEIGHTS[name] * bars.shape[1]), 1))
    quiet = _QUIET[name]
    padded = np.pad(bars, quiet, constant_values=255)
    large = np.kron(padded, np.ones((_MODULE, _MODULE), np.uint8))
    return (large / 255).astype(np.float32), float(bars.shape[1] / padded.shape[1])


def draw_picture(
    background: Image.Image, name: CodeFormat, text: str, share: float, spoilt: Disturbance, seed: int
) -> bytes:
    """Return a JPEG of `background`, mode L and SIZE, with a label whose code takes `share` of its width."""
    random = np.random.default_rng(seed)
    label, part = draw_label(name, text)
    corners = _projected(label.shape, share * SIZE[0] / part, spoilt, random)
    centre = [random.uniform(0.3, 0.7) * side for side in SIZE]
    corners += centre
    margin = math.ceil(4 * spoilt.blur + spoilt.motion) + 2
    left, top = np.maximum(np.floor(corners.min(0)).astype(int) - margin, 0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int) + margin, SIZE)
    picture = np.asarray(background).astype(np.int16)
    region = picture[top:bottom, left:right]
    region[:] = _pasted(region.astype(np.float32), label, corners - (left, top), spoilt)
    # A tile of noise, because random numbers for 12 million pixels take most of the time.
    tile = random.normal(0, spoilt.noise, (600, 800)).round().astype(np.int16)
    picture.reshape(SIZE[1] // 600, 600, SIZE[0] // 800, 800)[:] += tile[:, np.newaxis, :]
    stream = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _projected(
    shape: tuple[int, ...], width: float, spoilt: Disturbance, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return the corners, [4, 2] in pixels around 0, of a label that is `width` pixels wide if not tilted."""
    half = np.array([width, width * shape[0] / shape[1]]) / 2
    plane = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    turned = plane @ _rotation(math.radians(random.uniform(-1, 1) * spoilt.turn + 90 * random.integers(4)))
    # Tilted about a random axis in the picture's plane, then seen from the focal length.
    axis = random.uniform(0, 2 * math.pi)
    along = turned @ _rotation(axis)
    tilt, focal = math.radians(spoilt.tilt), _FOCAL * SIZE[0]
    depth = focal + along[:, 1] * math.sin(tilt)
    seen = np.stack([along[:, 0], along[:, 1] * math.cos(tilt)], 1) * (focal / depth)[:, None]
    return np.asarray(seen @ _rotation(-axis))


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _pasted(
    region: NDArray[np.float32], label: NDArray[np.float32], corners: NDArray[np.float64], spoilt: Disturbance
) -> NDArray[np.uint8]:
    """Return a region with the label at `corners`, blurred as the whole picture is."""
    height, width = region.shape
    size = (width * _FINER, height * _FINER)
    numbers = _perspective(corners * _FINER, label.shape)
    light = np.linspace(1, 1 - spoilt.shadow, width, dtype=np.float32)
    paper = 0.9 * 255
    ink = paper - spoilt.contrast * 255
    inks = Image.fromarray(ink + label * (paper - ink))
    method, bicubic = Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
    drawn = inks.transform(size, method, numbers, bicubic).reduce(_FINER)
    covered = Image.fromarray(np.ones_like(label)).transform(size, method, numbers, bicubic).reduce(_FINER)
    share = np.asarray(covered)
    mixed = Image.fromarray(
        np.clip(region * (1 - share) + np.asarray(drawn) * share * light, 0, 255).astype(np.uint8)
    )
    if spoilt.motion:
        mixed = _moved(mixed, round(spoilt.motion))
    return np.asarray(mixed.filter(ImageFilter.GaussianBlur(spoilt.blur)))


def _moved(image: Image.Image, length: int) -> Image.Image:
    """Return an image that moved `length` pixels to the lower right while it was taken."""
    values = np.asarray(image).astype(np.float32)
    steps = [round(step / math.sqrt(2)) for step in range(length + 1)]
    mean = np.mean([np.roll(values, (step, step), (0, 1)) for step in steps], axis=0)
    return Image.fromarray(mean.astype(np.uint8))


def _perspective(corners: NDArray[np.float64], shape: tuple[int, ...]) -> list[float]:
    """Return Pillow's eight numbers of the map from the picture to a label of `shape`."""
    height, width = shape
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (width, 0), (width, height), (0, height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows), np.array(values))]


def backgrounds(photos: list[Path], count: int) -> list[Image.Image]:
    """Return `count` pictures of mode L and SIZE, enlarged from photos."""
    chosen = [photos[number * len(photos) // count] for number in range(min(count, len(photos)))]
    found = []
    for photo in chosen:
        with Image.open(photo) as image:
            found.append(image.convert("L").resize(SIZE, Image.Resampling.BICUBIC))
    return found
