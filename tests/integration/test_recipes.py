"""Folders of photos become a bundle that can be promoted, by every recipe."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.classify.runtimes import int8_proof
from returns_pipeline.classify.runtimes.openvino_runtime import LEAST_AGREEMENT, OpenVINOClassifier
from returns_pipeline.classify.runtimes.registry import explainer_of
from returns_pipeline.cli import train as commands
from returns_pipeline.records.models import Precision
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.features.network import FrozenNetwork
from returns_pipeline.training.labelled.photo_folders import PhotoFolders
from returns_pipeline.training.pipeline.recipe import Request
from returns_pipeline.training.pipeline.train import train
from returns_pipeline.training.recipes.cnn import Cnn
from returns_pipeline.training.recipes.continued import Continued, weights_of
from returns_pipeline.training.recipes.outfit import Outfit
from returns_pipeline.training.recipes.photo_recipe import PhotoRecipe
from returns_pipeline.training.recipes.quick import Quick, QuickRecipe
from returns_pipeline.training.recipes.transfer import Transfer
from tests.support import Installation

COLOURS = {"red skirt": (200, 30, 40), "green hat": (40, 180, 60), "blue jeans": (40, 60, 190)}


def photos(root: Path, count: int = 15) -> Path:
    """Write noisy photos of three colours into class folders with leading numbers."""
    draw = np.random.default_rng(0)
    for number, (label, colour) in enumerate(COLOURS.items()):
        folder = root / f"{number}_{label}"
        folder.mkdir(parents=True)
        for index in range(count):
            noise = draw.normal(0, 25, (90, 60, 3))
            pixels = (np.array(colour) + noise + draw.integers(-20, 20)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.jpg")
    (root.parent / "mains.csv").write_text("sub,main\nred skirt,bottom\ngreen hat,head\nblue jeans,bottom\n")
    return root


@pytest.mark.slow
def test_three_commands_lead_from_folders_to_an_active_model(
    sqlite_home: Installation, tmp_path: Path
) -> None:
    """Train, evaluate, promote: the bundle has its labels, its data and the command that made it."""
    root, home = photos(tmp_path / "photos"), sqlite_home
    names = {"de": {"red skirt": "roter Rock"}}
    (tmp_path / "names.json").write_text(json.dumps(names))
    chosen = ("--data", str(root), "--name", "shop", "--names", str(tmp_path / "names.json"))
    done = home.run("train", "cnn", *chosen, "--smoke", timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    bundle = load_bundle(home.settings.models_dir / "shop-smoke" / "1")
    assert bundle.labels == bundle.main_categories == tuple(COLOURS)
    assert bundle.data["validation"] == 9
    assert bundle.names == names
    assert f"train cnn --data {root}" in bundle.command
    assert (bundle.folder / "report" / "index.html").is_file()
    # Neither checkpoints nor pixels are left.
    assert not list(home.settings.models_dir.glob(".*"))
    evaluated = home.run("evaluate", "shop-smoke", str(root), "--json", RETURNS_RUNTIME="openvino")
    assert json.loads(evaluated.stdout)["n"] == 45
    promoted = home.run("models", "promote", "shop-smoke/1", RETURNS_RUNTIME="openvino")
    assert "shop-smoke/1 is active" in promoted.stdout, promoted.stderr


class Silent:
    """A listener that shows nothing."""

    def stage(self, name: str) -> None:
        """Show nothing."""

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Show nothing."""

    def warn(self, sentence: str) -> None:
        """Show nothing."""


@pytest.mark.slow
def test_two_heads_on_a_pretrained_backbone_learn_easy_photos(tmp_path: Path) -> None:
    """The bundle has the main category of each label, and the accuracy of each head alone; so does int8."""
    root, models = photos(tmp_path / "photos"), tmp_path / "models"
    folders = PhotoFolders(root, tmp_path / "mains.csv", test=0)
    network = Outfit("efficientnet-lite0", side=64, epochs=4, learning_rate=1e-3, batch=6)
    request = Request("outfit", models, "train", precision=Precision.INT8)
    quantized = train(request, PhotoRecipe(network, folders), Silent())
    bundle = load_bundle(models / "outfit" / "1")
    assert bundle.main_categories == ("bottom", "head", "bottom")
    assert bundle.metrics["accuracy"] > 0.8  # chance is a third
    assert bundle.metrics["main_accuracy"] >= bundle.metrics["accuracy"]
    assert {"main_head_accuracy", "sub_head_accuracy", "heads_contradict"} <= bundle.metrics.keys()
    assert bundle.metrics["openvino_agreement"] >= LEAST_AGREEMENT
    assert (quantized.version, quantized.precision) == (2, Precision.INT8)
    assert quantized.main_categories == bundle.main_categories
    assert quantized.metrics["int8_agreement"] >= int8_proof.LEAST_AGREEMENT
    _train_further(network, folders, models, bundle)


def _train_further(network: Outfit, folders: PhotoFolders, models: Path, bundle: Bundle) -> None:
    """Train with mixed photos from the weights of `bundle`: a new head would learn less in one epoch."""
    softer = replace(network, epochs=1, learning_rate=1e-5, mixing=0.2, smoothing=0.05, averaging=0.5)
    recipe = PhotoRecipe(Continued(softer, weights_of(bundle)), folders)
    further = train(Request("further", models, "train", photos=False), recipe, Silent())
    assert further.metrics["accuracy"] > 0.8


@pytest.mark.slow
def test_a_second_quick_training_computes_no_features_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle is served as it was judged and can be explained; the same photos give the same again."""
    monkeypatch.setenv("RETURNS_HOME", str(tmp_path / "home"))
    root = photos(tmp_path / "photos")
    recipe = QuickRecipe(Quick("efficientnet-lite0", side=64), PhotoFolders(root, tmp_path / "mains.csv"))
    request = Request("quick", tmp_path / "models", "train", photos=False)
    first = train(request, recipe, Silent())
    monkeypatch.setattr(FrozenNetwork, "compute", None)
    second = train(request, recipe, Silent())
    assert first.metrics["accuracy"] > 0.8  # chance is a third
    assert {name: second.metrics[name] for name in first.metrics} == first.metrics
    assert (second.temperature, second.reliability) == (first.temperature, first.reliability)
    assert first.main_categories == ("bottom", "head", "bottom")
    vetting.require_sound(second, "openvino")
    explainer = explainer_of(OpenVINOClassifier(second))
    assert explainer is not None
    pixels = np.zeros((64, 64, 3), np.uint8)
    explained = explainer.gradcam(pixels, 0)
    assert explained.heat.shape == (2, 2)
    assert explained.features is not None


def test_a_training_starts_from_the_backbone_of_an_existing_model(tmp_path: Path) -> None:
    """Offline: convolutions trained on clothes distinguish bright photos from dark ones."""
    root = photos(tmp_path / "photos")
    size = load_bundle(PROJECT_ROOT / "models" / "fashion-mnist" / "1").input
    network = Transfer("bundle:fashion-mnist/1", PROJECT_ROOT / "models", size, epochs=8, learning_rate=1e-3)
    recipe = PhotoRecipe(replace(network, batch=6), PhotoFolders(root, test=0))
    bundle = train(Request("transfer", tmp_path / "models", "train", photos=False), recipe, Silent())
    assert bundle.input == size
    assert bundle.metrics["accuracy"] > 0.5  # chance is a third
    assert len(bundle.data["test_sha256"]) == 64
    shown = {path.stem for path in (bundle.folder / "report").glob("*.png")}
    assert "confusion-matrix" in shown
    assert not shown & {"mistakes", "predictions", "training-images"}


def test_unsound_photos_are_refused_before_training(sqlite_home: Installation, tmp_path: Path) -> None:
    """Too few photos, or no folder: a sentence in seconds, and nothing is written."""
    root = photos(tmp_path / "photos", count=5)
    train = ("train", "cnn", "--data", str(root), "--name", "shop")
    done = sqlite_home.run(*train)
    assert done.returncode == 3
    assert "--force" in done.stderr
    assert not (sqlite_home.settings.models_dir / "shop").exists()
    done = sqlite_home.run("train", "cnn", "--data", str(tmp_path / "none"), "--name", "shop")
    assert done.returncode == 3
    assert "none" in done.stderr


def test_a_training_starts_only_from_a_model_that_fits(sqlite_home: Installation, tmp_path: Path) -> None:
    """A model of other categories, a missing one, and a comparison of backbones: each has its sentence."""
    root = photos(tmp_path / "photos", count=12)
    copytree(PROJECT_ROOT / "models" / "fashion-mnist", sqlite_home.settings.models_dir / "fashion-mnist")
    train = ("train", "outfit", "--data", str(root), "--name", "shop", "--side", "64", "--force")
    other = sqlite_home.run(*train, "--start-from", "fashion-mnist/1", "--backbone", "none")
    assert other.returncode == 3
    assert "without --start-from" in " ".join(other.stderr.split())
    assert sqlite_home.run(*train, "--start-from", "nothing/1").returncode == 3
    tried = sqlite_home.run(*train, "--start-from", "fashion-mnist/1", "--try", "lite0")
    assert tried.returncode == 2
    assert not (sqlite_home.settings.models_dir / "shop").exists()


def test_a_command_has_the_defaults_of_its_recipe() -> None:
    """The defaults on the command line are those of the recipe's class."""
    assert commands.cnn() == Cnn()
    assert commands.transfer(models_dir=Path()) == Transfer()
    assert commands.outfit(models_dir=Path()) == Outfit()
    assert commands.quick() == Quick()
