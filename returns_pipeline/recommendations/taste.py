"""What a customer likes: by the look of what was kept and returned, and by what others kept as well."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from returns_pipeline.records.recommendations import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What an event counts in the vector of a customer's taste.
EVENT_WEIGHTS: Mapping[EventKind, float] = {
    EventKind.KEPT: 1.0,
    EventKind.VIEWED: 0.2,
    EventKind.RETURNED: -1.0,
    EventKind.UNKNOWN: 0.0,
}

#: {product: {product: similarity between 0 and 1}}
Neighbours = Mapping[str, Mapping[str, float]]


def taste_vector(seen: Iterable[tuple[EventKind, "NDArray[np.float32]"]]) -> "NDArray[np.float32] | None":
    """Return the weighted sum of vectors of products, with length 1; None without a vector.

    It is the relevance feedback of Rocchio (1971): towards what was kept, away from what was returned.
    """
    total: NDArray[np.float32] | None = None
    for kind, vector in seen:
        weighted = np.float32(EVENT_WEIGHTS[kind]) * vector
        total = weighted if total is None else total + weighted
    length = 0.0 if total is None else float(np.linalg.norm(total))
    return None if total is None or length == 0 else (total / length).astype(np.float32)


def together(products: Sequence[str], neighbours: Neighbours) -> dict[str, float]:
    """Return the products that customers kept together with some products, 0 to 1.

    The value is the mean similarity to these products, by the largest of all values: the item-based scoring
    of Sarwar et al. (WWW 2001).
    """
    sums: dict[str, float] = defaultdict(float)
    for product in products:
        for other, similarity in neighbours.get(product, {}).items():
            sums[other] += similarity
    for product in products:
        sums.pop(product, None)
    largest = max(sums.values(), default=0.0)
    return {product: total / largest for product, total in sums.items()} if largest else {}
