"""Whatever runs the shipped model gives the same answers."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.classify.bundle import OPENVINO_WEIGHTS, load_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier, best_batch
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import ImageInput
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.training.labelled import fashion_mnist
from tests.support import needs_fashion_mnist

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUNDLE = PROJECT_ROOT / "models" / "fashion-mnist" / "1"
KERAS_ANSWERS = """
import sys
from pathlib import Path
import numpy as np
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.keras_runtime import KerasClassifier
classifier = KerasClassifier(load_bundle(Path(sys.argv[1])))
for pixels in map(Path, sys.argv[2:]):
    np.save(pixels.with_suffix(".answers.npy"), classifier.predict(np.load(pixels)).probabilities)
"""


MIXED = """
import sys
from pathlib import Path
import numpy as np
from returns_pipeline.classify.runtimes import keras_runtime
from returns_pipeline.classify.bundle import load_bundle
pixels = np.load(sys.argv[2])
keras_runtime.TRIAL = len(pixels)
bundle = load_bundle(Path(sys.argv[1]))
for least in (0.99, 1.01):  # as these pictures agree, and as none can
    keras_runtime.LEAST_AGREEMENT = least
    classifier = keras_runtime.KerasClassifier(bundle, mixed=True)
    plain, twin = classifier._model, classifier._twin
    first, second = (classifier.predict(pixels).probabilities for _ in range(2))
    assert classifier._twin is None
    assert classifier._model is (twin if least < 1 else plain)
    assert np.array_equal(first, second) == (least > 1)
    assert second.dtype == np.float32
    assert np.abs(first - second).max() < 0.02
"""


@pytest.fixture(scope="module")
def pictures() -> "dict[str, NDArray[np.uint8]]":
    """Return uint8 [n, 28, 28, 1]: the samples, none at all, and the official test images where they are."""
    samples = []
    for path in sorted((PROJECT_ROOT / "samples").glob("image_*_label_*.png")):
        with Image.open(path) as opened:
            samples.append(np.asarray(opened)[..., np.newaxis])
    found = {"samples": np.stack(samples), "none": np.zeros((0, 28, 28, 1), np.uint8)}
    if fashion_mnist.DEBIAN_DIR.is_dir() or os.environ.get("CI"):
        found["official"] = fashion_mnist.load("test").images[..., np.newaxis]
    return found


@pytest.fixture(scope="module")
def keras_answers(
    pictures: "dict[str, NDArray[np.uint8]]", tmp_path_factory: pytest.TempPathFactory
) -> "dict[str, NDArray[np.float32]]":
    """Return Keras' probabilities for all pictures, from a process of its own: TensorFlow stays out."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, pixels in pictures.items():
        np.save(folder / f"{name}.npy", pixels)
    files = [folder / f"{name}.npy" for name in pictures]
    subprocess.run([sys.executable, "-c", KERAS_ANSWERS, BUNDLE, *files], check=True, capture_output=True)
    return {name: np.load(folder / f"{name}.answers.npy") for name in pictures}


@pytest.fixture(scope="module")
def classifier() -> OpenVINOClassifier:
    return OpenVINOClassifier(load_bundle(BUNDLE))


def test_both_name_the_same_label_for_every_sample(
    pictures: "dict[str, NDArray[np.uint8]]",
    keras_answers: "dict[str, NDArray[np.float32]]",
    classifier: OpenVINOClassifier,
) -> None:
    """The demo gives one result, on a laptop with OpenVINO and on a server with Keras."""
    answers = classifier.predict(pictures["samples"]).probabilities
    assert np.array_equal(answers.argmax(axis=1), keras_answers["samples"].argmax(axis=1))
    assert np.allclose(answers, keras_answers["samples"], atol=1e-4)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)


@needs_fashion_mnist
def test_both_agree_on_the_official_test_images(
    pictures: "dict[str, NDArray[np.uint8]]",
    keras_answers: "dict[str, NDArray[np.float32]]",
    classifier: OpenVINOClassifier,
) -> None:
    """The same label for at least 99.9 % of 10,000 images, and the accuracy that bundle.json claims."""
    labels = classifier.predict(pictures["official"]).probabilities.argmax(axis=1)
    assert (labels == keras_answers["official"].argmax(axis=1)).mean() >= 0.999
    accuracy = float((labels == fashion_mnist.load("test").labels).mean())
    assert accuracy == pytest.approx(load_bundle(BUNDLE).metrics["official_accuracy"], abs=0.001)


def test_no_pictures_give_no_answers(
    keras_answers: "dict[str, NDArray[np.float32]]", classifier: OpenVINOClassifier
) -> None:
    """A chunk whose every file is bad still gets an array of the right shape."""
    for answers in (
        classifier.predict(np.zeros((0, 28, 28, 1), np.uint8)).probabilities,
        keras_answers["none"],
    ):
        assert answers.shape == (0, 10)
        assert answers.dtype == np.float32


BATCH = best_batch(load_bundle(BUNDLE).input)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1])
def test_an_answer_does_not_depend_on_its_neighbours(
    count: int, pictures: "dict[str, NDArray[np.uint8]]", classifier: OpenVINOClassifier
) -> None:
    """However images are grouped into batches, each gets the same probabilities."""
    together = classifier.predict(pictures["samples"]).probabilities
    assert np.allclose(
        classifier.predict(pictures["samples"][:count]).probabilities, together[:count], atol=1e-5
    )


def test_a_changed_weight_is_refused(tmp_path: Path) -> None:
    """A model that is not the registered one never answers, even if only its weights differ."""
    folder = shutil.copytree(BUNDLE, tmp_path / "fashion-mnist" / "1")
    weights = folder / OPENVINO_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        OpenVINOClassifier(load_bundle(folder))


def test_a_model_that_does_not_fit_its_manifest_is_refused() -> None:
    """Wrong labels or another image size stop the worker instead of naming wrong categories."""
    bundle = load_bundle(BUNDLE)
    with pytest.raises(ConfigFault, match="9 labels"):
        OpenVINOClassifier(replace(bundle, labels=bundle.labels[:9]))
    with pytest.raises(ConfigFault, match="32 x 32 x 3"):
        OpenVINOClassifier(replace(bundle, input=ImageInput(32, 32, 3)))


def test_openvino_starts_alone() -> None:
    """A CPU worker loads neither Keras nor TensorFlow nor the vendor's telemetry, and pins no core."""
    script = (
        "import sys; from pathlib import Path\n"
        "from returns_pipeline.classify.bundle import load_bundle\n"
        "from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier\n"
        "assert 'openvino' not in sys.modules\n"
        "classifier = OpenVINOClassifier(load_bundle(Path(sys.argv[1])))\n"
        "compiled = classifier._request.get_compiled_model()\n"
        "print([name for name in ('keras', 'tensorflow', 'openvino_telemetry') if sys.modules.get(name)],\n"
        "      compiled.get_property('ENABLE_CPU_PINNING'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, BUNDLE], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "[] False"


def test_float16_answers_only_after_its_labels_agreed(
    pictures: "dict[str, NDArray[np.uint8]]", tmp_path: Path
) -> None:
    """The trial's answers are float32's; what is used afterwards depends on the labels alone."""
    file = tmp_path / "samples.npy"
    np.save(file, pictures["samples"])
    done = subprocess.run(
        [sys.executable, "-c", MIXED, str(BUNDLE), str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
