"""Decoding, duplicates, checks and the division of photos for a training."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from returns_pipeline.errors import FaultCode, RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.models import ImageInput
from returns_pipeline.training.labelled import duplicates, photos
from returns_pipeline.training.labelled.checks import Findings, check, require_sound
from returns_pipeline.training.labelled.folders import Photos, read_tree
from returns_pipeline.training.labelled.photos import load_pixels
from returns_pipeline.training.labelled.split import Split, stratified

SIZE = ImageInput(16, 12, 3)


def picture(seed: int, side: int = 64) -> Image.Image:
    """Return a smooth colour image that depends on the seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.BLUR)


def write(folder: Path, count: int, start: int = 0) -> list[Path]:
    """Write `count` images with different seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}.png" for seed in range(start, start + count)]
    for seed, path in enumerate(paths, start):
        picture(seed).save(path)
    return paths


def quiet(_done: int, _total: int) -> None:
    """Show no progress."""


def found(root: Path) -> Findings:
    """Return the findings for a folder."""
    return check(read_tree(root), quiet)


def test_pixels_equal_those_of_the_workers_and_keep_their_order(tmp_path: Path) -> None:
    """Each row equals the pipeline's decoding; refused files are left out, and the positions show which."""
    paths = write(tmp_path, 20)
    paths[3].write_text("no picture")
    paths[7].write_bytes(b"")
    paths[8].unlink()
    link = tmp_path / "link.png"
    link.symlink_to(paths[0])
    steps: list[tuple[int, int]] = []
    asked = Photos((*paths, link), np.zeros(21, np.int64))
    pixels, positions = load_pixels(asked, SIZE, lambda done, total: steps.append((done, total)))
    assert positions.tolist() == [index for index in range(21) if index not in {3, 7, 8}]
    assert steps == [(index + 1, 21) for index in range(21)]
    limits = Limits(10**6, 10**6)
    expected = [decode(asked.paths[index].read_bytes(), SIZE, limits).pixels for index in positions]
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.stack(expected))


def test_large_arrays_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels larger than a quarter of the free memory are kept in a file in the cache, unchanged."""
    asked = Photos(tuple(write(tmp_path / "in", 3)), np.zeros(3, np.int64))
    plain, _ = load_pixels(asked, SIZE, quiet, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(photos, "free_memory", lambda: 1000)
    mapped, _ = load_pixels(asked, SIZE, quiet, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(plain, mapped)


def test_free_memory_is_plausible() -> None:
    """Free memory is above 0 and at most the memory of the machine."""
    import os

    assert 0 < photos.free_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_quick_search_finds_what_comparing_all_pairs_finds() -> None:
    """The search finds all pairs within the limits, and no others."""
    rng = np.random.default_rng(0)
    base = np.stack([np.asarray(picture(seed, 32).convert("L")) for seed in range(60)])
    shaken = base[rng.integers(0, 60, 300)].astype(np.int16) + rng.integers(-9, 10, (300, 1, 1))
    shaken += rng.integers(-4, 5, shaken.shape)
    small = np.concatenate([base, np.clip(shaken, 0, 255).astype(np.uint8)])
    hashes = duplicates.perceptual_hashes(small)
    bits = np.bitwise_count(hashes[:, None] ^ hashes)
    apart = np.abs(small[:, None].astype(np.int16) - small).mean(axis=(2, 3))
    close = (bits <= duplicates.MOST_BITS) & (apart <= duplicates.MOST_LEVELS)
    expected = np.argwhere(np.triu(close, 1))
    assert 100 < len(expected) < np.triu(bits <= duplicates.MOST_BITS, 1).sum()
    assert np.array_equal(duplicates.near_pairs(small), expected)


def test_many_equal_images_are_compared_once(tmp_path: Path) -> None:
    """Images of one colour are nearly identical, and give one pair each."""
    for index, folder in enumerate(["a", "b"] * 40):
        path = tmp_path / folder / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (8 + index, 8), 255 * (folder == "a")).save(path)
    findings = found(tmp_path)
    assert not findings.spoiling
    assert len(set(findings.groups["all"].tolist())) == 2
    assert [sentence[:8] for sentence in findings.warnings] == ["78 pairs"]


def test_sound_photos_have_no_findings(tmp_path: Path) -> None:
    """Ten different photos of each label have no findings."""
    for number, label in enumerate(("bag", "hat")):
        write(tmp_path / label, 10, 100 * number)
    findings = found(tmp_path)
    assert (findings.spoiling, findings.warnings, findings.unreadable) == ((), (), ())
    assert findings.counts["all"].tolist() == [10, 10]
    assert findings.imbalance == 1
    require_sound(findings, force=False)


def test_serious_findings_are_separate_from_notes(tmp_path: Path) -> None:
    """Each kind of finding occurs once, with its count and an example, in its own list."""
    for part, start in (("train", 0), ("val", 1000)):
        for number, label in enumerate(("bag", "hat", "shoe")):
            write(tmp_path / part / label, 12, start + 100 * number)
    train, val = tmp_path / "train", tmp_path / "val"
    shutil.copy(train / "bag/1.png", train / "hat/copied.png")
    shutil.copy(train / "bag/2.png", val / "bag/copied.png")
    shutil.copy(train / "bag/3.png", train / "bag/copied.png")
    picture(4).save(val / "hat/near.jpg", quality=90)
    for path in sorted((train / "shoe").iterdir())[:3]:
        path.write_text("no picture")
    sentences = found(tmp_path)
    text = "\n".join(sentences.spoiling)
    assert len(sentences.spoiling) == 3
    assert "shoe has too few photos in train: 9, fewer than 10." in text
    assert "with two labels: train/bag/1.png = train/hat/copied.png." in text
    assert "in train and in validation: train/bag/2.png = val/bag/copied.png." in text
    notes = "\n".join(sentences.warnings)
    assert len(sentences.warnings) == 4
    assert "3 of 76 files cannot be read, 3.9%." in notes
    assert "twice with the same label: train/bag/3.png = train/bag/copied.png." in notes
    assert notes.count("1 pair of nearly identical photos") == 2
    assert [file.code for file in sentences.unreadable] == [FaultCode.NOT_AN_IMAGE] * 3
    groups = sentences.groups
    shared = set(groups["train"].tolist()) & set(groups["validation"].tolist())
    assert len(shared) == 2
    with pytest.raises(RefusedError) as caught:
        require_sound(sentences, force=False)
    assert all(sentence in caught.value.message for sentence in sentences.spoiling)
    assert "--force" in caught.value.advice
    require_sound(sentences, force=True)


def test_many_unreadable_files_spoil(tmp_path: Path) -> None:
    """More than one unreadable file in twenty is serious; so is a label without any readable photo."""
    write(tmp_path / "bag", 30)
    (tmp_path / "hat").mkdir()
    for index in range(2):
        (tmp_path / "hat" / f"{index}.jpg").write_text("no picture")
    findings = found(tmp_path)
    assert any("2 of 32 files cannot be read" in sentence for sentence in findings.spoiling)
    assert any("hat has too few photos: 0" in sentence for sentence in findings.spoiling)
    assert findings.imbalance == float("inf")


def sides(split: Split) -> np.ndarray:
    """Return the part of each index: 0, 1 or 2."""
    parts = (split.train, split.validation, split.test)
    result = np.full(sum(map(len, parts)), -1)
    for number, part in enumerate(parts):
        assert np.array_equal(part, np.sort(part))
        result[part] = number
    assert (result >= 0).all()
    return result


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=200),
    st.sampled_from([(0.2, 0.2), (0.1, 0.0), (0.3, 0.1)]),
    st.integers(0, 5),
)
def test_a_division_keeps_shares_and_groups(
    rows: list[tuple[int, int]], shares: tuple[float, float], seed: int
) -> None:
    """Each index is in one part, each label has its shares to one image, and no group is in two parts."""
    truth, groups = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    plain = sides(stratified(truth, *shares, None, seed))
    for label in np.unique(truth):
        counts = np.bincount(plain[truth == label], minlength=3)
        wanted = (truth == label).sum() * np.array([1 - sum(shares), *shares])
        assert (abs(counts - wanted) < 1 + 1e-9).all()
    grouped = sides(stratified(truth, *shares, groups, seed))
    assert all(len(set(grouped[groups == group])) == 1 for group in groups)
    assert np.array_equal(grouped, sides(stratified(truth, *shares, groups, seed)))


def test_a_division_depends_on_its_seed() -> None:
    """Another seed gives another division; shares that leave nothing for training are refused."""
    truth = np.repeat(np.arange(2), 50)
    first, second = (stratified(truth, 0.2, 0.2, None, seed) for seed in (1, 2))
    assert not np.array_equal(first.test, second.test)
    with pytest.raises(ValueError, match="shares"):
        stratified(truth, 0.5, 0.5)
