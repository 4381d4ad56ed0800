"""Probabilities are calibrated, and a required precision becomes a threshold for each label."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import MANIFEST, Bundle, load_bundle
from returns_pipeline.classify.confidence import review_thresholds, tempered
from returns_pipeline.classify.predictions import to_predictions
from returns_pipeline.errors import ConfigFault
from returns_pipeline.host import doctor
from returns_pipeline.records.models import WantedPrecision
from returns_pipeline.records.predictions import Decision, Scores
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import environment_of, load_settings
from returns_pipeline.store import images
from returns_pipeline.training.evaluation import metrics
from returns_pipeline.training.pipeline import calibration
from tests.support import Installation, write_images, write_stub_bundle


def predictions(count: int, labels: int, sharpness: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return truth drawn from calibrated probabilities, and these probabilities sharpened by `sharpness`."""
    random = np.random.default_rng(5)
    calibrated = random.dirichlet(np.full(labels, 0.3), size=count).astype(np.float32)
    truth = (
        calibrated.cumsum(axis=1) < random.random((count, 1)) * calibrated.sum(axis=1, keepdims=True)
    ).sum(axis=1)
    return np.minimum(truth, labels - 1), tempered(calibrated, 1 / sharpness)


def test_tempering_is_softmax_of_divided_logits() -> None:
    """Against numbers worked out by hand; the order of labels stays, and a 0 is allowed."""
    row = np.array([[0.8, 0.2, 0.0]], np.float32)
    soft = tempered(row, 2.0)
    assert soft[0] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-6)  # the roots of 0.8 and 0.2 are as 2 to 1
    assert tempered(row, 0.5)[0] == pytest.approx([16 / 17, 1 / 17, 0], abs=1e-6)
    assert tempered(row, 1.0) is row
    assert soft.dtype == np.float32
    assert row.tolist() == np.array([[0.8, 0.2, 0.0]], np.float32).tolist()


@pytest.mark.parametrize("sharpness", [0.6, 1.0, 2.5])
def test_the_fit_finds_the_temperature(sharpness: float) -> None:
    """For probabilities sharpened by T the temperature is T, and neighbours have a larger loss."""
    truth, probabilities = predictions(20_000, 6, sharpness)
    found = calibration.fit_temperature(truth, probabilities)
    assert found == pytest.approx(sharpness, rel=0.05)
    best = metrics.cross_entropy(truth, tempered(probabilities, found))
    for other in (found * 0.95, found * 1.05):
        assert metrics.cross_entropy(truth, tempered(probabilities, other)) > best


def test_a_model_without_a_mistake_keeps_a_finite_temperature() -> None:
    """The best temperature would be 0, but the fit stays within its bounds."""
    truth = np.arange(30) % 3
    found = calibration.fit_temperature(truth, (np.eye(3) * 0.8 + 0.0666)[truth].astype(np.float32))
    assert calibration.LOWEST <= found < 0.3


def test_precision_steps_of_a_hand_made_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The precision of a step is a lower bound for every higher threshold too."""
    monkeypatch.setattr(calibration, "LEAST_IMAGES", 2)
    chances = [0.95, 0.9, 0.8, 0.7, 0.7, 0.6]
    right = [True, True, True, False, True, True]
    probabilities = np.array([[chance, 1 - chance] for chance in chances], np.float32)
    truth = np.where(right, 0, 1)
    first, second = calibration.precision_steps(truth, probabilities, 2)
    assert [precision for _, precision in first] == [0.8, 1.0]
    assert [threshold for threshold, _ in first] == pytest.approx([0.6, 0.8], abs=2e-6)
    assert second == ()


def test_one_mistake_with_a_high_probability_does_not_send_every_image_to_review() -> None:
    """One mislabelled validation image with the highest probability hardly changes the precision."""
    chances = np.linspace(0.99, 0.6, 200)
    probabilities = np.stack([chances, 1 - chances], axis=1).astype(np.float32)
    truth = np.zeros(200, int)
    truth[0] = 1
    (steps, _) = calibration.precision_steps(truth, probabilities, 2)
    assert steps[0][1] >= 0.95


def test_precision_steps_are_few_and_monotone_and_true() -> None:
    """For a threshold and every higher one, at least the stated share of the predictions is correct."""
    truth, probabilities = predictions(20_000, 4, 1.0)
    found = calibration.precision_steps(truth, probabilities, 4)
    predicted, chances = probabilities.argmax(axis=1), probabilities.max(axis=1)
    for label, steps in enumerate(found):
        assert 2 <= len(steps) <= calibration.MOST_STEPS
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(steps))
        for threshold, precision in steps:
            for higher in sorted(chances[(predicted == label) & (chances >= threshold)])[::50]:
                passed = (predicted == label) & (chances >= higher)
                if passed.sum() >= calibration.LEAST_IMAGES:
                    assert (truth[passed] == label).mean() >= precision - 1e-6


def bundle_with(folder: Path, **changes: object) -> Bundle:
    """Write a stub bundle with some changed values."""
    bundle = replace(write_stub_bundle(folder), **changes)  # type: ignore[arg-type]
    bundle.save()
    return bundle


STEPS = (((0.5, 0.9), (0.8, 0.98)), ((0.4, 0.97),), (), ((0.2, 1.0),))


def test_each_label_has_the_lowest_threshold_that_reaches_the_precision(tmp_path: Path) -> None:
    """It is infinite where no step reaches the precision; a probability applies to all labels."""
    bundle = bundle_with(tmp_path, reliability=STEPS)
    assert review_thresholds(bundle, WantedPrecision(0.98)).tolist() == [0.8, math.inf, math.inf, 0.2]
    assert review_thresholds(bundle, WantedPrecision(0.9)).tolist() == [0.5, 0.4, math.inf, 0.2]
    assert review_thresholds(bundle, 0.7).tolist() == [0.7] * 4


def test_each_label_is_decided_by_its_own_threshold(tmp_path: Path) -> None:
    """The same probability is decided automatically for one label and reviewed for another."""
    bundle = bundle_with(tmp_path, reliability=STEPS)
    rows = np.array(
        [[0.85, 0.15, 0, 0], [0.15, 0.85, 0, 0], [0, 0, 0.7, 0.3], [0, 0.2, 0.2, 0.6]], np.float32
    )
    thresholds = review_thresholds(bundle, WantedPrecision(0.98))
    decisions = [prediction.decision for prediction in to_predictions(bundle, Scores(rows), thresholds)]
    assert decisions == [Decision.AUTO, Decision.REVIEW, Decision.REVIEW, Decision.AUTO]


def test_served_probabilities_are_calibrated(tmp_path: Path) -> None:
    """Label, main category and order come from the tempered probabilities; the sums are 1."""
    bundle = bundle_with(tmp_path, temperature=2.0)
    (prediction,) = to_predictions(bundle, Scores(np.array([[0.8, 0.2, 0, 0]], np.float32)), 0.7)
    assert prediction.probability == pytest.approx(2 / 3, abs=1e-6)
    assert prediction.main_probability == pytest.approx(2 / 3, abs=1e-6)
    assert sum(chance for _, chance in prediction.top) == pytest.approx(1, abs=1e-5)
    assert prediction.decision is Decision.REVIEW


def test_a_required_precision_needs_a_bundle_with_measured_precisions(tmp_path: Path) -> None:
    """The message names the model, and the advice the setting."""
    needed = r"precision:0\.98 needs the measured reliability of stub/1"
    with pytest.raises(ConfigFault, match=needed) as caught:
        review_thresholds(write_stub_bundle(tmp_path), WantedPrecision(0.98))
    assert "RETURNS_REVIEW_THRESHOLD" in caught.value.advice


def test_the_doctor_finds_a_precision_that_the_bundle_did_not_measure(tmp_path: Path) -> None:
    """The check names the model before a run fails."""
    write_stub_bundle(tmp_path)
    settings = load_settings(models_dir=tmp_path, model="stub", review_threshold="precision:0.98")
    with pytest.raises(ConfigFault, match="needs the measured reliability of stub/1"):
        doctor.check_model(settings)
    bundle_with(tmp_path / "other", reliability=STEPS)
    assert doctor.check_model(settings.model_copy(update={"models_dir": tmp_path / "other"})).startswith(
        "stub/1"
    )


def test_a_bundle_keeps_its_calibration(tmp_path: Path) -> None:
    """The calibration is read again to the last digit, has one pair on each line, and changes the digest."""
    before = write_stub_bundle(tmp_path)
    truth, probabilities = predictions(3_000, 4, 2.0)
    found = calibration.calibrate(truth, probabilities, 4)
    after = replace(before, temperature=found.temperature, reliability=found.precision_steps)
    after.save()
    assert load_bundle(before.folder) == after
    assert after.temperature == pytest.approx(2, rel=0.1)
    assert after.digest != before.digest
    assert replace(after, temperature=1.0, reliability=()).digest == before.digest
    lines = (after.folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    assert any(line.strip().rstrip(",") == str(list(after.reliability[0][0])) for line in lines)


def test_a_bundle_without_calibration_still_loads(tmp_path: Path) -> None:
    """bundle.json without temperature and reliability loads with an unchanged digest."""
    bundle = write_stub_bundle(tmp_path)
    content = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    del content["temperature"], content["reliability"]
    (bundle.folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
    loaded = load_bundle(bundle.folder)
    assert loaded == bundle
    assert loaded.digest == "18491fe93a4d113e8abf76fe56b7fc789fec179cb48390a7aeeac1d5392ecccb"


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0}, {"temperature": -1}, {"temperature": math.nan}, {"reliability": [[[0.5, 1]]]}],
)
def test_an_impossible_calibration_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    """A temperature is above 0, and reliability has steps for each label or for none."""
    bundle = write_stub_bundle(tmp_path)
    content = json.loads((bundle.folder / MANIFEST).read_text(encoding="utf-8"))
    (bundle.folder / MANIFEST).write_text(json.dumps(content | wrong), encoding="utf-8")
    with pytest.raises(ConfigFault, match="temperature above 0"):
        load_bundle(bundle.folder)


def test_the_setting_reaches_another_process_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A precision and a probability are written to the environment and read again unchanged."""
    for rule in ("0.65", "precision:0.975"):
        settings = load_settings(review_threshold=rule)
        assert str(settings.review_threshold) == rule
        monkeypatch.setenv("RETURNS_REVIEW_THRESHOLD", environment_of(settings)["RETURNS_REVIEW_THRESHOLD"])
        assert load_settings().review_threshold == settings.review_threshold


def test_a_run_decides_by_the_required_precision(sqlite_home: Installation) -> None:
    """Each image is decided by the threshold of its label."""
    settings = sqlite_home.settings.model_copy(update={"review_threshold": WantedPrecision(0.98)})
    bundle = load_bundle(settings.models_dir / "stub" / "1")
    replace(bundle, reliability=STEPS).save()
    write_images(settings.incoming_dir, 8)
    context, queue = replace(sqlite_home, settings=settings).in_process()
    queue.send(Task.SCAN, request_id="night")
    queue.deliver(context)
    found = {image.label_index: image.decision for image in images.results(sqlite_home.database, 1)}
    assert found == {0: "auto", 1: "review", 2: "review", 3: "auto"}
