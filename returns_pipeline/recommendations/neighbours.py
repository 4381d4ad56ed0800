"""Which products the same customers keep: item-to-item collaborative filtering by the library implicit."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from returns_pipeline.errors import ConfigFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most neighbours of a product.
MOST_NEIGHBOURS = 20
#: Customers that two products must have in common: one may be chance.
FEWEST_TOGETHER = 2
#: Common customers at which the similarity is halved (significance weighting: Herlocker et al., SIGIR 1999).
_HALVED_AT = 2.0


def neighbours_of(kept: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return the most similar products of each product, from pairs of customer and kept product.

    The similarity is the cosine of the sets of their customers (Linden, Smith and York, IEEE Internet
    Computing 2003) times n / (n + 2), where n customers kept both. Raises ConfigFault without implicit.
    """
    customers: dict[str, int] = {}
    products: dict[str, int] = {}
    pairs = sorted(
        {
            (customers.setdefault(customer, len(customers)), products.setdefault(product, len(products)))
            for customer, product in kept
        }
    )
    if not pairs:
        return {}
    names = list(products)
    places = np.array(pairs)
    counts = np.bincount(places[:, 1], minlength=len(names))
    similarity = _similarity(places, (len(customers), len(names)))
    found: dict[str, dict[str, float]] = {}
    for row, name in enumerate(names):
        start, end = similarity.indptr[row : row + 2]
        of_product: list[tuple[float, str]] = []
        for column, cosine in zip(similarity.indices[start:end], similarity.data[start:end], strict=True):
            common = round(float(cosine) * float(np.sqrt(counts[row] * counts[column])))
            if column != row and common >= FEWEST_TOGETHER:
                of_product.append((float(cosine) * common / (common + _HALVED_AT), names[column]))
        if of_product:
            best = sorted(of_product, key=lambda each: (-each[0], each[1]))[:MOST_NEIGHBOURS]
            found[name] = {other: value for value, other in best}
    return found


def _similarity(places: "NDArray[Any]", shape: tuple[int, int]) -> Any:
    """Return the cosines of the columns of a matrix of customers by products: sparse [products, products]."""
    try:
        from implicit.nearest_neighbours import CosineRecommender
        from scipy.sparse import csr_matrix
    except ImportError as error:
        raise ConfigFault(
            "The library implicit is not installed: {reason}.",
            "Install it with `pip install -r requirements-recommend.txt`.",
            reason=str(error),
        ) from error
    matrix = csr_matrix((np.ones(len(places)), (places[:, 0], places[:, 1])), shape=shape)
    # Pairs of few customers have large cosines and take places, so more are computed than are kept.
    model = CosineRecommender(K=5 * MOST_NEIGHBOURS, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about its own matrix
        model.fit(matrix, show_progress=False)
    return model.similarity
