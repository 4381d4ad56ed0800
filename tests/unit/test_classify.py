"""Scores to predictions, and bundles: found, checked, saved."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from returns_pipeline.classify.bundle import Bundle, find_bundle, load_bundle
from returns_pipeline.classify.predictions import TOP, to_predictions
from returns_pipeline.classify.publishing import draft_folder, publish
from returns_pipeline.classify.runtimes.registry import load_classifier
from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.predictions import Decision, Scores
from tests.support import LABELS, write_stub_bundle


def _bundle(mains: tuple[str, ...] = ("up", "up", "down", "down")) -> Bundle:
    return Bundle(Path(), "m", 1, LABELS, mains, ImageInput(8, 8, 1), {}, "stub", "")


def test_a_prediction_is_the_best_label_and_its_main_category() -> None:
    """The main category is that of the best label, with the sum of its labels' probabilities."""
    scores = Scores(np.array([[0.3, 0.25, 0.45, 0.0], [0.05, 0.9, 0.03, 0.02]], np.float32))
    doubtful, sure = to_predictions(_bundle(), scores, review_threshold=0.8)
    assert (doubtful.label_index, doubtful.label, doubtful.main_label) == (2, "bright", "down")
    assert doubtful.main_probability == pytest.approx(0.45)
    assert (doubtful.decision, sure.decision) == (Decision.REVIEW, Decision.AUTO)
    assert sure.main_probability == pytest.approx(0.95)
    assert [index for index, _ in sure.top] == [1, 0, 2, 3]


def test_only_the_best_labels_are_kept() -> None:
    """The top list is sorted and has at most TOP labels; an empty batch has no predictions."""
    labels = tuple(f"label {i}" for i in range(20))
    bundle = Bundle(Path(), "m", 1, labels, labels, ImageInput(8, 8, 1), {}, "stub", "")
    probabilities = np.random.default_rng(0).dirichlet(np.ones(20), size=3).astype(np.float32)
    for prediction, row in zip(
        to_predictions(bundle, Scores(probabilities), 0.5), probabilities, strict=True
    ):
        assert len(prediction.top) == TOP
        assert [chance for _, chance in prediction.top] == pytest.approx(
            sorted(row, reverse=True)[:TOP], abs=1e-5
        )
        assert prediction.label_index == row.argmax()
    assert to_predictions(bundle, Scores(probabilities[:0]), 0.5) == []


def test_the_highest_version_is_found_by_number(tmp_path: Path) -> None:
    """Version 10 is newer than version 9; a bundle can be found by its version too."""
    for version in (9, 10):
        write_stub_bundle(tmp_path, "m", version)
    assert find_bundle(tmp_path, "m").version == 10
    assert find_bundle(tmp_path, "m/9").version == 9


def test_a_broken_bundle_is_refused(tmp_path: Path) -> None:
    """A missing, unreadable or incomplete bundle raises ConfigFault; an unknown key of `input` does too."""
    bundle = write_stub_bundle(tmp_path, "m")
    for model in ("none", "m/2", "m/x"):
        with pytest.raises(ConfigFault):
            find_bundle(tmp_path, model)
    with pytest.raises(ConfigFault, match=r"has no openvino/model\."):
        load_classifier(bundle, "openvino")
    manifest = bundle.folder / "bundle.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "main_categories": ["one"]}))
    with pytest.raises(ConfigFault, match="one main category"):
        load_bundle(bundle.folder)
    unknown_input = {**content, "input": {**content["input"], "colour_space": "BGR"}}
    for broken in ("{", "[]", "{}", json.dumps(unknown_input)):
        manifest.write_text(broken)
        with pytest.raises(ConfigFault, match="cannot be read"):
            load_bundle(bundle.folder)


def test_keys_of_a_newer_version_survive(tmp_path: Path) -> None:
    """A key of bundle.json that this version does not know is ignored, saved again, and not in the digest."""
    bundle = write_stub_bundle(tmp_path, "m")
    manifest = bundle.folder / "bundle.json"
    newer = {"calibrated_by": {"method": "vector", "scale": [1.5, 2]}, "folder": "x", "unknown": None}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **newer}))
    loaded = load_bundle(bundle.folder)
    assert replace(loaded, unknown={}) == bundle
    assert loaded.digest == bundle.digest
    with draft_folder(tmp_path) as draft:
        published = publish(replace(loaded, folder=draft, name="renamed"), tmp_path)
    again = load_bundle(published.folder)
    assert (again.name, again.digest, again.unknown) == ("renamed", bundle.digest, newer)
    saved = json.loads((published.folder / "bundle.json").read_text())
    assert {key: saved[key] for key in newer} == newer


def test_a_changed_file_of_a_bundle_is_refused(tmp_path: Path) -> None:
    """A model file whose sha256 differs is never loaded."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"another model")
    bundle = Bundle(folder, "m", 1, LABELS, LABELS, ImageInput(8, 8, 1), {"model.keras": "0" * 64}, "x", "")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        load_classifier(bundle, "keras")


def test_faults_can_be_pickled() -> None:
    """A fault that a worker raises reaches the waiting process as the same fault, with its advice."""
    for fault in (ConfigFault("wrong", "do this"), ImageFault(FaultCode.TRUNCATED, "half")):
        copy = pickle.loads(pickle.dumps(fault))  # noqa: S301 - our own bytes
        assert (type(copy), str(copy), copy.args) == (type(fault), str(fault), fault.args)
        assert type(fault)(*fault.args).message == fault.message
    assert issubclass(ConfigFault, PipelineError)


def test_every_code_has_a_sentence() -> None:
    """Each fault code has a sentence that explains it."""
    assert all(code.sentence.endswith(".") for code in FaultCode)
