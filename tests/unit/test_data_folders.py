"""Folders of photos become labels and lists of files, or are refused with the name of the folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from returns_pipeline.classify.manifest import LABEL_LENGTH
from returns_pipeline.errors import RefusedError
from returns_pipeline.training.labelled import names
from returns_pipeline.training.labelled.folders import Labels, match_labels, read_tree


def make(root: Path, *files: str) -> Path:
    """Write empty files, by their paths below `root`; a path that ends with / is a folder."""
    for file in files:
        path = root / file
        if file.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def refusal(root: Path, mapping: Path | None = None) -> str:
    """Return the message with which a folder is refused."""
    with pytest.raises(RefusedError) as caught:
        read_tree(root, mapping)
    assert caught.value.advice
    return str(caught.value)


def test_class_folders_are_labels_in_sorted_order(tmp_path: Path) -> None:
    """Each file has the label of its folder; hidden files and files that are no photos are ignored."""
    make(tmp_path, "hat/b.jpg", "hat/a.PNG", "dress/c.heic", "hat/Thumbs.db", "hat/.x.jpg", "hat/LICENSE")
    make(tmp_path, "__MACOSX/hat/._a.jpg", ".git/x", "labels.csv", "hat/.cache/x.jpg")
    tree = read_tree(tmp_path)
    assert tree.labels == Labels(("dress", "hat"), ("dress", "hat"))
    assert list(tree.parts) == ["all"]
    photos = tree.parts["all"]
    assert [path.name for path in photos.paths] == ["c.heic", "a.PNG", "b.jpg"]
    assert photos.truth.dtype == np.int64
    assert photos.truth.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (("10_bag", "2-hat", "1 dress"), ("dress", "hat", "bag")),
        (("10", "9", "0"), ("0", "9", "10")),
        (("1_hat", "bag"), ("bag", "hat")),
        (("t-shirt", "T2"), ("t-shirt", "T2")),
    ],
)
def test_numbers_before_all_labels_are_their_order(
    tmp_path: Path, folders: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    """A leading number is not part of the label, and decides the order if every folder has one."""
    make(tmp_path, *(f"{folder}/a.jpg" for folder in folders))
    assert read_tree(tmp_path).labels.names == labels


def test_two_levels_are_main_categories(tmp_path: Path) -> None:
    """Each label has the main category above it; a name in two of them gets a prefix."""
    make(tmp_path, "Women/Shirt/a.jpg", "Men/Shirt/b.jpg", "Men/Hat/c.jpg")
    assert read_tree(tmp_path).labels == Labels(("Hat", "Men Shirt", "Women Shirt"), ("Men", "Men", "Women"))


def test_parts_have_the_labels_of_train(tmp_path: Path) -> None:
    """Folders are matched by label, without number and case; an empty folder is allowed."""
    make(tmp_path, "Train/0_hat/a.jpg", "Train/1_bag/b.jpg", "val/Hat/c.jpg", "val/bag/", "TEST/bag/d.jpg")
    make(tmp_path, "TEST/hat/e.jpg")
    tree = read_tree(tmp_path)
    assert tree.labels.names == ("hat", "bag")
    assert {part: photos.truth.tolist() for part, photos in tree.parts.items()} == {
        "train": [0, 1],
        "validation": [0],
        "test": [0, 1],
    }


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_mapping_gives_main_categories(tmp_path: Path, suffix: str) -> None:
    """A CSV file and a JSON object are equivalent; spellings of a label are matched."""
    make(tmp_path / "photos", "t-shirt/a.jpg", "0_hat/b.jpg")
    mapping = tmp_path / f"mains.{suffix}"
    pairs = {"T shirt": "tops", "hat": "headwear", "unused": "x"}
    lines = ["sub,main", *(f"{sub},{main}" for sub, main in pairs.items())]
    mapping.write_text(json.dumps(pairs) if suffix == "json" else "\ufeff" + "\r\n".join(lines), "utf-8")
    assert read_tree(tmp_path / "photos", mapping).labels == Labels(("hat", "t-shirt"), ("headwear", "tops"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label,category\nhat,x\n", "sub,main"),
        ("sub,main\nhat,x,y\n", "line 2"),
        ("sub,main\nhat,x\nHat,y\n", "line 3"),
        ("sub,main\nhat,\n", "line 2"),
        ("sub,main\nhat,x\n", "bag"),
        ("", "sub,main"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """The message names the file and the line, or the missing labels."""
    make(tmp_path / "photos", "hat/a.jpg", "bag/b.jpg")
    mapping = tmp_path / "mains.csv"
    mapping.write_text(content)
    message = refusal(tmp_path / "photos", mapping)
    assert str(mapping) in message
    assert said in message


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (["a.jpg"], ""),
        (["hat/"], "hat"),
        (["hat/", "bag/"], ""),
        (["hat/a.jpg"], "hat"),
        (["all/hat/a.jpg", "all/bag/b.jpg"], "all"),
        (["hat/a.jpg", "bag/b.jpg", "c.jpg"], "c.jpg"),
        (["hat/a.jpg", "bag/x/b.jpg"], "hat"),
        (["m/hat/a.jpg", "m/b.jpg", "n/bag/c.jpg"], "m/b.jpg"),
        (["m/hat/red/a.jpg", "n/bag/b.jpg"], "m/hat/red"),
        (["hat/a.jpg", "Hat/b.jpg"], "Hat"),
        (["1_hat/a.jpg", "2_hat/b.jpg"], "1_hat"),
        (["m/a b/a.jpg", "n/a-b/b.jpg", "m/m a b/c.jpg"], "m a b"),
        (["x" * (LABEL_LENGTH + 1) + "/a.jpg", "hat/b.jpg"], "xxx"),
        (["a\nb/a.jpg", "hat/b.jpg"], "a\\nb"),
        (["train/hat/a.jpg", "train/bag/b.jpg"], "validation"),
        (["train/hat/a.jpg", "test/hat/b.jpg"], "validation"),
        (["train/hat/a.jpg", "val/hat/b.jpg", "extra/hat/c.jpg"], "extra"),
        (["train/hat/a.jpg", "val/hat/b.jpg", "valid/hat/c.jpg"], "valid"),
        (["train/hat/a.jpg", "train/bag/b.jpg", "val/hat/c.jpg"], "train/bag"),
        (["train/hat/a.jpg", "val/hat/c.jpg", "val/bag/d.jpg"], "val/bag"),
    ],
)
def test_an_unclear_layout_is_refused(tmp_path: Path, files: list[str], named: str) -> None:
    """The message names the folder or the file."""
    message = refusal(make(tmp_path / "photos", *files))
    assert named in message
    assert str(tmp_path) in message


def test_a_missing_folder_a_file_and_circles_are_refused(tmp_path: Path) -> None:
    """A path that is not a folder, and links in a circle, are refused without an endless loop."""
    assert "does not exist" in refusal(tmp_path / "missing")
    (tmp_path / "file").touch()
    assert "is a file" in refusal(tmp_path / "file")
    up = make(tmp_path / "up", "hat/bag/a.jpg")
    (up / "hat" / "loop").symlink_to(up)
    assert "circle" in refusal(up)
    itself = make(tmp_path / "itself", "hat/a.jpg")
    (itself / "loop").symlink_to(itself / "loop")
    assert "circle" in refusal(itself)


def test_links_to_class_folders_are_followed(tmp_path: Path) -> None:
    """Class folders may be links to other folders, as long as they do not lead in a circle."""
    make(tmp_path, "elsewhere/a.jpg", "photos/hat/b.jpg")
    (tmp_path / "photos" / "bag").symlink_to(tmp_path / "elsewhere")
    assert read_tree(tmp_path / "photos").labels.names == ("bag", "hat")


def test_one_class_is_enough_if_requested(tmp_path: Path) -> None:
    """A model can be evaluated on photos of one label."""
    tree = read_tree(make(tmp_path, "3_dress/a.jpg"), least_classes=1)
    assert tree.labels.names == ("dress",)


WORDS = st.text(st.characters(categories=["L"]), min_size=1, max_size=12)


@given(WORDS, st.integers(0, 10**6), st.sampled_from("_- ."))
def test_a_leading_number_is_separated_from_its_label(word: str, number: int, separator: str) -> None:
    """Every word and number is parsed correctly, and all spellings have one key."""
    parsed = names.parse(f"{number}{separator}{word}")
    assert parsed.number == number
    assert parsed == names.parse(f" {number:03d}{separator} {word} ")
    assert names.parse(word) == (None, parsed.label)
    assert names.parse(str(number)) == (number, str(number))
    assert names.key(f"{word}/{word}") == names.key(f"{word} - {word}_") == names.key(f"{word}_{word}")


KNOWN = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Ankle boot")


@pytest.mark.parametrize("spelling", ["T-shirt_top", "t shirt top", "T-Shirt/Top", "0"])
def test_folders_are_matched_to_a_models_labels(spelling: str) -> None:
    """They are matched by name in any spelling, otherwise by index."""
    found = Labels(("ankle_boot", spelling, "dress"), ("", "", ""))
    assert match_labels(found, KNOWN).tolist() == [4, 0, 3]


def test_names_go_before_indices() -> None:
    """If a model's labels are numbers, the number of a folder is a name, not an index."""
    assert match_labels(Labels(("2", "1"), ("2", "1")), ("1", "2", "3")).tolist() == [1, 0]


@pytest.mark.parametrize("folders", [("Hat",), ("5",), ("Dress", "3")])
def test_folders_that_match_no_or_one_label_are_refused(folders: tuple[str, ...]) -> None:
    """The advice lists the labels of the model."""
    with pytest.raises(RefusedError) as caught:
        match_labels(Labels(folders, folders), KNOWN)
    assert repr(folders[-1]) in caught.value.message
    assert all(label in caught.value.advice for label in KNOWN)
