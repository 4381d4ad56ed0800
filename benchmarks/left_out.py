"""How well a model finds photos of a category that it was not trained on.

`python -m benchmarks.left_out DATA RECIPE [OPTION …]`. DATA is a folder with `train` and `validation`, each
with
a folder for each category. For each category, `returns-pipeline train RECIPE` trains a model without it. The
AUROC says how often one of its validation photos is less familiar to that model than one of the others.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.settings import Settings, settings_of_home
from returns_pipeline.training.evaluation.foreign import Foreign, evaluate, files_in
from returns_pipeline.training.evaluation.photo_predictions import LabelledPhotos, predict_photos

_GOAL = 0.80
_NAME = "left-out"


def main(data: Path, recipe: str, options: list[str]) -> None:
    """Print the AUROC of each category, and the average with its goal."""
    categories = sorted(each.name for each in (data / "train").iterdir() if each.is_dir())
    found = []
    print(f"{'category':20} {'photos':>6} {'AUROC':>6}", flush=True)
    for category in categories:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            rest = _without(data, category, home / "photos")
            settings = settings_of_home(home / "home")
            bundle = _trained(settings, rest, recipe, options)
            outcome = _judged(bundle, settings, rest / "validation", data / "validation" / category)
        found.append(outcome.auroc)
        print(f"{category:20} {outcome.n:6,} {outcome.auroc:6.3f}", flush=True)
    average = float(np.mean(found))
    print(f"average {average:.3f}, goal {_GOAL}: {'reached' if average >= _GOAL else 'missed'}")


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
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
