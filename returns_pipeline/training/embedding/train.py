"""Makes an embedding space: the features of a frozen network, mapped to values of attributes and to a look.

Products are divided, not pictures, so what is measured is measured on products that the maps never saw, in a
gallery of such products only. The maps of the space that is written are then computed from all products.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from returns_pipeline.classify.bundle import OPENVINO_MODEL, OPENVINO_WEIGHTS, file_sha256
from returns_pipeline.classify.publishing import draft_folder
from returns_pipeline.classify.runtimes.openvino_runtime import best_batch, import_openvino
from returns_pipeline.classify.spaces.embedder import Embedder, quantized
from returns_pipeline.classify.spaces.space import Space, publish_space
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.text import printable
from returns_pipeline.training.embedding import network, vectors
from returns_pipeline.training.embedding.maps import classifier, principal
from returns_pipeline.training.embedding.network import Columns
from returns_pipeline.training.embedding.vectors import Known, Look
from returns_pipeline.usecases.labelled_products import LabelledProduct, pixels_of, read_catalogue, values_of
from returns_pipeline.vectors.agreement import NEIGHBOURS, Agreement, agreement, neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most dimensions of each attribute's part of a vector and of its look; together at most 256 bytes.
_KNOWN, _LOOK = 96, 64
#: Dimensions of the look alone, where no attribute is known.
_LOOK_ALONE = 192
#: How much the colour counts beside the kind of product.
_COLOUR_WEIGHT = 1.2
_LEAST_PRODUCTS = 50


class EmbeddingRequest(NamedTuple):
    """What to train: `by` and `colour` are attributes; without them the parts know no attribute.

    `judged` is the share of the products that are only judged.
    """

    catalogue: Path
    name: str
    spaces_dir: Path
    command: str
    by: str | None
    colour: str | None
    judged: float
    seed: int


class _Features(NamedTuple):
    """Features float32 [n, f] of products, and of their mirrored pictures, with the products' digests."""

    products: list[LabelledProduct]
    digests: list[str]
    plain: "NDArray[np.float32]"
    mirrored: "NDArray[np.float32]"


def train(
    request: EmbeddingRequest, limits: Limits, on_progress: Callable[[int, int], None] = lambda *_: None
) -> Space:
    """Train, judge and publish a space: the next version of its name.

    Raises RefusedError if the catalogue has too few products with pictures, lacks an attribute, or has
    fewer than two values of it.
    """
    products, _ = read_catalogue(request.catalogue)
    for name in filter(None, (request.by, request.colour)):
        values_of(products, name)
    graph, columns = _feature_graph()
    features = _computed(graph, products, limits, on_progress)
    is_judged = _divided(features.digests, request.judged, request.seed)
    if min(is_judged.sum(), (~is_judged).sum()) <= max(_LEAST_PRODUCTS // 2, NEIGHBOURS):
        raise RefusedError(
            "{count} products with a picture are too few: at least {least} are needed.",
            count=len(features.products),
            least=_LEAST_PRODUCTS,
        )
    metrics = _judged(request, features, columns, is_judged)
    parts = _parts(request, features, columns, np.ones(len(is_judged), bool))
    return _published(request, graph, parts, metrics, len(features.products))


def _feature_graph() -> tuple[Any, Columns]:
    """Return the network of the features for OpenVINO, and what its columns are."""
    openvino = import_openvino()
    model, columns = network.feature_network()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        model.export(str(path), format="openvino", verbose=False)
        return openvino.Core().read_model(path), columns


def _computed(
    graph: Any,
    products: Sequence[LabelledProduct],
    limits: Limits,
    on_progress: Callable[[int, int], None],
) -> _Features:
    openvino = import_openvino()
    side = ImageInput(network.SIDE, network.SIDE, 3)
    batch = best_batch(side)
    fixed = graph.clone()
    fixed.reshape([batch, *side.shape])
    compiled = openvino.Core().compile_model(fixed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    padded = np.zeros((batch, *side.shape), np.uint8)

    def run(pixels: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        found = []
        for start in range(0, len(pixels), batch):
            part = pixels[start : start + batch]
            padded[: len(part)] = part
            found.append(np.array(compiled([padded])[0][: len(part)]))
        return np.concatenate(found)

    kept: list[int] = []
    digests: list[str] = []
    plain, mirrored = [], []
    progress = lambda done: on_progress(done, len(products))  # noqa: E731 - of one use
    for places, sha256, pixels in pixels_of(products, side, limits, progress):
        kept += places
        digests += sha256
        plain.append(run(pixels))
        mirrored.append(run(pixels[:, :, ::-1]))
    return _Features(
        [products[each] for each in kept], digests, np.concatenate(plain), np.concatenate(mirrored)
    )


def _divided(digests: Sequence[str], share: float, seed: int) -> "NDArray[np.bool_]":
    """Return which products are judged. Products with the same picture are on the same side."""
    # A hash divides the same picture in the same way, in whatever order a catalogue has its products.
    drawn = [hashlib.sha256(f"{seed} {digest}".encode()).digest()[:8] for digest in digests]
    return np.array([int.from_bytes(each, "big") / 2**64 < share for each in drawn])


def _known(
    features: _Features, rows: "NDArray[np.bool_]", groups: Sequence[slice], name: str, weight: float
) -> Known:
    """Return the part of an attribute, from these rows alone and their mirrored pictures."""
    values = np.asarray(values_of(features.products, name), dtype=str)
    rows = rows & (values != "")
    distinct, found = np.unique(values[rows], return_inverse=True)
    if len(distinct) < 2:
        raise RefusedError("The products have fewer than two values of {name}.", name=printable(name))
    columns = network.places(groups)
    both = np.concatenate([features.plain[rows][:, columns], features.mirrored[rows][:, columns]])
    widths = [group.stop - group.start for group in groups]
    matrix, offset = classifier(both, widths, np.concatenate([found, found]))
    axes = None
    if matrix.shape[1] > _KNOWN:
        scores = both @ matrix + offset
        axes = np.linalg.svd(scores.T @ scores)[0][:, :_KNOWN].astype(np.float32)
    return Known(distinct, columns, matrix, offset, axes, weight)


def _parts(
    request: EmbeddingRequest, features: _Features, columns: Columns, rows: "NDArray[np.bool_]"
) -> tuple[list[Known], Look]:
    """Return the parts of a vector, from these rows alone: what is known, and the look."""
    last, late, middle, early, colours = columns
    known = []
    if request.by:
        known.append(_known(features, rows, (last, late, middle), request.by, 1.0))
    if request.colour:
        groups = (last, late, middle, early, *colours)
        known.append(_known(features, rows, groups, request.colour, _COLOUR_WEIGHT))
    look = principal(features.plain[rows, last], _LOOK if known else _LOOK_ALONE)
    return known, Look(network.places([last]), *look)


def _judged(
    request: EmbeddingRequest, features: _Features, columns: Columns, is_judged: "NDArray[np.bool_]"
) -> dict[str, float]:
    known, look = _parts(request, features, columns, ~is_judged)
    nearest = neighbours(quantized(vectors.computed(features.plain[is_judged], known, look)))
    metrics = {"products_trained": float((~is_judged).sum()), "products_judged": float(is_judged.sum())}
    for name, part in zip(filter(None, (request.by, request.colour)), known, strict=True):
        values = np.asarray(values_of(features.products, name), dtype=str)[is_judged]
        found: Agreement = agreement(nearest, values.tolist())
        metrics |= {f"{name}.first": found.first, f"{name}.among_five": found.among_five}
        # How often the most probable value is right: neighbours hardly agree more often.
        scores = features.plain[is_judged][:, part.columns] @ part.matrix + part.offset
        is_right = part.values[scores.argmax(axis=1)] == values
        metrics[f"{name}.predicted"] = float(is_right.sum() / max(1, found.products))
    return metrics


def _published(
    request: EmbeddingRequest,
    graph: Any,
    parts: tuple[list[Known], Look],
    metrics: dict[str, float],
    count: int,
) -> Space:
    with draft_folder(request.spaces_dir) as draft:
        dimensions = vectors.write(graph, *parts, draft / OPENVINO_MODEL)
        space = Space(
            folder=draft,
            name=request.name,
            version=0,
            side=network.SIDE,
            dimensions=dimensions,
            metric="cosine",
            sha256={name: file_sha256(draft / name) for name in (OPENVINO_MODEL, OPENVINO_WEIGHTS)},
            command=request.command,
            data={
                "backbone": network.BACKBONE,
                "products": count,
                "by": request.by,
                "colour": request.colour,
            },
            metrics=metrics,
            parts=vectors.lengths(*parts),
        )
        # It is refused here if it does not run.
        Embedder(space)
        return publish_space(space, request.spaces_dir)
