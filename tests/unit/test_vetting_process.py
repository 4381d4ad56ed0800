"""A bundle is checked in a process of its own: its crash, its memory and its time are not the caller's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from returns_pipeline.classify import vetting_process
from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.errors import ConfigFault
from returns_pipeline.settings import PROJECT_ROOT

SHIPPED = PROJECT_ROOT / "models" / "fashion-mnist" / "1"

#: A runtime's package that does this when it is imported, and what the check says.
_MISBEHAVIOURS = {
    "crashes": ("import os; os.kill(os.getpid(), 11)", r"crashed \(signal 11, Segmentation fault\)"),
    "ends": ("import os; os._exit(3)", r"crashed \(exit code 3\)"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "was killed, probably because"),
    "hangs": ("import time; print('noise', flush=True); time.sleep(60)", "did not end within 2 s"),
    "needs all memory": ("bytearray(2**44)", "does not run: MemoryError"),
    "raises": ("raise RuntimeError('\\x1b[2J')", r"does not run: RuntimeError\('\\x1b"),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Return a copy of the shipped bundle."""
    return load_bundle(Path(shutil.copytree(SHIPPED, tmp_path / "fashion-mnist" / "1")))


@pytest.mark.parametrize("how", _MISBEHAVIOURS)
def test_a_check_that_misbehaves_is_a_sentence(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whatever a runtime does to its process, the caller gets ConfigFault, and the process is gone."""
    program, sentence = _MISBEHAVIOURS[how]
    (tmp_path / "openvino.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PROJECT_ROOT)]))
    with pytest.raises(ConfigFault, match=sentence):
        vetting_process.require_sound(bundle, "openvino", seconds=2 if how == "hangs" else 60)
    assert not [
        child
        for child in psutil.Process().children(recursive=True)
        if str(bundle.folder) in " ".join(child.cmdline())
    ]


def test_the_fault_of_a_bundle_reaches_the_caller(bundle: Bundle) -> None:
    """Message and advice are those of the check, and a sound bundle has none."""
    vetting_process.require_sound(bundle, "openvino")
    (bundle.folder / "openvino" / "model.bin").write_bytes(b"other weights")
    with pytest.raises(ConfigFault, match=r"model\.bin is not the file.* Restore the bundle's folder"):
        vetting_process.require_whole(bundle)
    (bundle.folder / "bundle.json").write_text("[]")
    with pytest.raises(ConfigFault, match="not a JSON object"):
        vetting_process.require_whole(bundle)


def test_a_check_knows_no_secret_of_the_installation(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that loads a model has no variable with the installation's settings."""
    (tmp_path / "openvino.py").write_text(
        "import os; raise RuntimeError([name for name in os.environ if name.startswith('RETURNS')])"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PROJECT_ROOT)]))
    monkeypatch.setenv("RETURNS_DATABASE_URL", "postgresql://a:secret@b/c")
    with pytest.raises(ConfigFault, match=r"RuntimeError\(\[\]\)"):
        vetting_process.require_sound(bundle, "openvino")


def test_the_caller_loads_nothing(bundle: Bundle) -> None:
    """A process that has a bundle checked has neither OpenVINO nor Keras in its memory."""
    script = (
        "import sys; from pathlib import Path\n"
        "from returns_pipeline.classify import vetting_process\n"
        "from returns_pipeline.classify.bundle import load_bundle\n"
        "vetting_process.require_sound(load_bundle(Path(sys.argv[1])), 'auto')\n"
        "maps = Path('/proc/self/maps').read_text()\n"
        "print([name for name in ('openvino', 'keras', 'tensorflow', 'h5py') if name in sys.modules"
        " or f'lib{name}' in maps])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script, bundle.folder], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
