"""How well an embedding space finds products with the same attribute."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.text import printable
from returns_pipeline.settings import Settings
from returns_pipeline.usecases.labelled_products import pixels_of, read_catalogue, values_of
from returns_pipeline.vectors.agreement import NEIGHBOURS, Agreement, agreement, neighbours


class Evaluation(NamedTuple):
    """What was measured: products with a usable picture, others, and the agreement for each attribute."""

    products: int
    left_out: int
    by: dict[str, Agreement]


def evaluate(
    settings: Settings,
    path: Path,
    attributes: Sequence[str],
    embedder: Embedder,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Compare each product of a catalogue's files with all others, leaving itself out.

    Raises RefusedError if the files cannot be read, or too few products have a picture or an attribute.
    """
    products, others = read_catalogue(path)
    values = {name: values_of(products, name) for name in attributes}
    kept: list[int] = []
    vectors = []
    for places, _, pixels in pixels_of(products, embedder.space.input, Limits.of(settings), on_progress):
        kept += places
        vectors.append(embedder.embed(pixels))
    if len(kept) <= NEIGHBOURS:
        raise RefusedError(
            "Only {count} products of {path} have a picture that can be used; at least {least} are needed.",
            count=len(kept),
            path=printable(path),
            least=NEIGHBOURS + 1,
        )
    nearest = neighbours(np.concatenate(vectors))
    found = {name: agreement(nearest, [values[name][place] for place in kept]) for name in attributes}
    return Evaluation(len(kept), others + len(products) - len(kept), found)
