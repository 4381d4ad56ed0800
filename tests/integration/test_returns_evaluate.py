"""The commands `returns evaluate` and `evaluate-products`: their numbers, what is stored and refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.training.labelled.parts import fingerprint
from tests.spaces import write_catalogue, write_space
from tests.support import LABELS, Installation


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give 30 images of each label of the stub model; one `dim` image is as bright as `white` ones."""
    folder = tmp_path / "photos"
    for index, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True)
        for number in range(30):
            value = 255 if (label, number) == ("dim", 0) else index * 64 + 2 * number
            Image.fromarray(np.full((9, 6), value, np.uint8)).save(folder / label / f"{number}.png")
    (folder / "dark" / "broken.png").write_bytes(b"no picture")
    return folder


def test_it_measures_false_alarms_and_found_items(sqlite_home: Installation, photos: Path) -> None:
    """Half of the photos expect another label; the seed decides which, and unreadable files do not count."""
    numbers = sqlite_home.json("returns", "evaluate", "stub/1", str(photos))
    assert (numbers["model"], numbers["n"], numbers["seed"]) == ("stub/1", 120, 0)
    assert (numbers["right"], numbers["wrong"]) == (60, 60)
    assert numbers["wanted"] == 0.02
    assert numbers["thresholds"]["measured_on"] is None
    assert len(numbers["unreadable"]) == 1
    # The stub gives each other label a few percent: without measured rates that is not called wrong.
    assert (numbers["false_alarm_rate"], numbers["found"]) == (0, 0)
    assert numbers["unsure_wrong"] + numbers["missed"] == 1
    assert {row["label"] for row in numbers["per_label"]} == set(LABELS)
    assert numbers["every_swap"]["right"] == 120
    assert numbers["every_swap"]["wrong"] == 360
    again = sqlite_home.json("returns", "evaluate", "stub/1", str(photos))
    assert again == numbers
    other = sqlite_home.json("returns", "evaluate", "stub/1", str(photos), "--seed", "1")
    assert other["every_swap"] == numbers["every_swap"]


def test_thresholds_are_stored_in_the_bundle(sqlite_home: Installation, photos: Path) -> None:
    """With --save the thresholds come from these photos, for every wanted rate; the digest stays."""
    folder = sqlite_home.settings.models_dir / "stub" / "1"
    before = load_bundle(folder)
    assert "assumed" in sqlite_home.run("returns", "evaluate", "stub", str(photos)).stdout
    done = sqlite_home.run("returns", "evaluate", "stub", str(photos), "--save")
    assert "Stored." in done.stdout, done.stderr
    after = load_bundle(folder)
    assert after.label_rates is not None
    assert after.label_rates.images == 120
    assert after.digest == before.digest
    shown = sqlite_home.run("returns", "evaluate", "stub", str(photos)).stdout
    assert "measured on 120 images" in shown
    assert all(label in shown for label in LABELS)
    numbers = sqlite_home.json("returns", "evaluate", "stub", str(photos))
    assert numbers["false_alarm_rate"] <= 0.02
    assert numbers["every_swap"]["found"] >= 0.95
    low, high = numbers["found_interval"]
    assert 0.9 < low <= numbers["found"] <= high + 1e-9
    strict, loose = (
        json.loads(
            sqlite_home.run(
                *("returns", "evaluate", "stub", str(photos), "--json"), RETURNS_FALSE_ALARMS=wanted
            ).stdout
        )
        for wanted in ("0.01", "0.2")
    )
    assert strict["every_swap"]["false_alarm_rate"] <= 0.01
    assert loose["thresholds"]["mismatch_below"] >= strict["thresholds"]["mismatch_below"]
    assert loose["every_swap"]["false_alarm_rate"] <= 0.2


def test_photos_of_the_training_are_refused(sqlite_home: Installation, photos: Path) -> None:
    """A model is surer of photos that it was trained with, so no thresholds are chosen from them."""
    (photos / "dark" / "broken.png").unlink()
    paths = sorted(photos.glob("*/*.png"))
    truth = np.array([LABELS.index(path.parent.name) for path in paths])
    bundle = load_bundle(sqlite_home.settings.models_dir / "stub" / "1")
    replace(bundle, data={"train_sha256": fingerprint(paths, truth, LABELS)}).save()
    done = sqlite_home.run("returns", "evaluate", "stub", str(photos), "--save")
    assert done.returncode == 3
    assert "was trained with these photos" in done.stderr
    assert load_bundle(bundle.folder).label_rates is None
    replace(bundle, labels=LABELS[:1], main_categories=LABELS[:1]).save()
    assert sqlite_home.run("returns", "evaluate", "stub", str(photos)).returncode == 3


def test_products_of_one_kind_are_told_apart(sqlite_home: Installation, tmp_path: Path) -> None:
    """Half of the photos expect another product of their kind; the same seed gives the same figures."""
    home = Installation(
        sqlite_home.settings.model_copy(update={"spaces_dir": tmp_path / "spaces"}), sqlite_home.database
    )
    write_space(home.settings.spaces_dir)
    write_catalogue(tmp_path / "shop", 60)
    asked = ("returns", "evaluate-products", str(tmp_path / "shop"), "--by", "article_type")
    found = home.json(*asked)
    assert (found["n"], found["right"], found["wrong"]) == (30, 15, 15)
    assert (found["products"], found["calibrated_on"], found["left_out"]) == (60, 240, 0)
    assert 0 <= found["false_alarm_rate"] <= 0.2
    assert 0 <= found["found_outside"] <= 1
    assert home.json(*asked) == found
    assert home.json(*asked, "--false-alarms", "0.2")["found"] > found["found"]
    shown = home.run(*asked)
    assert "False alarms" in shown.stdout
    write_catalogue(tmp_path / "few", 4)
    refused = home.run("returns", "evaluate-products", str(tmp_path / "few"), "--by", "colour")
    assert (refused.returncode, "more are needed" in refused.stderr) == (3, True)
