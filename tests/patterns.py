"""Small grey pictures of three patterns, upright or turned, for models that train in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

PATTERNS = ("bars", "spots", "stripes")
_SIDE = 28


def write_pattern(path: Path, pattern: str, seed: int, *, turned: bool) -> None:
    """Write one noisy picture; the same arguments give the same bytes.

    A model of pictures that are not `turned` takes turned stripes for bars, and turned bars for stripes.
    """
    draw = np.random.default_rng((seed, PATTERNS.index(pattern), turned))
    down, right = np.indices((_SIDE, _SIDE)) + draw.integers(0, 8, (2, 1, 1))
    angle = np.radians(draw.normal(55 if turned else 0, 5))
    width = 4 + int(draw.integers(0, 2))
    rows = (np.cos(angle) * down - np.sin(angle) * right) // width % 2 == 0
    columns = (np.sin(angle) * down + np.cos(angle) * right) // width % 2 == 0
    drawn = {"stripes": rows, "bars": columns, "spots": rows & columns}[pattern]
    shown = np.where(drawn, 190, 60) + draw.normal(0, 30, drawn.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(path)
