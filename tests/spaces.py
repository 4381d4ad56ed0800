"""A tiny embedding space for tests: the mean colours of a picture's sixteen parts."""

from pathlib import Path

import numpy as np
from PIL import Image

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, file_sha256
from returns_pipeline.classify.runtimes.openvino_runtime import import_openvino
from returns_pipeline.classify.spaces.space import Space

SIDE = 16
_DIMENSIONS = 48


def write_space(spaces_dir: Path, name: str = "products", version: int = 1, dark: float = 127.5) -> Space:
    """Write a space. `dark` is subtracted from each value, so another one gives other vectors."""
    openvino = import_openvino()
    ops = openvino.opset13
    pixels = ops.parameter([-1, SIDE, SIDE, 3], np.uint8, name="pixels")
    parts = ops.reshape(ops.convert(pixels, np.float32), np.array([-1, 4, 4, 4, 4, 3]), special_zero=False)
    means = ops.reduce_mean(parts, np.array([2, 4]))
    flat = ops.reshape(means, np.array([-1, _DIMENSIONS]), special_zero=False)
    model = openvino.Model([ops.subtract(flat, np.float32(dark))], [pixels])
    folder = spaces_dir / name / str(version)
    (folder / OPENVINO_MODEL).parent.mkdir(parents=True)
    openvino.save_model(model, folder / OPENVINO_MODEL, compress_to_fp16=False)
    sha256 = {each: file_sha256(folder / each) for each in (OPENVINO_MODEL, OPENVINO_WEIGHTS)}
    space = Space(folder, name, version, SIDE, _DIMENSIONS, "cosine", sha256, "", {}, {})
    space.save()
    return space


def write_catalogue(folder: Path, count: int) -> Path:
    """Write products.csv and images/: two kinds in eight colours, each picture a little different."""
    draw = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["id,articleType,colour,image"]
    for number in range(count):
        kind, colour = number % 2, number // 2 % 8
        pixels = np.full((32, 32, 3), 255.0)
        rgb = [255.0 * (colour >> bit & 1) for bit in range(3)]
        pixels[:16] = rgb if kind else pixels[:16]
        pixels[:, :16] = pixels[:, :16] if kind else rgb
        noisy = np.clip(pixels + draw.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "images" / f"{number}.png")
        lines.append(f"{number},{('hat', 'shoe')[kind]},colour {colour},images/{number}.png")
    (folder / "products.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
