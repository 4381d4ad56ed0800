"""A bundle is published atomically under the next free version."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from returns_pipeline.classify import publishing
from returns_pipeline.classify.bundle import KERAS_MODEL, Bundle, file_sha256, load_bundle
from returns_pipeline.classify.runtimes import openvino_runtime
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.pipeline import export
from tests.support import needs_fashion_mnist

COMMITTED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"
LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("Rescaling", {"scale": 1 / 255}),
    ("Conv2D", {"filters": 32, "kernel_size": [3, 3], "activation": "relu"}),
    ("MaxPooling2D", {"pool_size": [2, 2]}),
    ("Conv2D", {"filters": 64, "kernel_size": [3, 3], "activation": "relu"}),
    ("MaxPooling2D", {"pool_size": [2, 2]}),
    ("Conv2D", {"filters": 128, "kernel_size": [3, 3], "activation": "relu"}),
    ("Flatten", {}),
    ("Dense", {"units": 128, "activation": "relu"}),
    ("Dropout", {"rate": 0.5}),
    ("Dense", {"units": 10, "activation": "softmax"}),
]


def draft(folder: Path) -> Bundle:
    """Return a bundle of two labels whose folder is still a draft."""
    return Bundle(folder, "tiny", 0, ("a", "b"), ("a", "b"), ImageInput(2, 2, 1), {}, "none", "none")


def test_an_interrupted_training_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C during writing leaves the models folder unchanged."""

    def interrupted() -> None:
        with publishing.draft_folder(tmp_path) as folder:
            (folder / KERAS_MODEL).write_bytes(b"half a model")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_each_bundle_gets_the_next_free_version(tmp_path: Path) -> None:
    """A bundle never replaces another, and its version is that of its folder."""
    (tmp_path / "tiny" / "7").mkdir(parents=True)
    for version in (8, 9):
        with publishing.draft_folder(tmp_path) as folder:
            published = publishing.publish(draft(folder), tmp_path)
        assert published.folder == tmp_path / "tiny" / str(version)
        assert load_bundle(published.folder) == published
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny"]


def test_an_export_with_other_predictions_is_refused() -> None:
    """A bundle whose export disagrees with Keras on more than one image in a thousand is never published."""
    pixels = np.zeros((4, 28, 28, 1), np.uint8)
    other = np.tile(np.eye(10, dtype=np.float32)[1], (4, 1))
    with pytest.raises(RefusedError, match="agrees with Keras on 0"):
        export.verify(load_bundle(COMMITTED), pixels, other)


@needs_fashion_mnist
@pytest.mark.slow
def test_a_smoke_training_writes_a_bundle_that_loads(tmp_path: Path) -> None:
    """The command trains exactly the network of the recipe, and leaves one complete bundle only."""
    command = [
        sys.executable,
        "-m",
        "returns_pipeline.cli",
        "train",
        "fashion-mnist",
        "--smoke",
        "--epochs",
        "2",
    ]
    ended = subprocess.run(
        [*command, "--name", "tiny", "--models-dir", tmp_path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny-smoke"]
    bundle = load_bundle(tmp_path / "tiny-smoke" / "1")
    for name, digest in bundle.sha256.items():
        assert file_sha256(bundle.file(name)) == digest
    assert bundle.command == "returns-pipeline train fashion-mnist --name tiny --epochs 2 --seed 3 --smoke"
    assert bundle.metrics["openvino_agreement"] >= openvino_runtime.LEAST_AGREEMENT
    assert bundle.metrics["accuracy"] > 0.3  # chance is 0.1
    _assert_the_recipes_network(bundle)
    report = bundle.folder / "report"
    page = (report / "index.html").read_text()
    assert len(list(report.glob("*.png"))) == 9
    assert all(picture.name in page for picture in report.glob("*.png"))


def test_the_committed_bundle_is_the_recipe_and_reaches_its_figures() -> None:
    """The shipped bundle has the exact network, at least the published accuracy and loss, and under 5 MB."""
    bundle = load_bundle(COMMITTED)
    _assert_the_recipes_network(bundle)
    assert bundle.metrics["accuracy"] >= 0.9061
    assert bundle.metrics["loss"] <= 0.27
    assert bundle.metrics["official_n"] == 10_000
    assert (bundle.data["train"], bundle.data["validation"], bundle.data["test"]) == (36_000, 12_000, 12_000)
    assert sum(path.stat().st_size for path in COMMITTED.rglob("*") if path.is_file()) < 5_000_000


def _assert_the_recipes_network(bundle: Bundle) -> None:
    """Compare layer by layer, read from the file, so that Keras need not be imported."""
    assert bundle.metrics["parameters"] == 241_546
    with zipfile.ZipFile(bundle.file(KERAS_MODEL)) as archive:
        model = json.loads(archive.read("config.json"))["config"]
    first, *rest = model["layers"]
    assert (first["config"]["batch_shape"], first["config"]["dtype"]) == ([None, 28, 28, 1], "uint8")
    assert [layer["class_name"] for layer in rest] == [name for name, _ in LAYERS]
    for layer, (_, expected) in zip(rest, LAYERS, strict=True):
        assert {key: layer["config"][key] for key in expected} == expected
