"""Fashion-MNIST is read completely, or refused with advice."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.errors import ConfigFault
from returns_pipeline.training.labelled import fashion_mnist
from tests.support import needs_fashion_mnist


def write_split(folder: Path, images: bytes, labels: bytes) -> Path:
    """Write the two files of the test split and return the images' path."""
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(images)
    return path


def idx(*shape: int) -> bytes:
    """Return a gzipped idx file of zeros."""
    header = bytes([0, 0, 8, len(shape)]) + b"".join(axis.to_bytes(4, "big") for axis in shape)
    return gzip.compress(header + bytes(int(np.prod(shape))), compresslevel=1)


def test_a_split_is_read_from_any_folder_with_the_four_files(tmp_path: Path) -> None:
    """Shapes and types are the official ones, for any folder."""
    write_split(tmp_path, idx(10_000, 28, 28), idx(10_000))
    data = fashion_mnist.load("test", tmp_path)
    assert data.images.shape == (10_000, 28, 28)
    assert data.labels.shape == (10_000,)
    assert data.images.dtype == data.labels.dtype == np.uint8


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"no gzip", id="no gzip"),
        pytest.param(b"", id="empty"),
        pytest.param(idx(10_000, 28, 28)[:-20], id="cut off"),
        pytest.param(idx(10_000, 28, 27), id="other shape"),
        pytest.param(gzip.compress(gzip.decompress(idx(10_000, 28, 28))[:-1]), id="one pixel short"),
    ],
)
def test_a_corrupt_file_is_named(tmp_path: Path, damage: bytes) -> None:
    """Every kind of damage is a ConfigFault that names the file."""
    path = write_split(tmp_path, damage, idx(10_000))
    with pytest.raises(ConfigFault) as caught:
        fashion_mnist.load("test", tmp_path)
    assert str(path) in caught.value.message
    assert caught.value.advice


def test_an_impossible_label_is_refused(tmp_path: Path) -> None:
    """A label outside the ten classes is never used in training."""
    labels = bytearray(gzip.decompress(idx(10_000)))
    labels[-1] = 10
    write_split(tmp_path, idx(10_000, 28, 28), gzip.compress(bytes(labels)))
    with pytest.raises(ConfigFault, match="t10k-labels-idx1-ubyte"):
        fashion_mnist.load("test", tmp_path)


def test_a_failed_download_names_both_ways(tmp_path: Path) -> None:
    """Without files and without a network, the advice lists the ways to get the files."""
    script = (
        "import sys; from pathlib import Path\n"
        "from returns_pipeline.errors import ConfigFault\n"
        "from returns_pipeline.training.labelled import fashion_mnist\n"
        "try:\n"
        "    fashion_mnist.load('test', Path(sys.argv[1]))\n"
        "except ConfigFault as fault:\n"
        "    print(fault)\n"
    )
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
    printed = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "missing"],
        env=os.environ | nowhere | {"KERAS_HOME": str(tmp_path / "keras")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "apt-get install dataset-fashion-mnist" in printed
    assert "network connection" in printed
    assert str(tmp_path / "keras" / "datasets" / "fashion-mnist") in printed


@needs_fashion_mnist
def test_the_debian_files_need_no_keras() -> None:
    """With the Debian package, images are written without importing Keras."""
    script = (
        "import sys; from returns_pipeline.training.labelled import fashion_mnist\n"
        "print(fashion_mnist.load('test').fingerprint, 'keras' in sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == ["9f1ec356a747bfe4ebab3cfb722d3694c9ca737e2570f6f90cf31d7b6fd689d4", "False"]


def test_png_files_hold_the_very_pixels(tmp_path: Path) -> None:
    """The pixels in a file equal the image, and its name has the index and the true label."""
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    labels = np.array([9, 0, 4], np.uint8)
    paths = list(fashion_mnist.write_png(images, labels, tmp_path / "new", [0, 2]))
    assert [path.name for path in paths] == ["image_0_label_9.png", "image_2_label_4.png"]
    with Image.open(paths[1]) as opened:
        assert opened.mode == "L"
        assert np.array_equal(np.asarray(opened), images[2])


@needs_fashion_mnist
def test_the_committed_samples_are_the_official_images() -> None:
    """Every sample is the test image with the index in its name, and has its true label."""
    from returns_pipeline.settings import PROJECT_ROOT

    data = fashion_mnist.load("test")
    paths = sorted((PROJECT_ROOT / "samples").glob("image_*_label_*.png"))
    assert len(paths) == 300
    for path in paths:
        _, index, _, label = path.stem.split("_")
        with Image.open(path) as opened:
            assert np.array_equal(np.asarray(opened), data.images[int(index)])
        assert data.labels[int(index)] == int(label)
