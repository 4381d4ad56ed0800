"""The properties by which a night is compared with the nights before it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from returns_pipeline.records.accuracy import BANDS


class Property(StrEnum):
    """What is counted of each classified photo of a night."""

    CATEGORY = "category"
    CONFIDENCE = "confidence"
    FAMILIARITY = "familiarity"
    BRIGHTNESS = "brightness"
    PIXELS = "pixels"
    FILE_SIZE = "file_size"
    FORMAT = "format"


#: Where a bin of a property with an order ends and the next one begins: probabilities, shares of training
#: photos that are stranger, mean levels of the picture from 0 to 255, pixels, bytes.
BOUNDS: dict[Property, tuple[float, ...]] = {
    Property.CONFIDENCE: BANDS,
    Property.FAMILIARITY: (0.01, 0.05, 0.2, 0.5),
    Property.BRIGHTNESS: (32, 64, 96, 128, 160, 192, 224),
    Property.PIXELS: (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000),
    Property.FILE_SIZE: (30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
}
#: How many bins each property with an order has.
ORDERED = {name.value: len(bounds) + 1 for name, bounds in BOUNDS.items()}
#: Properties that depend on the version of the model: nights of another version are no reference.
OF_MODEL = frozenset({Property.CATEGORY, Property.CONFIDENCE, Property.FAMILIARITY})


class Change(NamedTuple):
    """A share of a night that is not as usual; shares are from 0 to 1.

    `bin` is the name of a bin, or the number of the first bin that is not below the bound. `chance` is the
    probability of such a difference between nights that are alike. `is_new` is False if the night before was
    different in the same property. `examples` are ids of images that show it.
    """

    property: str
    bin: str
    share: float
    usual: float
    chance: float
    is_new: bool
    examples: Sequence[int] = ()
