"""Embeddings take few bytes, and similar photos stay similar."""

import numpy as np
import pytest

from returns_pipeline.classify.embedding import DIMENSIONS, cosines, embeddings, projection, typical_first


@pytest.mark.parametrize("width", [16, DIMENSIONS, 128, 1280])
def test_similarity_is_preserved(width: int) -> None:
    """The cosine of two embeddings is nearly that of the features, for any number of features."""
    random = np.random.default_rng(1)
    near = random.random((200, width), np.float32)
    if width > DIMENSIONS:
        near[:, :DIMENSIONS] = 0.5  # an embedding of only the first features would find all images equal
    features = near + random.normal(0, 0.05, near.shape).astype(np.float32)
    kept = projection(width) if width > DIMENSIONS else np.eye(width, dtype=np.float32)
    found = cosines(embeddings(features @ kept), embeddings(near[:1] @ kept)[0])
    right = features @ near[0] / np.linalg.norm(features, axis=1) / np.linalg.norm(near[0])
    assert np.abs(found - right).max() < (0.02 if width <= DIMENSIONS else 0.25)
    assert found.argmax() == right.argmax() == 0


def test_embeddings_stay_the_same_in_every_version() -> None:
    """Embeddings that an older version stored can be compared with new ones."""
    (vector,) = embeddings(np.arange(100, dtype=np.float32)[np.newaxis] @ projection(100))
    assert vector[:8].tolist() == [-20, 37, 16, -16, -75, 13, -127, -28]


def test_zero_features_are_similar_to_nothing() -> None:
    """Features that are all zero have the cosine 0 with every image; no features give no embeddings."""
    zeros = embeddings(np.zeros((2, DIMENSIONS), np.float32))
    assert not zeros.any()
    assert cosines(zeros, zeros[0]).tolist() == [0, 0]
    assert embeddings(np.zeros((0, DIMENSIONS), np.float32)).shape == (0, DIMENSIONS)


def test_the_typical_come_first_and_the_odd_last() -> None:
    """Rows are ordered by their cosine with the mean direction, whatever their lengths."""
    rows = np.zeros((4, DIMENSIONS), np.int8)
    rows[:, 0] = (100, 10, 0, 100)
    rows[:, 1] = (60, 1, 100, 12)
    assert list(typical_first(rows))[-1] == 2
    assert list(typical_first(rows[:, ::-1])) == list(typical_first(rows))
    assert list(typical_first(np.zeros((2, DIMENSIONS), np.int8))) == [0, 1]
