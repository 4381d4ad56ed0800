"""What the images of CPU services lack is not used: a trimmed copy of the libraries does the work."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from returns_pipeline.errors import ConfigFault
from returns_pipeline.host import doctor
from returns_pipeline.languages.current import LANGUAGES
from returns_pipeline.settings import PROJECT_ROOT, load_settings

LIBRARIES = Path(sysconfig.get_paths()["platlib"])
#: The folders in which something is removed, and what NumPy expects beside it.
TRIMMED = ("babel", "numpy", "numpy.libs", "openvino", "pyarrow", "sqlalchemy", "tornado")

#: Classifies and explains with a shipped bundle, writes and reads Parquet, writes a date in each language.
WORK = """
import sys
from datetime import datetime
import numpy as np, pyarrow, openvino, babel, sqlalchemy, tornado.web, flower.app
from pyarrow import parquet
from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import RUNTIME
from returns_pipeline.languages import formats
from returns_pipeline.languages.current import LANGUAGES, use
from returns_pipeline.store.database import Database
from returns_pipeline.settings.places import PROJECT_ROOT

folder, target = sys.argv[1:]
modules = (np, pyarrow, openvino, babel, sqlalchemy, tornado.web)
assert all(module.__file__.startswith(folder) for module in modules)
for model in ("clothing", "fashion-mnist"):
    bundle = find_bundle(PROJECT_ROOT / "models", model)
    classifier = RUNTIME.load(bundle, threads=1, mixed=False)
    assert len(classifier.predict(np.zeros((3, *bundle.input.shape), np.uint8)).probabilities) == 3
    if explainer := classifier.explainer():
        explainer.gradcam(np.zeros(bundle.input.shape, np.uint8), 0)
parquet.write_table(pyarrow.table({"a": [1, 2], "when": [datetime.now()] * 2}), target)
assert parquet.ParquetFile(target).read().num_rows == 2
Database(f"sqlite:///{target}.sqlite3").upgrade()
for language in LANGUAGES:
    with use(language):
        print(formats.decimal(1234.5))
"""


def _program() -> ModuleType:
    spec = util.spec_from_file_location("trim", PROJECT_ROOT / "deploy" / "trim.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the libraries in which something is removed, as links to their files."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in TRIMMED:
        subprocess.run(["cp", "-a", "--symbolic-link", LIBRARIES / name, folder / name], check=True)
    return folder


def test_what_is_removed_is_not_used(copy: Path, tmp_path: Path) -> None:
    """Predictions, explanations, Parquet files and both languages work without what the rules remove."""
    _program().remove(copy)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(copy), str(PROJECT_ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(copy), str(tmp_path / "a.parquet")],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["1,234.5", "1.234,5"]


def test_every_language_of_the_pages_stays() -> None:
    """The rules keep the languages that the pages have."""
    assert set(_program().LANGUAGES) == set(LANGUAGES)


def test_a_rule_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    """A newer release of a library, whose files have other names, stops the build."""
    with pytest.raises(ValueError, match="matches nothing"):
        _program().unused(tmp_path)


def test_only_keras_needs_its_model(tmp_path: Path) -> None:
    """The images of CPU services lack model.keras: `doctor` misses it only where Keras runs."""
    shipped = PROJECT_ROOT / "models" / "fashion-mnist" / "1"
    shutil.copytree(shipped, tmp_path / "fashion-mnist" / "1", ignore=shutil.ignore_patterns("model.keras"))
    settings = load_settings(home=tmp_path / "home", models_dir=tmp_path, model="fashion-mnist/1")
    assert doctor.check_model(settings).startswith("fashion-mnist/1")
    with pytest.raises(ConfigFault, match=r"model\.keras"):
        doctor.check_model(settings.model_copy(update={"runtime": "keras"}))
