"""Runtimes are found by name, and a new one needs one module and one registration."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from returns_pipeline.classify import vetting
from returns_pipeline.classify.bundle import Bundle, file_sha256
from returns_pipeline.classify.runtimes import registry
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PROJECT_ROOT
from tests.support import LABELS, write_stub_bundle

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"

#: A runtime as a developer would add it: an export of its own, something to prove, no explanations.
NEW_RUNTIME = """
import numpy as np
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.predictions import Scores

class UniformClassifier:
    batch = 1
    def __init__(self, labels):
        self.labels = labels
    def predict(self, pixels):
        return Scores(np.full((len(pixels), self.labels), 1 / self.labels, np.float32))

class UniformRuntime:
    def has_export(self, bundle):
        return "uniform.txt" in bundle.sha256
    def require_safe(self, bundle):
        if b"code" in bundle.file("uniform.txt").read_bytes():
            raise ConfigFault("The export contains code.")
    def require_proven(self, bundle):
        if bundle.metrics.get("uniform_proven") != 1:
            raise ConfigFault("The uniform export is not proven.")
    def load(self, bundle, *, threads, mixed):
        return UniformClassifier(len(bundle.labels))

RUNTIME = UniformRuntime()
"""


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """Register the new runtime for this test, and return a bundle with an export for it."""
    (tmp_path / "uniform_runtime.py").write_text(NEW_RUNTIME)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "uniform_runtime", raising=False)
    monkeypatch.setattr(registry, "_runtimes", dict(registry._runtimes))
    registry.register("uniform", "uniform_runtime", automatic=True)
    bundle = write_stub_bundle(tmp_path, "m")
    export = bundle.folder / "uniform.txt"
    export.write_bytes(b"uniform")
    return replace(bundle, sha256={export.name: file_sha256(export)})


def test_a_registered_runtime_is_loaded_by_name_and_by_auto(bundle: Bundle) -> None:
    """`auto` chooses the runtime that has an export in the bundle; its name chooses it too."""
    pixels = np.zeros((2, *bundle.input.shape), np.uint8)
    for name in ("uniform", "auto"):
        found = registry.load_classifier(bundle, name).predict(pixels).probabilities
        assert np.array_equal(found, np.full((2, len(LABELS)), 1 / len(LABELS), np.float32))


def test_vetting_requires_what_the_runtime_requires(bundle: Bundle) -> None:
    """The runtime of each export decides what must be proven, whichever runtime is configured."""
    for configured in ("auto", "stub"):
        with pytest.raises(ConfigFault, match="uniform export is not proven"):
            vetting.require_sound(bundle, configured)
    vetting.require_sound(replace(bundle, metrics={"uniform_proven": 1}), "auto")
    export = bundle.folder / "uniform.txt"
    export.write_bytes(b"code")
    with pytest.raises(ConfigFault, match="contains code"):
        vetting.require_whole(replace(bundle, sha256={export.name: file_sha256(export)}))


def test_explaining_is_optional(bundle: Bundle) -> None:
    """A classifier without the ability has no explainer; one with it explains."""
    assert registry.explainer_of(registry.load_classifier(bundle, "uniform")) is None
    explainer = registry.explainer_of(StubClassifier(bundle))
    assert explainer is not None
    assert explainer.gradcam(np.zeros(bundle.input.shape, np.uint8), 0).heat.shape == bundle.input.shape[:2]


def test_an_unknown_runtime_is_refused_with_those_that_exist(bundle: Bundle) -> None:
    """The message names every registered runtime."""
    with pytest.raises(ConfigFault, match=r"auto, openvino, keras, (\w+, )*stub, uniform\."):
        registry.load_classifier(bundle, "tpu")


def test_without_an_export_the_missing_file_is_named(tmp_path: Path) -> None:
    """`auto` for a bundle without any export ends in the fault of the last automatic runtime."""
    with pytest.raises(ConfigFault, match=r"has no model\.keras"):
        registry.load_classifier(write_stub_bundle(tmp_path, "m"), "auto")


def test_the_registry_imports_no_framework() -> None:
    """Importing the registry and asking every runtime about a bundle loads neither OpenVINO nor Keras."""
    script = (
        "import sys; from pathlib import Path\n"
        "from returns_pipeline.classify.bundle import load_bundle\n"
        "from returns_pipeline.classify.runtimes import registry\n"
        "assert not [name for name in sys.modules if name.endswith('_runtime')]\n"
        "assert len(registry.runtimes_of(load_bundle(Path(sys.argv[1])))) == 2\n"
        "print([name for name in ('keras', 'tensorflow', 'openvino') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, SHIPPED], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


def test_signals_are_handled_after_models_were_unloaded() -> None:
    """A process that has unloaded its models, the oldest first, handles the next signal and goes on."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from returns_pipeline.classify.bundle import OPENVINO_MODEL, load_bundle\n"
        "from returns_pipeline.classify.runtimes import openvino_runtime\n"
        "openvino, bundle = openvino_runtime.import_openvino(), load_bundle(Path(sys.argv[1]))\n"
        "loaded = [openvino_runtime.OpenVINOClassifier(bundle) for _ in range(2)]\n"
        "loaded += [openvino.compile_model(bundle.file(OPENVINO_MODEL), 'CPU') for _ in range(2)]\n"
        "while loaded:\n"
        "    del loaded[0]\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, SHIPPED], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "handled\n"
