"""Learns what a model's training photos look like: classify.familiarity has the formula and its sources."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.bundle import OPENVINO_MODEL, Bundle
from returns_pipeline.classify.familiarity import MOST_BYTES, MOST_PHOTOS, Familiarity, numbers_of
from returns_pipeline.classify.runtimes.openvino_feature_map import last_feature_map, means_of
from returns_pipeline.classify.runtimes.openvino_runtime import (
    best_batch,
    compile_settings,
    import_openvino,
    safe_model,
)
from returns_pipeline.training.pipeline.int8_export import spread

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from returns_pipeline.training.labelled.parts import TrainingData

#: Most training photos from which a model's features are learned.
_MOST_PHOTOS = 20_000
#: Most dimensions. Measured with the shipped models: see docs/familiarity.md.
_MOST_RANK = 128
#: Training photos for each dimension, at least.
_PHOTOS_FOR_EACH = 8
#: Added to the covariance, as a share of its mean variance, so that it can be inverted.
_RIDGE = 1e-3
#: The least variance of a dimension, as a share of the mean: less is noise of float32.
_LEAST_VARIANCE = 1e-4
#: How much what the directions do not explain counts beside the relative distance, in standard deviations of
#: both over the training photos.
_REMAINDER_WEIGHT = 1.0
#: Stands for a variance of 0.
_SMALLEST = 1e-9
_MOST_NUMBERS = MOST_BYTES // 4


def with_familiarity(bundle: Bundle, data: "TrainingData") -> Bundle:
    """Write familiarity.bin into the folder of a bundle with its export; return the bundle that names it.

    A network without convolutions, or a part without photos, gets none. Raises ConfigFault if the export
    cannot be loaded.
    """
    train, validation = data.parts["train"], data.parts["validation"]
    bare = replace(bundle, familiarity=None)
    if OPENVINO_MODEL not in bundle.sha256 or not len(train.truth) or not len(validation.truth):
        return bare
    network = _network(bare)
    if network is None:
        return bare
    features = _features(network, bare, spread(train.pixels, _MOST_PHOTOS))
    known = learn(features, spread(train.truth, _MOST_PHOTOS), len(bundle.labels))
    found = known.strangeness_of(_features(network, bare, spread(validation.pixels, MOST_PHOTOS)))
    measured = replace(known, strangeness=np.sort(found.astype(np.float32)))
    return replace(bundle, familiarity=measured.save(bundle.folder))


def _network(bundle: Bundle) -> "Any | None":
    """Return the export up to its features, compiled; None for a network without a spatial feature map."""
    openvino = import_openvino()
    core = openvino.Core()
    model = core.read_model(safe_model(bundle))
    feature_map = last_feature_map(model)
    if feature_map is None:
        return None
    part = openvino.Model([means_of(openvino, feature_map)], model.get_parameters(), "features")
    part.reshape([best_batch(bundle.input, bundle.precision), *bundle.input.shape])
    threads = len(os.sched_getaffinity(0))
    return core.compile_model(part, "CPU", compile_settings(threads)).create_infer_request()


def _features(network: "Any", bundle: Bundle, pixels: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """Return the features of photos, float32 [n, f]; `pixels` uint8 [n, h, w, c]."""
    size = best_batch(bundle.input, bundle.precision)
    filled = np.zeros((size, *bundle.input.shape), np.uint8)
    found = []
    for start in range(0, len(pixels), size):
        batch = pixels[start : start + size]
        filled[: len(batch)] = batch
        network.infer([filled])
        found.append(network.get_output_tensor(0).data[: len(batch)].copy())
    return np.concatenate(found)


def learn(features: "NDArray[np.float32]", truth: "NDArray[np.int64]", labels: int) -> Familiarity:
    """Return what training photos look like; their strangeness is still empty.

    `features` float32 [n, f], n > 0; `truth` int64 [n], indices of labels. A label without photos is as far
    as the mean of all photos.
    """
    rows = features.astype(np.float64)
    count, width = rows.shape
    center = rows.mean(axis=0)
    off = rows - center
    rank = _rank(count, width, labels)
    axes = _axes(off, rank)
    along = off @ axes
    variances = np.square(along).mean(axis=0)
    # Less than this is noise of float32.
    least = _LEAST_VARIANCE * float(variances.mean()) + _SMALLEST
    deviations = np.sqrt(np.maximum(variances, least))
    means = np.zeros((labels, rank))
    for label in np.unique(truth):
        means[label] = along[truth == label].mean(axis=0)
    within = along - means[truth]
    covariance = within.T @ within / count
    covariance += (_RIDGE * np.trace(covariance) / rank + _SMALLEST) * np.eye(rank)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    known = Familiarity(
        center.astype(np.float32),
        axes.astype(np.float32),
        deviations.astype(np.float32),
        whitening.astype(np.float32),
        (means @ whitening).astype(np.float32),
        np.inf,
        np.zeros(0, np.float32),
    )
    relative = float(known.strangeness_of(rows).std())
    beside = np.square(off).sum(axis=1) - np.square(along).sum(axis=1)
    return replace(
        known, remainder=max(float(beside.std()) / (_REMAINDER_WEIGHT * relative + _SMALLEST), least)
    )


def _axes(off: "NDArray[np.float64]", rank: int) -> "NDArray[np.float64]":
    """Return the directions in which rows [n, f] vary most: [f, rank], orthonormal."""
    from scipy.linalg import eigh

    count, width = off.shape
    is_wide = count < width
    products = off @ off.T if is_wide else off.T @ off
    # Only the strongest are computed: all of them take ten times as long.
    last = len(products) - 1
    _, vectors = eigh(products, subset_by_index=(last + 1 - rank, last), overwrite_a=True)
    # Of rows with fewer directions than the rank, the others are any.
    axes: NDArray[np.float64] = np.linalg.qr(off.T @ vectors if is_wide else vectors)[0]
    return axes


def _rank(count: int, width: int, labels: int) -> int:
    """Return how many dimensions so many photos determine and the file has room for."""
    rank = min(_MOST_RANK, max(1, width // 2), max(1, count // _PHOTOS_FOR_EACH))
    while rank > 1 and numbers_of(width, rank, labels, MOST_PHOTOS) > _MOST_NUMBERS:
        rank -= 1
    return rank
