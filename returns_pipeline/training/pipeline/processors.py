"""The labels that a bundle predicts on other processors: oneDNN is told to use fewer instructions.

oneDNN reads its limit once, so each prediction is a process of its own. This module is that process too.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.child_limits import environment_without_settings
from returns_pipeline.classify.bundle import Bundle, load_bundle
from returns_pipeline.classify.runtimes.openvino_runtime import OpenVINOClassifier
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: oneDNN's names of instruction sets without VNNI: of processors since 2013, and of servers since 2017.
WITHOUT_VNNI = ("AVX2", "AVX512_CORE")
_LIMIT = "ONEDNN_MAX_CPU_ISA"
_LONGEST_REASON = 500


def probabilities_of(bundle: Bundle, pixels: "NDArray[np.uint8]") -> "NDArray[np.float32]":
    """Return what the OpenVINO export predicts with all cores: float32 [n, labels], not calibrated.

    `pixels` uint8 [n, h, w, c].
    """
    threads = len(os.sched_getaffinity(0))
    return OpenVINOClassifier(bundle, threads).predict(pixels).probabilities


def labels_with(instructions: str, bundle: Bundle, pixels: "NDArray[np.uint8]") -> "NDArray[np.int64]":
    """Return the labels, int64 [n], that a processor predicts that has no more than these instructions.

    Raises ConfigFault if the process fails.
    """
    with tempfile.TemporaryDirectory(dir=bundle.folder.parent) as folder:
        given, made = Path(folder) / "pixels.npy", Path(folder) / "labels.npy"
        np.save(given, pixels)
        command = [sys.executable, "-m", __name__, str(bundle.folder), str(given), str(made)]
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command,
            env=environment_without_settings() | {_LIMIT: instructions},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ConfigFault(
                "The int8 export does not run with the instructions {instructions}: {reason}.",
                instructions=instructions,
                reason=printable(done.stderr[-_LONGEST_REASON:].strip()),
            )
        labels: NDArray[np.int64] = np.load(made)
        return labels


def main(folder: str, given: str, made: str) -> None:
    """Write the labels of the pixels in the file `given` to the file `made`."""
    bundle = load_bundle(Path(folder), placed=False)
    np.save(made, probabilities_of(bundle, np.load(given)).argmax(axis=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
