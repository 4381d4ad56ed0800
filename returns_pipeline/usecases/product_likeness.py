"""How much photos look like the expected product, compared with the most similar other one."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from returns_pipeline.records.embedding import SimilarProduct
from returns_pipeline.vectors.nearest import unit
from returns_pipeline.verdicts.products import margin_of

#: Returns the products nearest to a vector int8 [d] as bytes, each once, the nearest first: at most so many.
Nearest = Callable[[bytes, int], Sequence[SimilarProduct]]


class Likeness(NamedTuple):
    """The photo that looks most like the expected product, compared with the others. `photo` is its place.

    `picture` is the expected product's most similar picture, `other` the most similar other product.
    """

    photo: int
    picture: int
    cosine: float
    other: SimilarProduct

    @property
    def margin(self) -> float:
        """How much more the photo looks like the expected product."""
        return margin_of(self.cosine, self.other.cosine)


def likeness(
    photos: Sequence[bytes], product: int, pictures: Sequence[tuple[int, bytes]], nearest: Nearest
) -> Likeness | None:
    """Compare the vectors of photos with those of the pictures of one product, and with all other products.

    Of several photos the one counts that speaks most for the product. None without photos, pictures or other
    products.
    """
    if not photos or not pictures:
        return None
    own = unit(np.stack([np.frombuffer(vector, np.int8) for _, vector in pictures]))
    found = []
    for place, vector in enumerate(photos):
        cosines = own @ unit(np.frombuffer(vector, np.int8)[None])[0]
        best = int(cosines.argmax())
        # A product with many pictures may have all the nearest ones.
        near = nearest(vector, 2 + len(pictures) // 4)
        other = next((each for each in near if each.product != product), None)
        if other is not None:
            found.append(Likeness(place, pictures[best][0], min(float(cosines[best]), 1.0), other))
    return max(found, key=lambda each: each.margin, default=None)
