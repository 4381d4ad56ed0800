"""How well a model finds photos of a category that it was not trained on.

`python -m benchmarks.left_out DATA [RECIPE [OPTION …]]`. DATA is a folder with `train` and `validation`, each
with a folder for each category. For each category, `returns-pipeline train RECIPE` trains a model without it.
The AUROC says how often one of its validation photos is less familiar to that model than one of the others.

Without RECIPE, nothing but the file of familiarity is learned, from the features of a frozen network that was
trained on ImageNet. That takes minutes instead of hours. A second figure then adds how unsure a linear
classifier on these features is: the entropy of its probabilities. Both are divided by their deviations over
the photos of the other categories.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.training.evaluation.foreign import Foreign, auroc, evaluate, files_in
from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, predict_photos
from returns_pipeline.training.features import logistic
from returns_pipeline.training.labelled.folders import Photos
from returns_pipeline.training.labelled.photos import load_pixels
from returns_pipeline.training.pipeline.familiarity import learn

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOAL = 0.80
_NAME = "left-out"
#: The penalty of the linear classifier, about the best by cross-validation on 3,068 photos of clothes.
_PENALTY = 0.03
_TINY = 1e-12


def main(data: Path, recipe: str, options: list[str]) -> None:
    """Print the AUROC of each category, and the average with its goal."""
    found = []
    second = "" if recipe else "  with entropy"
    print(f"{'category':20} {'photos':>6} {'AUROC':>6}{second}", flush=True)
    for category, photos, *values in _trained_ones(data, recipe, options) if recipe else _frozen_ones(data):
        found.append(values)
        print(f"{category:20} {photos:6,} {_columns(values)}", flush=True)
    averages = np.mean(found, axis=0).tolist()
    reached = "reached" if averages[0] >= _GOAL else "missed"
    print(f"{'average':27} {_columns(averages)}\ngoal {_GOAL} of the first: {reached}")


def _columns(values: list[float]) -> str:
    return f"{values[0]:6.3f}" + "".join(f" {value:13.3f}" for value in values[1:])


def _categories(data: Path) -> list[str]:
    return sorted(each.name for each in (data / "train").iterdir() if each.is_dir())


def _trained_ones(data: Path, recipe: str, options: list[str]) -> Iterator[tuple[str, int, float]]:
    for category in _categories(data):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            rest = _without(data, category, home / "photos")
            settings = settings_of_home(home / "home")
            bundle = _trained(settings, rest, recipe, options)
            outcome = _judged(bundle, settings, rest / "validation", data / "validation" / category)
        yield category, outcome.n, outcome.auroc


def _frozen_ones(data: Path) -> Iterator[tuple[str, int, float, float]]:
    network = _frozen_network()
    parts = {}
    for part in ("train", "validation"):
        paths = [path for path in sorted((data / part).glob("*/*")) if path.is_file()]
        pixels, readable = load_pixels(
            Photos(tuple(paths), np.zeros(len(paths), np.int64)), ImageInput(224, 224, 3), lambda *_: None
        )
        names = np.array([paths[place].parent.name for place in readable])
        parts[part] = names, network.predict(pixels, batch_size=32, verbose=0)
    (labels, features), (judged, known) = parts["train"], parts["validation"]
    for category in _categories(data):
        kept = labels != category
        names, truth = np.unique(labels[kept], return_inverse=True)
        strangeness = learn(features[kept], truth, len(names)).strangeness_of(known)
        is_out = judged == category
        probabilities = logistic.fit(features[kept], truth, len(names), _PENALTY).probabilities(known)
        entropy = -(probabilities * np.log(np.maximum(probabilities, _TINY))).sum(axis=1)
        both = strangeness / strangeness[~is_out].std() + entropy / entropy[~is_out].std()
        yield (
            category,
            int(is_out.sum()),
            _found(strangeness, is_out),
            _found(both.astype(np.float64), is_out),
        )


def _found(strangeness: "NDArray[np.float64]", is_out: "NDArray[np.bool_]") -> float:
    """Return how often a photo of the left-out category is stranger than another one."""
    return auroc(-strangeness[~is_out], -strangeness[is_out])


def _frozen_network() -> Any:
    import keras
    from keras import layers

    from returns_pipeline.training.networks import efficientnet_lite

    pixels = keras.Input((224, 224, 3), dtype="uint8")
    seen = efficientnet_lite.backbone("efficientnet-lite0", 224)(
        layers.Rescaling(1.0, dtype="float32")(pixels)
    )
    return keras.Model(pixels, layers.GlobalAveragePooling2D()(seen))


def _without(data: Path, category: str, folder: Path) -> Path:
    """Return a folder with copies of all categories but one."""
    for part in ("train", "validation"):
        shutil.copytree(data / part, folder / part, ignore=lambda _, names: {category} & {*names})
    return folder


def _trained(settings: Settings, data: Path, recipe: str, options: list[str]) -> Bundle:
    models = settings.home / "models"
    command = [sys.executable, "-m", "returns_pipeline.cli", "train", recipe, "--data", str(data)]
    command += ["--name", _NAME, "--no-photos", "--force", *options]
    environment = {**os.environ, "RETURNS_HOME": str(settings.home), "RETURNS_MODELS_DIR": str(models)}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return load_bundle(models / _NAME / "1")


def _judged(bundle: Bundle, settings: Settings, known: Path, foreign: Path) -> Foreign:
    paths = files_in(known)
    photos = LabelledPhotos(paths, np.zeros(len(paths), np.int64))
    predicted = predict_photos(bundle, photos, settings, lambda done, of: None)  # noqa: ARG005
    return evaluate(bundle, files_in(foreign), predicted, settings, lambda done, of: None)  # noqa: ARG005


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "", sys.argv[3:])
