"""How familiar a photo is to a model: the share of its validation photos that are stranger.

The strangeness of a photo is measured in its features x, the means of the network's last feature map. With
their mean g over all training photos, z = (x - g) `axes`, the directions in which training photos vary most,
and y = z `whitening`, which makes the covariance within the classes the identity:

    strangeness = min over classes c of |y - means[c]|^2 - |z / deviations|^2
                  + (|x - g|^2 - |z|^2) / remainder

The first two terms are the relative Mahalanobis distance: how much farther a photo is from the nearest
class than a photo of any class (Ren, Fort, Liu, Roy, Padhy, Lakshminarayanan, "A Simple Fix to Mahalanobis
Distance for Improving Near-OOD Detection", arXiv:2106.09022, 2021). The third is what the directions do not
explain, as in Wang, Li, Feng, Zhang, "ViM: Out-Of-Distribution with Virtual-logit Matching", CVPR 2022.

A bundle has these numbers in the file `familiarity.bin`, and their shape in bundle.json.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.classify.reading import open_file
from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.models import FamiliarityShape
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from returns_pipeline.classify.bundle import Bundle

FAMILIARITY = "familiarity.bin"
#: Most bytes of the file.
MOST_BYTES = 1024 * 1024
#: Most validation photos whose strangeness the file has; of more, it has evenly spread ranks.
MOST_PHOTOS = 4_096
_NUMBER = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Familiarity:
    """What the training photos of a model look like; all arrays are float32. See the module's docstring.

    `center` [f], `axes` [f, k] orthonormal, `deviations` [k] and `remainder` above 0, `whitening` [k, k],
    `means` [labels, k]. `strangeness` [v] are the distances of validation photos, ascending.
    """

    center: "NDArray[np.float32]"
    axes: "NDArray[np.float32]"
    deviations: "NDArray[np.float32]"
    whitening: "NDArray[np.float32]"
    means: "NDArray[np.float32]"
    remainder: float
    strangeness: "NDArray[np.float32]"

    def strangeness_of(self, features: "NDArray[np.floating]") -> "NDArray[np.float64]":
        """Return the strangeness [n] of features [n, f]. Runtimes compute the same inside of the network."""
        off = features.astype(np.float64) - self.center
        along = off @ self.axes
        whitened = along @ self.whitening
        norms = np.square(self.means.astype(np.float64)).sum(axis=1)
        nearest = (norms - 2 * whitened @ self.means.T).min(axis=1)
        within = nearest + np.square(whitened).sum(axis=1) - np.square(along / self.deviations).sum(axis=1)
        beside = np.maximum(np.square(off).sum(axis=1) - np.square(along).sum(axis=1), 0)
        found: NDArray[np.float64] = within + beside / self.remainder
        return found

    def of(self, strangeness: "NDArray[np.float32]") -> "NDArray[np.float64]":
        """Return the share of validation photos that are stranger than each photo: [n], 0 to 1."""
        places = np.searchsorted(self.strangeness, strangeness, side="right")
        shares: NDArray[np.float64] = 1 - places / len(self.strangeness)
        return shares

    def save(self, folder: "Path") -> FamiliarityShape:
        """Write the file into a bundle's folder; return what bundle.json has of it."""
        remainder = np.array([self.remainder])
        known = (self.center, self.axes, self.deviations, self.whitening, self.means)
        arrays = (*known, remainder, self.strangeness)
        content = b"".join(each.astype(_NUMBER).tobytes() for each in arrays)
        draft = folder / f".{FAMILIARITY}"
        draft.write_bytes(content)
        draft.replace(folder / FAMILIARITY)
        features, rank = self.axes.shape
        return FamiliarityShape(features, rank, len(self.strangeness), hashlib.sha256(content).hexdigest())


def numbers_of(features: int, rank: int, labels: int, photos: int) -> int:
    """Return how many numbers the file has."""
    return features + features * rank + rank + rank * rank + labels * rank + 1 + photos


def load(bundle: "Bundle") -> Familiarity | None:
    """Return what the training photos of a bundle look like; None if the bundle does not say.

    Raises ConfigFault if the file is missing or changed, or has other numbers than it must.
    """
    shape = bundle.familiarity
    if shape is None:
        return None
    content = _content(bundle, shape)
    labels = len(bundle.labels)
    wanted = numbers_of(shape.features, shape.rank, labels, shape.photos)
    if len(content) != wanted * _NUMBER.itemsize:
        raise _wrong(bundle, f"it has {len(content):,} bytes instead of {wanted * _NUMBER.itemsize:,}")
    numbers = np.frombuffer(content, _NUMBER).astype(np.float32)
    if not np.isfinite(numbers).all():
        raise _wrong(bundle, "it has numbers that are not finite")
    shapes = (
        (shape.features,),
        (shape.features, shape.rank),
        (shape.rank,),
        (shape.rank, shape.rank),
        (labels, shape.rank),
        (1,),
        (shape.photos,),
    )
    ends = np.cumsum([int(np.prod(each)) for each in shapes])[:-1]
    arrays = [part.reshape(each) for part, each in zip(np.split(numbers, ends), shapes, strict=True)]
    center, axes, deviations, whitening, means, remainder, strangeness = arrays
    if not (remainder[0] > 0 and (deviations > 0).all()):
        raise _wrong(bundle, "a deviation or the remainder is not above 0")
    if (np.diff(strangeness) < 0).any():
        raise _wrong(bundle, "the distances of its validation photos do not ascend")
    return Familiarity(center, axes, deviations, whitening, means, float(remainder[0]), strangeness)


def _content(bundle: "Bundle", shape: FamiliarityShape) -> bytes:
    path = bundle.folder / FAMILIARITY
    try:
        with open_file(path, MOST_BYTES) as stream:
            content = stream.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _wrong(bundle, f"it cannot be read: {reason}") from error
    if hashlib.sha256(content).hexdigest() != shape.sha256:
        raise _wrong(bundle, "it is not the file that bundle.json names (sha256 differs)")
    return content


def _wrong(bundle: "Bundle", reason: str) -> ConfigFault:
    return ConfigFault(
        "{path} of the bundle {bundle_ref} cannot be used: {reason}.",
        "Restore the bundle's folder, or write the file again: `returns-pipeline models familiarity`.",
        path=printable(bundle.folder / FAMILIARITY),
        bundle_ref=bundle.ref,
        reason=reason,
    )
