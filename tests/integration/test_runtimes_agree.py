"""Every runtime gives the same predictions for the shipped model."""

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
KERAS_PREDICTIONS = """
import sys
from pathlib import Path
import numpy as np
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes.keras_runtime import KerasClassifier
classifier = KerasClassifier(load_bundle(Path(sys.argv[1])))
for pixels in map(Path, sys.argv[2:]):
    np.save(pixels.with_suffix(".predictions.npy"), classifier.predict(np.load(pixels)).probabilities)
"""


MIXED = """
import sys
from pathlib import Path
import numpy as np
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.classify.runtimes import keras_runtime
pixels = np.load(sys.argv[2])
keras_runtime.TRIAL_IMAGES = len(pixels)
bundle = load_bundle(Path(sys.argv[1]))
for least in (0.99, 1.01):  # these pictures reach the first; none can reach the second
    keras_runtime.LEAST_MIXED_AGREEMENT = least
    classifier = keras_runtime.KerasClassifier(bundle, mixed=True)
    float32, float16 = classifier._model, classifier._float16
    first, second = (classifier.predict(pixels).probabilities for _ in range(2))
    assert classifier._float16 is None
    assert classifier._model is (float16 if least < 1 else float32)
    assert np.array_equal(first, second) == (least > 1)
    assert second.dtype == np.float32
    assert np.abs(first - second).max() < 0.02
"""


@pytest.fixture(scope="module")
def pictures() -> "dict[str, NDArray[np.uint8]]":
    """Return uint8 [n, 28, 28, 1]: the samples, no image, and the official test images if installed."""
    samples = []
    for path in sorted((PROJECT_ROOT / "samples").glob("image_*_label_*.png")):
        with Image.open(path) as opened:
            samples.append(np.asarray(opened)[..., np.newaxis])
    found = {"samples": np.stack(samples), "none": np.zeros((0, 28, 28, 1), np.uint8)}
    if fashion_mnist.DEBIAN_DIR.is_dir() or os.environ.get("CI"):
        found["official"] = fashion_mnist.load("test").images[..., np.newaxis]
    return found


@pytest.fixture(scope="module")
def keras_predictions(
    pictures: "dict[str, NDArray[np.uint8]]", tmp_path_factory: pytest.TempPathFactory
) -> "dict[str, NDArray[np.float32]]":
    """Return Keras' probabilities for all pictures, from a process of its own, away from this one."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, pixels in pictures.items():
        np.save(folder / f"{name}.npy", pixels)
    files = [folder / f"{name}.npy" for name in pictures]
    subprocess.run([sys.executable, "-c", KERAS_PREDICTIONS, BUNDLE, *files], check=True, capture_output=True)
    return {name: np.load(folder / f"{name}.predictions.npy") for name in pictures}


@pytest.fixture(scope="module")
def classifier() -> OpenVINOClassifier:
    return OpenVINOClassifier(load_bundle(BUNDLE))


def test_both_predict_the_same_label_for_every_sample(
    pictures: "dict[str, NDArray[np.uint8]]",
    keras_predictions: "dict[str, NDArray[np.float32]]",
    classifier: OpenVINOClassifier,
) -> None:
    """The demo gives the same result on a laptop with OpenVINO and on a server with Keras."""
    found = classifier.predict(pictures["samples"]).probabilities
    assert np.array_equal(found.argmax(axis=1), keras_predictions["samples"].argmax(axis=1))
    assert np.allclose(found, keras_predictions["samples"], atol=1e-4)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


@needs_fashion_mnist
def test_both_agree_on_the_official_test_images(
    pictures: "dict[str, NDArray[np.uint8]]",
    keras_predictions: "dict[str, NDArray[np.float32]]",
    classifier: OpenVINOClassifier,
) -> None:
    """The same label for at least 99.9 % of 10,000 images, and the accuracy in bundle.json."""
    labels = classifier.predict(pictures["official"]).probabilities.argmax(axis=1)
    assert (labels == keras_predictions["official"].argmax(axis=1)).mean() >= 0.999
    accuracy = float((labels == fashion_mnist.load("test").labels).mean())
    assert accuracy == pytest.approx(load_bundle(BUNDLE).metrics["official_accuracy"], abs=0.001)


def test_no_pictures_give_no_predictions(
    keras_predictions: "dict[str, NDArray[np.float32]]", classifier: OpenVINOClassifier
) -> None:
    """For a chunk without a readable file, each runtime returns an empty array of the right shape."""
    for found in (
        classifier.predict(np.zeros((0, 28, 28, 1), np.uint8)).probabilities,
        keras_predictions["none"],
    ):
        assert found.shape == (0, 10)
        assert found.dtype == np.float32


BATCH = best_batch(load_bundle(BUNDLE).input)


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1])
def test_a_prediction_does_not_depend_on_the_rest_of_its_batch(
    count: int, pictures: "dict[str, NDArray[np.uint8]]", classifier: OpenVINOClassifier
) -> None:
    """Each image gets the same probabilities in a batch of any size."""
    together = classifier.predict(pictures["samples"]).probabilities
    assert np.allclose(
        classifier.predict(pictures["samples"][:count]).probabilities, together[:count], atol=1e-5
    )


def test_a_changed_weight_is_refused(tmp_path: Path) -> None:
    """A model that is not the registered one is never loaded, even if only its weights differ."""
    folder = shutil.copytree(BUNDLE, tmp_path / "fashion-mnist" / "1")
    weights = folder / OPENVINO_WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigFault, match="sha256 differs"):
        OpenVINOClassifier(load_bundle(folder))


def test_a_model_that_does_not_fit_its_manifest_is_refused() -> None:
    """Wrong labels or another image size stop the worker; it does not predict wrong categories."""
    bundle = load_bundle(BUNDLE)
    with pytest.raises(ConfigFault, match="9 labels"):
        OpenVINOClassifier(replace(bundle, labels=bundle.labels[:9]))
    with pytest.raises(ConfigFault, match="32 x 32 x 3"):
        OpenVINOClassifier(replace(bundle, input=ImageInput(32, 32, 3)))


def test_openvino_loads_without_other_frameworks() -> None:
    """A CPU worker loads neither Keras nor TensorFlow nor the vendor's telemetry, and pins no core."""
    script = (
        "import sys; from pathlib import Path\n"
        "from returns_pipeline.classify.bundle import load_bundle\n"
        "from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier\n"
        "assert 'openvino' not in sys.modules\n"
        "classifier = OpenVINOClassifier(load_bundle(Path(sys.argv[1])))\n"
        "compiled = classifier._steps[0].request.get_compiled_model()\n"
        "print([name for name in ('keras', 'tensorflow', 'openvino_telemetry') if sys.modules.get(name)],\n"
        "      compiled.get_property('ENABLE_CPU_PINNING'))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, BUNDLE], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[] False"


def test_float16_is_used_only_after_its_labels_agreed(
    pictures: "dict[str, NDArray[np.uint8]]", tmp_path: Path
) -> None:
    """During the trial float32 predicts; which of the two is used afterwards depends on the labels alone."""
    file = tmp_path / "samples.npy"
    np.save(file, pictures["samples"])
    done = subprocess.run(
        [sys.executable, "-c", MIXED, str(BUNDLE), str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
