"""The metrics that most recipes write into bundle.json."""

from typing import TYPE_CHECKING

from returns_pipeline.classify.confidence import tempered
from returns_pipeline.training.evaluation import metrics
from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.pipeline.recipe import Fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


def standard_metrics(
    data: TrainingData,
    fitted: Fitted,
    predictions: "Mapping[str, NDArray[np.float32]]",
    temperature: float,
) -> dict[str, float]:
    """Return the metrics of the calibrated probabilities on the part that judges the model.

    The arguments are those of `Recipe.metrics`.
    """
    return {
        **judged_metrics(data, tempered(predictions[data.judged_on], temperature)),
        "parameters": fitted.model.count_params(),
        **({"epochs": len(fitted.history["loss"])} if fitted.history else {}),
        **fitted.metrics,
    }


def judged_metrics(data: TrainingData, served: "NDArray[np.float32]") -> dict[str, float]:
    """Return the metrics of calibrated probabilities, float32 [n, labels], on the part that judges."""
    found = metrics.evaluate(data.judged.truth, served, data.labels.distinct_mains)
    main = {"main_accuracy": found.heads.main_accuracy} if found.heads else {}
    return {
        "n": found.n,
        "accuracy": found.accuracy,
        **main,
        "loss": found.loss,
        "top3_accuracy": found.top3_accuracy,
        "ece": found.ece,
    }
