"""Embeddings: few bytes, and photos that are alike stay alike."""

import numpy as np
import pytest

from returns_pipeline.classify.embedding import DIMENSIONS, cosines, embeddings, signs


@pytest.mark.parametrize("width", [16, DIMENSIONS, 128, 1280])
def test_likeness_survives_what_is_left_out(width: int) -> None:
    """The cosine of two embeddings is about that of the features, however many there are."""
    random = np.random.default_rng(1)
    near = random.random((200, width), np.float32)
    if width > DIMENSIONS:
        near[:, :DIMENSIONS] = 0.5  # those who look at the first ones alone find all the same
    features = near + random.normal(0, 0.05, near.shape).astype(np.float32)
    kept = signs(width) if width > DIMENSIONS else np.eye(width, dtype=np.float32)
    found = cosines(embeddings(features @ kept), embeddings(near[:1] @ kept)[0])
    right = features @ near[0] / np.linalg.norm(features, axis=1) / np.linalg.norm(near[0])
    assert np.abs(found - right).max() < (0.02 if width <= DIMENSIONS else 0.25)
    assert found.argmax() == right.argmax() == 0


def test_the_same_features_have_the_same_embedding_for_ever() -> None:
    """What an older version has stored can be compared with what this one makes."""
    (vector,) = embeddings(np.arange(100, dtype=np.float32)[np.newaxis] @ signs(100))
    assert vector[:8].tolist() == [-20, 37, 16, -16, -75, 13, -127, -28]


def test_nothing_is_alike_nothing() -> None:
    """Features that are all zero, or none at all, are no error and like no other image."""
    zeros = embeddings(np.zeros((2, DIMENSIONS), np.float32))
    assert not zeros.any()
    assert cosines(zeros, zeros[0]).tolist() == [0, 0]
    assert embeddings(np.zeros((0, DIMENSIONS), np.float32)).shape == (0, DIMENSIONS)
