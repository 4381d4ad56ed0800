"""The images that the benchmark writes, and its figures of memory growth."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.data.photos import copy_photos, draw_photos
from benchmarks.data.tiny import write_tiny
from benchmarks.memory import Sample, growth
from returns_pipeline.errors import ConfigFault

MEGABYTE = 1024 * 1024


def test_drawn_photos_are_the_same_each_time(tmp_path: Path) -> None:
    """Drawn photos are the same on every run, so that figures can be compared."""
    for name in ("one", "two"):
        draw_photos(tmp_path / name, 3, (40, 30), distinct=2)

    one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]
    assert len({file.read_bytes() for file in one}) == 2
    assert Image.open(one[0]).size == (40, 30)


def test_photos_of_a_tree_become_a_flat_folder(tmp_path: Path) -> None:
    """Two photos with the same name in two folders are two images."""
    for folder in ("hat", "shoe"):
        draw_photos(tmp_path / "tree" / folder, 2, (8, 8), distinct=1)

    assert copy_photos(tmp_path / "tree", tmp_path / "all", None) == 4
    assert copy_photos(tmp_path / "tree", tmp_path / "some", 2) == 2
    assert len(list((tmp_path / "all").iterdir())) == 4


def test_a_tree_without_photos_is_refused(tmp_path: Path) -> None:
    """A folder without photos is refused, because there would be nothing to measure."""
    with pytest.raises(ConfigFault, match=r"no \.jpg"):
        copy_photos(tmp_path, tmp_path / "out", None)


def test_tiny_images_have_the_returned_labels(tmp_path: Path) -> None:
    """The label is the step of the mean brightness, and no file has too many hard links."""
    labels = write_tiny(tmp_path / "tiny", 5, 10, max_links=2)

    for name, label in labels.items():
        file = tmp_path / "tiny" / name
        assert int(np.asarray(Image.open(file)).mean() * 10 / 256) == label
        assert file.stat().st_nlink <= 2
    assert len(labels) == 5


def test_growth_begins_after_the_first_chunk() -> None:
    """Memory before the first chunk is not growth; parents are compared too."""
    samples = [
        Sample(at, pid, "cpu", megabytes * MEGABYTE)
        for pid, values in {7: (10, 50, 55, 52), 8: (20, 20, 21, 20)}.items()
        for at, megabytes in enumerate(values)
    ]

    child, parent = growth(samples, {7: 0.5})

    assert (child["first_mb"], child["most_mb"], child["grown_mb"]) == (50, 55, 5)
    assert (parent["classifies"], parent["grown_mb"]) == (False, 1)


def test_a_round_shorter_than_a_sample_has_no_growth() -> None:
    """If the last sample is older than the end of the chunk, the growth is 0."""
    assert growth([Sample(1.0, 7, "cpu", MEGABYTE)], {7: 2.0})[0]["grown_mb"] == 0
    assert growth([], {}) == []
