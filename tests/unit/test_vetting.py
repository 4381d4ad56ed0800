"""A bundle that does not run, or that contains code, is refused before it classifies a photo."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import (
    KERAS_MODEL,
    OPENVINO_MODEL,
    Bundle,
    file_sha256,
    load_bundle,
)
from returns_pipeline.classify.runtimes.keras_archive import require_safe
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PROJECT_ROOT

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"
DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d"}, "registered_name": None}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Return a copy of the shipped bundle that a test may damage."""
    return load_bundle(Path(shutil.copytree(SHIPPED, tmp_path / "fashion-mnist" / "1")))


def _keras_file(path: Path, *layers: dict[str, Any], version: str = "3.15.1") -> Path:
    """Write a .keras file of these layers, as Keras does."""
    model = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({**model, "registered_name": None}))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
    return path


def test_the_shipped_bundle_is_sound(bundle: Bundle) -> None:
    """A bundle without faults is accepted."""
    vetting.require_sound(bundle, "auto")


def test_altered_files_are_refused(bundle: Bundle) -> None:
    """Every listed file is checked, also one that the runtime would not load."""
    (bundle.folder / KERAS_MODEL).write_bytes(b"another model")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        vetting.require_sound(bundle, "openvino")


@pytest.mark.parametrize("agreement", [None, 0.998, float("nan")])
def test_an_export_must_agree_with_keras(bundle: Bundle, agreement: float | None) -> None:
    """An export whose agreement with Keras is unknown or too low is refused."""
    metrics = {name: value for name, value in bundle.metrics.items() if name != "openvino_agreement"}
    if agreement is not None:
        metrics["openvino_agreement"] = agreement
    with pytest.raises(ConfigFault, match=r"99.9% are needed"):
        vetting.require_sound(replace(bundle, metrics=metrics), "auto")


def test_a_model_that_does_not_fit_its_labels_is_refused(bundle: Bundle) -> None:
    """A bundle whose labels or input differ from those of its model is refused."""
    bundle = replace(bundle, familiarity=None)  # it is of ten labels too
    fewer = replace(bundle, labels=bundle.labels[:9], main_categories=bundle.main_categories[:9])
    larger = replace(bundle, input=replace(bundle.input, height=32))
    for wrong in (fewer, larger):
        with pytest.raises(ConfigFault, match="The model of bundle"):
            vetting.require_sound(wrong, "openvino")


def test_a_model_that_does_not_run_is_refused(bundle: Bundle) -> None:
    """A file that no runtime can load raises ConfigFault."""
    broken = bundle.folder / OPENVINO_MODEL
    broken.write_text("<net>")
    wrong = replace(bundle, sha256={**bundle.sha256, OPENVINO_MODEL: file_sha256(broken)})
    with pytest.raises(ConfigFault, match="does not run"):
        vetting.require_sound(wrong, "openvino")


@pytest.mark.parametrize(
    "layer",
    [
        {**DENSE, "class_name": "Lambda", "config": {"name": "my_lambda"}},
        {**DENSE, "module": "mylib.layers", "config": {"name": "my_lambda"}},
        {**DENSE, "module": "keras_evil.layers", "config": {"name": "my_lambda"}},
        {**DENSE, "module": None, "registered_name": "Custom>Dense", "config": {"name": "my_lambda"}},
        {
            **DENSE,
            "config": {"name": "d", "activation": {**DENSE, "class_name": "function", "config": "my_lambda"}},
        },
        {
            **DENSE,
            "config": {"layers": [{**DENSE, "class_name": "__lambda__", "config": {"name": "my_lambda"}}]},
        },
    ],
)
def test_code_in_a_model_is_refused_by_name(tmp_path: Path, layer: dict[str, Any]) -> None:
    """Lambda layers, custom classes and named functions are found at any depth."""
    with pytest.raises(ConfigFault, match="contains code of its own: 'my_lambda'"):
        require_safe(_keras_file(tmp_path / "m.keras", DENSE, layer))


def test_layers_of_keras_itself_pass(tmp_path: Path) -> None:
    """A model inside a model, which Keras registers by its own name, is not taken for custom code."""
    name = "Functional"
    own = {**DENSE, "module": "keras.src.models.functional", "class_name": name, "registered_name": name}
    require_safe(_keras_file(tmp_path / "m.keras", DENSE, own))


def test_a_newer_keras_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    """A file of a later major version of Keras and a file of another format are refused."""
    with pytest.raises(ConfigFault, match=r"written by Keras 4\.0\.0"):
        require_safe(_keras_file(tmp_path / "newer.keras", DENSE, version="4.0.0"))
    (tmp_path / "old.h5").write_bytes(b"no zip")
    with pytest.raises(ConfigFault, match="cannot be read"):
        require_safe(tmp_path / "old.h5")
