"""A linear classifier on the features of a frozen network."""

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
from keras import layers

from returns_pipeline.training.features import logistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.recipe import Listener


class Classifier(NamedTuple):
    """The regression on the features, how it was chosen, and a Keras model from pixels to probabilities."""

    regression: logistic.Regression
    choice: logistic.Choice
    model: Any


def fit_classifier(
    network: Any,
    features: "NDArray[np.float32]",
    truth: "NDArray[np.int64]",
    labels: int,
    seed: int,
    listener: "Listener",
) -> Classifier:
    """Fit a classifier to `features` float32 [n, f] that `network` gives for n photos, `truth` int64 [n].

    `seed` decides the folds by which the regularisation is chosen.
    """
    listener.stage("Choosing the regularisation")
    best, *_ = logistic.choose(features, truth, labels, seed, listener.progress)
    listener.stage("Fitting")
    regression = logistic.fit(features, truth, labels, best.penalty)
    classify = layers.Dense(labels, activation="softmax", name="probabilities")
    model = keras.Model(network.input, classify(network.output))
    classify.set_weights([regression.matrix, regression.offset])
    return Classifier(regression, best, model)
