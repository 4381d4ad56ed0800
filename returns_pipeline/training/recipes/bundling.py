"""From a trained network to a published bundle: calibrate, export, judge, report."""

import importlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.confidence import review_thresholds, tempered
from returns_pipeline.classify.publishing import draft_folder, publish
from returns_pipeline.classify.runtimes.openvino_runtime import LEAST_AGREEMENT
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.evaluation import scores
from returns_pipeline.training.labelled.folders import Labels
from returns_pipeline.training.pages.evaluation_report import Story, write_report
from returns_pipeline.training.pages.pictures import Sample
from returns_pipeline.training.recipes import export
from returns_pipeline.training.recipes.calibration import calibrated

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a report takes for sure enough: the default of RETURNS_REVIEW_THRESHOLD.
REVIEW_THRESHOLD = 0.8
#: A network with more parameters is worth storing at half the size.
_LARGE = 1_000_000
_BATCH = 64
#: Images that the export must agree on with Keras, as far as there are so many.
_ASKED = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """Photos of one part as the network takes them: `pixels` uint8 [n, h, w, c], `truth` int64 [n].

    `fingerprint`: a sha256 in hex over the files and their labels.
    """

    pixels: "NDArray[np.uint8]"
    truth: "NDArray[np.int64]"
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network and all that a bundle and its report tell of it.

    `model` takes uint8 [n, h, w, c] and gives probabilities [n, labels]. `parts` has train, validation and,
    where there is one, test, which the model is judged by; else it is judged by validation. `inverted`: the
    pictures are bright on black, and shown the other way round. Without `with_photos` the report has numbers
    and plots alone.
    """

    name: str
    recipe: str
    command: str
    labels: Labels
    model: Any
    parts: Mapping[str, Part]
    history: Mapping[str, Sequence[float]]
    seconds: float
    seed: int
    data: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inverted: bool = False
    with_photos: bool = True

    @property
    def judged(self) -> str:
        """The part that the model is judged by."""
        return "test" if "test" in self.parts else "validation"


def bundle_up(trained: Trained, models_dir: Path) -> Bundle:
    """Write and publish a bundle with its report; return it as it lies in its folder.

    Raises RefusedError, and leaves nothing behind, when the export does not name the labels that Keras names.
    """
    judging = trained.parts[trained.judged]
    answers = {
        name: ask(trained.model, part.pixels) for name, part in trained.parts.items() if name != "train"
    }
    validation = trained.parts["validation"]
    temperature, reliability = calibrated(validation.truth, answers["validation"], len(trained.labels.names))
    with draft_folder(models_dir) as folder:
        bundle = Bundle(
            folder=folder,
            name=trained.name,
            version=0,
            labels=trained.labels.names,
            main_categories=trained.labels.mains,
            input=ImageInput(*judging.pixels.shape[1:]),
            sha256={},
            recipe=trained.recipe,
            command=trained.command,
            data=_data(trained),
            temperature=temperature,
            reliability=reliability,
        )
        bundle, agreement = _exported(bundle, trained, judging.pixels, answers[trained.judged])
        served = tempered(answers[trained.judged], temperature)
        metrics = _metrics(trained, judging, served) | {"openvino_agreement": agreement}
        bundle = replace(bundle, metrics=metrics)
        write_report(folder / "report", _story(trained, bundle, judging, answers[trained.judged], served))
        return publish(bundle, models_dir)


def ask(model: Any, pixels: "NDArray[np.uint8]") -> Any:
    """Return a model's answers for uint8 [n, h, w, c]: float32 [n, labels], or a dict of them by output."""
    answers = [
        model.predict_on_batch(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)
    ]
    if isinstance(answers[0], dict):
        return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}
    return np.concatenate(answers)


def _data(trained: Trained) -> dict[str, Any]:
    parts = trained.parts
    return {
        **trained.data,
        **{name: len(part.truth) for name, part in parts.items()},
        **{f"{name}_sha256": part.fingerprint for name, part in parts.items()},
        # Whoever compares two versions compares by this one.
        "test_sha256": parts[trained.judged].fingerprint,
        "judged_on": trained.judged,
        "seed": trained.seed,
    }


def _exported(
    bundle: Bundle, trained: Trained, pixels: "NDArray[np.uint8]", expected: "NDArray[np.float32]"
) -> tuple[Bundle, float]:
    """Export the model, at half the size where it is large and no label changes by it.

    Few judged photos would tell too little of that: some that it was trained on are asked too.
    """
    train = trained.parts["train"].pixels
    if few := max(0, min(_ASKED - len(pixels), len(train))):
        # Spread over all of them, as they lie label by label.
        chosen = train[np.linspace(0, len(train) - 1, few).astype(int)]
        expected = np.concatenate([expected, ask(trained.model, chosen)])
        pixels = np.concatenate([pixels, chosen])
    if trained.model.count_params() > _LARGE:
        half = replace(bundle, sha256=export.write_model(trained.model, bundle.folder, halve=True))
        if (agreement := export.agreement(half, pixels, expected)) >= LEAST_AGREEMENT:
            return half, agreement
    whole = replace(bundle, sha256=export.write_model(trained.model, bundle.folder))
    return whole, export.verify(whole, pixels, expected)


def _metrics(trained: Trained, judging: Part, served: "NDArray[np.float32]") -> dict[str, float]:
    found = scores.judge(judging.truth, served, _mains(trained.labels))
    main = {"main_accuracy": found.heads.main_accuracy} if found.heads else {}
    return {
        "n": found.n,
        "accuracy": found.accuracy,
        **main,
        "loss": found.loss,
        "top3_accuracy": found.top3_accuracy,
        "ece": found.ece,
        "parameters": trained.model.count_params(),
        "epochs": len(trained.history["loss"]),
        **trained.metrics,
    }


def _mains(labels: Labels) -> tuple[str, ...] | None:
    """Return the main category of each label; None when the labels are the main categories."""
    return None if labels.mains == labels.names else labels.mains


def _story(
    trained: Trained,
    bundle: Bundle,
    judging: Part,
    answers: "NDArray[np.float32]",
    served: "NDArray[np.float32]",
) -> Story:
    train, labels = trained.parts["train"], len(bundle.labels)
    return Story(
        title=f"Training of {trained.name}",
        command=trained.command,
        labels=bundle.labels,
        mains=_mains(trained.labels),
        metrics=bundle.metrics,
        environment=environment(trained.seconds),
        history=trained.history,
        counts={name: np.bincount(part.truth, minlength=labels) for name, part in trained.parts.items()},
        training=Sample(train.pixels, train.truth, inverted=trained.inverted),
        judged=Sample(judging.pixels, judging.truth, inverted=trained.inverted),
        answers=served,
        uncalibrated=answers,
        thresholds=review_thresholds(bundle, REVIEW_THRESHOLD),
        rule=str(REVIEW_THRESHOLD),
        with_photos=trained.with_photos,
        seed=trained.seed,
    )


def environment(seconds: float) -> dict[str, str | float]:
    """Return what a training ran on: versions of what decides its numbers, and its seconds."""
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in ("keras", "numpy", "openvino")},
        backend: importlib.import_module(backend).__version__,
        "training_seconds": round(seconds, 1),
    }
