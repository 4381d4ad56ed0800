"""The photos that backbones are tried on: the same ones for each, decoded once for each size."""

from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.training.labelled.parts import TrainingData
from returns_pipeline.training.labelled.photo_folders import PhotoFolders, decoded, divide, few_of_each

if TYPE_CHECKING:
    from returns_pipeline.records.models import ImageInput
    from returns_pipeline.training.pipeline.recipe import Listener


class TrialPhotos:
    """Some photos of each label, divided as a training with the same folders and seed divides them.

    The photos that judge a trained model are not among them.
    """

    def __init__(
        self, folders: PhotoFolders, most: int, seed: int, listener: "Listener", scratch: Path
    ) -> None:
        """Check and divide the photos; take about `most` for training, and as many for validation.

        Pixels that do not fit into memory go to `scratch`, which the caller deletes. Raises RefusedError for
        photos that are not fit for training, unless `folders.force` is set.
        """
        self._folders, self._seed, self._listener, self._scratch = folders, seed, listener, scratch
        self._tree, divided = divide(folders, seed, listener)
        of_each = -(-most // len(self._tree.labels.names))
        self._divided = {name: few_of_each(divided[name], of_each) for name in ("train", "validation")}
        self._last: tuple[ImageInput, TrainingData] | None = None

    def of(self, size: "ImageInput") -> TrainingData:
        """Return the photos, decoded to `size`; those of the size before are forgotten."""
        if self._last is None or self._last[0] != size:
            self._last = None
            data = decoded(
                self._folders, self._tree, self._divided, size, self._seed, self._listener, self._scratch
            )
            self._last = size, data
        return self._last[1]
