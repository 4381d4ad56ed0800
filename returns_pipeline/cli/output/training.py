"""What the commands for data, training and evaluation show on a terminal."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TaskID, TimeRemainingColumn
from rich.text import Text

from returns_pipeline.cli.console import print_line
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import Precision
from returns_pipeline.terminal import Terminal, framed_table, plain_column

if TYPE_CHECKING:
    from returns_pipeline.classify.bundle import Bundle


def require_keras() -> None:
    """Raise ConfigFault when a package that training needs is not installed."""
    # TensorFlow's messages at startup would break the progress bars.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Keras' OpenVINO export needs SciPy without declaring it.
    missing = [name for name in ("keras", "matplotlib", "scipy") if find_spec(name) is None]
    if missing:
        raise ConfigFault(
            "Training needs Keras and TensorFlow, but {missing} is not installed.",
            advice="`pip install -r requirements-train.txt`.",
            missing=", ".join(missing),
        )


def require_nncf() -> None:
    """Raise ConfigFault when the package that quantizes is not installed."""
    if find_spec("nncf") is None:
        raise ConfigFault(
            "Quantizing needs NNCF, which is not installed.", "`pip install -r requirements-train.txt`."
        )


class TrainingProgress:
    """Shows the progress of a training: a bar for each stage. Implements `pipeline.recipe.Listener`."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Create the display without any stage, on standard output or on standard error."""
        self._terminal = Terminal(stderr=stderr)
        self._bars = Progress(
            plain_column("{task.description}"),
            BarColumn(),
            plain_column("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self._terminal,
        )
        self._stage: TaskID | None = None

    def __enter__(self) -> Self:
        """Start the display."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the display; the bars stay on the terminal."""
        self._end_stage()
        self._bars.stop()

    def stage(self, name: str) -> None:
        """Start a new bar."""
        self._end_stage()
        self._stage = self._bars.add_task(name, total=None, numbers="")

    def progress(self, done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
        """Update the bar; show the accuracies and the loss of the epoch so far."""
        shown = "  ".join(
            f"{name.replace('_', ' ')} {value:.3f}"
            for name, value in sorted((numbers or {}).items())
            if name == "loss" or name.endswith("accuracy")
        )
        if self._stage is not None:
            self._bars.update(self._stage, completed=done, total=total, numbers=shown)

    def warn(self, sentence: str) -> None:
        """Print a warning above the bars."""
        self._terminal.print_line(Text("Note:", "yellow"), sentence)

    def _end_stage(self) -> None:
        if self._stage is not None:
            task = self._bars.tasks[self._stage]
            # A training may end before its last epoch.
            self._bars.update(self._stage, total=task.completed or 1, completed=task.completed or 1)


def print_bundle(bundle: "Bundle") -> None:
    """Print the metrics of a new bundle and where it is."""
    metrics = bundle.metrics
    table = framed_table(f"{bundle.ref}: {metrics['parameters']:,} parameters")
    for heading in ("data", "images", "accuracy", "main category", "loss"):
        table.add_column(heading, justify="left" if heading == "data" else "right", overflow="fold")
    judged = str(bundle.data.get("judged_on", "held out from training"))
    rows = [(judged, metrics["n"], "")]
    if "official_n" in metrics:
        rows.append(("official test set", metrics["official_n"], "official_"))
    for title, images, prefix in rows:
        main = metrics.get(f"{prefix}main_accuracy")
        table.add_row(
            title,
            f"{images:,}",
            f"{metrics[f'{prefix}accuracy']:.2%}",
            "" if main is None else f"{main:.2%}",
            f"{metrics[f'{prefix}loss']:.4f}",
        )
    Terminal().print_table(table)
    print_line(_agreement(bundle))
    print_line(f"Bundle: {bundle.folder}")
    print_line(f"Report: {bundle.folder / 'report' / 'index.html'}")


def _agreement(bundle: "Bundle") -> str:
    if bundle.precision is Precision.FLOAT32:
        share = bundle.metrics["openvino_agreement"]
        return f"The OpenVINO export predicts the same label as Keras for {share:.2%} of the images."
    share = bundle.metrics["int8_agreement"]
    source = bundle.data["quantized_from"]
    return f"In int8 it predicts the same label as {source} for {share:.2%} of the validation photos."
