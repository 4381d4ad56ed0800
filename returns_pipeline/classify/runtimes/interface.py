"""The interfaces of a runtime: a program that runs one kind of a bundle's exports."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.records.predictions import GradCamMap, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Classifier(Protocol):
    """A loaded model, preprocessing included. `batch`: the number of images that it processes fastest."""

    batch: int

    def predict(self, pixels: "NDArray[np.uint8]") -> Scores:
        """Return the scores of a batch: `pixels` uint8 [n, h, w, c], n may be 0."""
        ...


class Explainer(Protocol):
    """Explains a model's predictions."""

    def gradcam(self, pixels: "NDArray[np.uint8]", label: int) -> GradCamMap:
        """Return the Grad-CAM map of one image, `pixels` uint8 [h, w, c], for the index of a label."""
        ...


@runtime_checkable
class Explainable(Protocol):
    """The optional ability of a Classifier to explain its predictions. See registry.explainer_of."""

    def explainer(self) -> Explainer | None:
        """Return the explainer; None if this network cannot be explained."""
        ...


class Runtime(Protocol):
    """One runtime. Its module defines one as RUNTIME and imports heavy packages in `load` only."""

    def has_export(self, bundle: Bundle) -> bool:
        """Whether the bundle lists the files that this runtime runs."""
        ...

    def require_safe(self, bundle: Bundle) -> None:
        """Raise ConfigFault if the export contains code of its own, or cannot be read."""
        ...

    def require_proven(self, bundle: Bundle) -> None:
        """Raise ConfigFault unless the bundle records what must be proven before its export may classify."""
        ...

    def load(self, bundle: Bundle, *, threads: int, mixed: bool) -> Classifier:
        """Load the export in this process.

        `threads`: CPU threads to compute with. `mixed`: float16 may be tried. A runtime ignores what it does
        not have. Raises ConfigFault if files are missing, changed, or do not fit bundle.json.
        """
        ...
