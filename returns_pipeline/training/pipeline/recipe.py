"""The request of a training, and the protocols of a recipe and of a progress display."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from returns_pipeline.records.models import Precision
from returns_pipeline.training.labelled.category_names import Names
from returns_pipeline.training.labelled.parts import TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from returns_pipeline.training.pipeline.checkpoints import Checkpoints


#: `--smoke` trains on this many photos of each label.
SMOKE_PHOTOS = 12


@dataclass(frozen=True, slots=True)
class Request:
    """One training: the bundle's name and folder, and the options that all recipes share.

    `command` is the command line that repeats the training. `seed` decides the first weights, the order of
    the images, how they are varied and, for folders that are not divided yet, their division. `smoke` trains
    on a few images. `resume` continues an interrupted training. Without `photos` the report has no photos.
    `names` has for languages, by their codes, what labels and main categories are called there. With the
    `precision` int8, a version in float32 is written, and then one in int8. `checkpoints` is the folder in
    which an unfinished training keeps its weights, by default a hidden one in `models_dir`.
    """

    name: str
    models_dir: Path
    command: str
    seed: int = 0
    smoke: bool = False
    resume: bool = False
    photos: bool = True
    names: Names = field(default_factory=dict)
    precision: Precision = Precision.FLOAT32
    checkpoints: Path | None = None

    @property
    def checkpoint_folder(self) -> Path:
        """The folder in which an unfinished training keeps its weights."""
        return self.checkpoints or self.models_dir / f".training-{self.name}"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network.

    `model` takes uint8 [n, h, w, c] and returns probabilities [n, labels]. `history` has Keras' numbers for
    each epoch, by name; it is empty without epochs. `metrics` are added to those of the bundle. `checkpoints`
    are deleted after publication. `predictions` are the model's for each part except `train`, float32
    [n, labels], if a recipe knows them without Keras.
    """

    model: Any
    history: Mapping[str, Sequence[float]]
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoints: "Checkpoints | None" = None
    predictions: "Mapping[str, NDArray[np.float32]]" = field(default_factory=dict)


class Listener(Protocol):
    """Shows the progress of a training."""

    def stage(self, name: str) -> None:
        """Begin a new stage: reading, decoding, training."""
        ...

    def progress(self, done: int, total: int, numbers: "Mapping[str, float] | None" = None) -> None:
        """Show the progress of the stage, and Keras' numbers so far in the epoch."""
        ...

    def warn(self, sentence: str) -> None:
        """Show a warning."""
        ...


class Recipe(Protocol):
    """A recipe with its options: where its data comes from and how its network is trained."""

    @property
    def name(self) -> str:
        """The recipe's name on the command line and in bundle.json."""
        ...

    def load(self, request: Request, listener: Listener, scratch: Path) -> TrainingData:
        """Return the images. Pixels that do not fit into memory go to `scratch`, which the caller deletes.

        Raises RefusedError or ConfigFault when the data is not available or not fit for training.
        """
        ...

    def fit(self, request: Request, data: TrainingData, listener: Listener) -> Fitted:
        """Train a network on the images."""
        ...

    def metrics(
        self,
        data: TrainingData,
        fitted: Fitted,
        predictions: "Mapping[str, NDArray[np.float32]]",
        temperature: float,
    ) -> dict[str, float]:
        """Return the metrics of bundle.json; `bundle_metrics.standard_metrics` suits most recipes.

        `predictions` are the model's probabilities, float32 [n, labels], before calibration, for each part
        except `train`. `temperature` calibrates them.
        """
        ...
