"""The commands `evaluate`, `accuracy` and `models compare`: output, files and refusals."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.evaluation.photo_predictions import find_labelled_photos
from tests.support import LABELS, Installation, write_images, write_stub_bundle

SAMPLES = PROJECT_ROOT / "samples"


def grey(path: Path, value: int) -> None:
    """Write one grey image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 6), value, np.uint8)).save(path)


def photos_of_each_label(folder: Path, count: int) -> None:
    """Write folders of images that the stub model predicts correctly, `count` of each label."""
    for index, label in enumerate(LABELS):
        for number in range(count):
            grey(folder / label / f"{number}.png", index * 64 + 10 + number)


def refusal(home: Installation, *arguments: str, **environment: Any) -> str:
    """Return the message of a command that must be refused."""
    done = home.run(*arguments, **environment)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_a_flat_folder_is_evaluated_by_its_file_names(sqlite_home: Installation, tmp_path: Path) -> None:
    """It prints one JSON object, writes a page to the report folder, and lists unreadable files."""
    data = tmp_path / "photos"
    write_images(data, 8)
    grey(data / "wrong_label_0.png", 255)
    (data / "broken_label_1.png").write_bytes(b"no picture")
    grey(data / "without.png", 0)
    numbers = sqlite_home.json("evaluate", "stub", str(data))
    assert (numbers["n"], numbers["model"]) == (9, "stub/1")
    assert numbers["accuracy"] == pytest.approx(8 / 9)
    assert {"loss", "top3_accuracy", "ece"} <= set(numbers)
    assert [row["label"] for row in numbers["per_class"]] == list(LABELS)
    (entry,) = numbers["unreadable"]
    assert Path(entry["path"]).name == "broken_label_1.png"
    assert entry["code"] == "not_an_image"
    report = Path(numbers["report"])
    assert report == sqlite_home.settings.report_dir / "evaluation" / "stub-1-photos" / "index.html"
    assert "stub/1 on photos" in report.read_text(encoding="utf-8")
    assert (report.parent / "mistakes.png").is_file()


def test_the_table_and_the_chosen_folder(sqlite_home: Installation, tmp_path: Path) -> None:
    """Without --json it prints lines; --out and --limit apply; a second call replaces the page."""
    write_images(tmp_path / "photos", 12)
    out = tmp_path / "my page"
    for limit in ("5", "7"):
        command = ("evaluate", "stub/1", str(tmp_path / "photos"), "--out", str(out), "--limit", limit)
        done = sqlite_home.run(*command)
        assert done.returncode == 0, done.stderr
        assert f"{limit}, and 0 unreadable files" in done.stdout
        assert "Accuracy  100.00%" in done.stdout
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["n"] == 7


def test_folders_of_labels_and_a_model_with_two_heads(sqlite_home: Installation, tmp_path: Path) -> None:
    """Sub-category folders are enough: the bundle has their main categories. A path names a bundle too."""
    models = sqlite_home.settings.models_dir
    mains = ("low", "low", "high", "high")
    bundle = replace(load_bundle(models / "stub" / "1"), main_categories=mains, temperature=1.5)
    bundle.save()
    photos_of_each_label(tmp_path / "data", 4)
    grey(tmp_path / "data" / "dim" / "dark in truth.png", 3)
    numbers = sqlite_home.json("evaluate", str(bundle.folder), str(tmp_path / "data"))
    assert numbers["n"] == 17
    assert numbers["sub_accuracy"] == numbers["accuracy"] == pytest.approx(16 / 17)
    assert numbers["main_accuracy"] == 1
    assert numbers["temperature"] == 1.5
    assert numbers["ece"] != numbers["ece_uncalibrated"]


def test_a_tree_of_main_and_sub_categories(tmp_path: Path) -> None:
    """Photos in main/sub folders have the labels of the sub-categories, in any order of the model's labels.

    A sub-category in the folder of a wrong main category is refused.
    """
    for main, sub in (("low", "dark"), ("low", "dim"), ("high", "bright"), ("high", "white")):
        grey(tmp_path / main / sub / "1.png", 1)
    labels, mains = LABELS[::-1], ("high", "high", "low", "low")
    bundle = Bundle(tmp_path, "m", 1, labels, mains, ImageInput(8, 8, 1), {}, "stub", "")
    photos = find_labelled_photos(tmp_path, bundle, None, None)
    for path, truth in zip(photos.paths, photos.truth.tolist(), strict=True):
        assert labels[truth] == Path(path).parent.name
    with pytest.raises(RefusedError, match=r"dim belongs to low .*, but to high in m/1"):
        find_labelled_photos(
            tmp_path, replace(bundle, main_categories=("high", "high", "high", "low")), None, None
        )


def test_photos_that_cannot_be_evaluated_are_refused(sqlite_home: Installation, tmp_path: Path) -> None:
    """A missing folder, model, label or photo is refused with a message, and nothing is written."""
    data = tmp_path / "data"
    write_images(data / "flat", 2)
    grey(data / "flat" / "x_label_9.png", 9)
    for name in ("shoes", "hats"):
        grey(data / "folders" / name / "1.png", 9)
    (data / "broken").mkdir()
    (data / "broken" / "a_label_1.png").write_bytes(b"no picture")
    assert "does not exist" in refusal(sqlite_home, "evaluate", "stub", str(data / "none"))
    assert "There is no model 'none'" in refusal(sqlite_home, "evaluate", "none", str(data / "flat"))
    assert "label_9" in refusal(sqlite_home, "evaluate", "stub", str(data / "flat"))
    assert refusal(sqlite_home, "evaluate", "stub", str(data / "folders"))
    assert "can be read" in refusal(sqlite_home, "evaluate", "stub", str(data / "broken"))
    wanted = {"RETURNS_REVIEW_THRESHOLD": "precision:0.98"}
    assert "precision:0.98" in refusal(sqlite_home, "evaluate", "stub", str(data / "flat"), **wanted)
    assert not sqlite_home.settings.report_dir.exists()


def test_the_accuracy_of_a_csv(sqlite_home: Installation, tmp_path: Path) -> None:
    """Only images with a label and a prediction count; two columns are enough; without any it is refused."""
    path = tmp_path / "answers.csv"
    rows = [
        ("a_label_0.png", "0"),
        ("b_label_0.png", "1"),
        ("c_label_1.png", "1"),
        ("d_label_1.png", ""),
        ("e.png", "1"),
    ]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("filename", "prediction"), *rows])
    numbers = sqlite_home.json("accuracy", str(path))
    assert (numbers["n"], numbers["correct"], numbers["unanswered"]) == (3, 2, 1)
    assert numbers["accuracy"] == pytest.approx(2 / 3)
    first, second = numbers["per_class"]
    assert (first["index"], first["recall"], first["support"]) == (0, 0.5, 2)
    assert (second["precision"], second["recall"]) == (0.5, 1)
    done = sqlite_home.run("accuracy", str(path))
    assert "2 of 3 correct: 66.67%. 1 labelled image has no prediction." in done.stdout
    path.write_text("filename,prediction\nx.png,1\n", encoding="utf-8")
    assert "contains a label" in refusal(sqlite_home, "accuracy", str(path))
    assert "There is no file" in refusal(sqlite_home, "accuracy", str(tmp_path / "none.csv"))


def test_two_models_are_compared_on_the_same_photos(sqlite_home: Installation, tmp_path: Path) -> None:
    """Labels in another order are matched by name, and the better model is named."""
    models = sqlite_home.settings.models_dir
    other = write_stub_bundle(models, "other")
    replace(other, labels=("dim", "dark", "bright", "white"), main_categories=LABELS).save()
    photos_of_each_label(tmp_path / "photos", 6)
    (tmp_path / "photos" / "dim" / "broken.png").write_bytes(b"no picture")
    arguments = ("models", "compare", "other", "stub", str(tmp_path / "photos"))
    numbers = sqlite_home.json(*arguments)
    assert (numbers["n"], numbers["unreadable"]) == (24, 1)
    assert numbers["conclusion"].startswith("stub/1 is better than other/1: +")
    assert numbers["low"] < numbers["difference"] < numbers["high"]
    assert {row["label"] for row in numbers["per_class"] if row["difference"]} == {"dark", "dim"}
    assert numbers["conclusion"] in sqlite_home.run(*arguments).stdout
    same = sqlite_home.run("models", "compare", "stub", "stub/1", str(tmp_path / "photos"))
    assert "stub/1 and stub/1 do not differ significantly" in same.stdout


def test_models_with_different_labels_are_not_compared(sqlite_home: Installation, tmp_path: Path) -> None:
    """The message names a label of the photos that the second model does not have."""
    other = write_stub_bundle(sqlite_home.settings.models_dir, "other")
    replace(other, labels=("night", "dim", "bright", "white")).save()
    photos_of_each_label(tmp_path / "photos", 1)
    compare = ("models", "compare", "stub", "other")
    assert "other/1 has no label 'dark'" in refusal(sqlite_home, *compare, str(tmp_path / "photos"))
    write_images(tmp_path / "numbered", 4)
    assert "labelled by an index" in refusal(sqlite_home, *compare, str(tmp_path / "numbered"))
    assert sqlite_home.run(*compare).returncode == 2


def test_an_evaluation_imports_no_keras(sqlite_home: Installation, tmp_path: Path) -> None:
    """The command and its page work without TensorFlow."""
    write_images(tmp_path / "photos", 4)
    code = (
        "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None\n"
        "from returns_pipeline.cli.commands import app\n"
        "app(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", "stub", str(tmp_path / "photos"), "--json"],
        env=sqlite_home.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 4


def test_foreign_photos_are_told_from_known_ones(sqlite_home: Installation, tmp_path: Path) -> None:
    """`--foreign` prints the AUROC, how many are unfamiliar, and which would be taken without a review."""
    model = str(PROJECT_ROOT / "models" / "fashion-mnist" / "2")
    for number in range(6):
        stripes = np.broadcast_to((np.arange(28) % (2 + number) * 40).astype(np.uint8)[:, None], (28, 28))
        (tmp_path / "foreign").mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(stripes)).save(tmp_path / "foreign" / f"{number}.png")
    (tmp_path / "foreign" / "broken.png").write_bytes(b"no picture")
    foreign = ("--foreign", str(tmp_path / "foreign"))

    def numbers(*arguments: str) -> Any:
        done = sqlite_home.run("evaluate", model, *arguments, *foreign, "--json", RETURNS_RUNTIME="openvino")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = numbers()
    assert (found["n"], len(found["unreadable"])) == (6, 1)
    assert found["auroc"] > 0.95
    assert found["unfamiliar"] > 0
    assert found["taken"] == len(found["taken_files"]) <= found["taken_by_probability"]
    both = numbers(str(SAMPLES), "--limit", "40")
    assert both["auroc"] == both["foreign"]["auroc"] > 0.9
    assert both["foreign"]["known_unfamiliar"] < 0.2
    assert "models familiarity stub/1" in refusal(sqlite_home, "evaluate", "stub", *foreign)
