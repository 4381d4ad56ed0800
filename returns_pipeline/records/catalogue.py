"""The catalogue: what the shop sells, the pictures of it, and the imports that said so."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from returns_pipeline.records.stored_enum import StoredEnum

#: Most characters of the shop's id of a product.
MOST_OF_ID = 100
#: Between the parts of a category's path, like `Apparel/Topwear/Tshirts`.
PATH_SEPARATOR = "/"

#: The value of an attribute. A list has texts and numbers only.
AttributeValue: TypeAlias = str | int | float | bool | list[str | int | float | bool]
Attributes: TypeAlias = Mapping[str, AttributeValue]


class PictureState(StoredEnum):
    """What became of a product's picture. `new`: no worker has looked at it yet."""

    NEW = "new"
    EMBEDDED = "embedded"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


class SpaceState(StoredEnum):
    """Whether an embedding space is used. `building`: its vectors are not complete yet."""

    BUILDING = "building"
    ACTIVE = "active"
    RETIRED = "retired"
    UNKNOWN = "unknown"


class ProductState(StoredEnum):
    """Whether the shop still sells a product."""

    LISTED = "listed"
    DISCONTINUED = "discontinued"
    UNKNOWN = "unknown"


class Product(NamedTuple):
    """A row of `products`. `product_id` is the shop's id; `stock` is None if it is not known."""

    id: int
    product_id: str
    title: str | None
    brand: str | None
    category: str | None
    price: Decimal | None
    currency: str | None
    rating: float | None
    ratings: int | None
    stock: int | None
    description: str | None
    attributes: Attributes
    discontinued_at: datetime | None
    created_at: datetime
    changed_at: datetime

    @property
    def state(self) -> ProductState:
        """Whether the shop still sells it."""
        return ProductState.LISTED if self.discontinued_at is None else ProductState.DISCONTINUED


class ProductImage(NamedTuple):
    """A row of `product_images`. `folder` is None if `address` is one of the web, else the file's folder."""

    id: int
    product: int
    position: int
    folder: str | None
    address: str
    sha256: str | None
    state: PictureState
    reason: str | None


class RemovedProduct(NamedTuple):
    """A product that a person has removed from the catalogue."""

    product_id: str
    removed_at: datetime
    removed_by: str


class CatalogueCounts(NamedTuple):
    """The lines of an import. `lines` is the sum of the following four; `discontinued` counts products."""

    lines: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    discontinued: int = 0

    def plus(self, other: "CatalogueCounts") -> "CatalogueCounts":
        """Return the sum, field by field."""
        return CatalogueCounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class CatalogueImport(NamedTuple):
    """An import. `finished_at` is None while it runs, or if its process was killed."""

    id: int
    at: datetime
    finished_at: datetime | None
    who: str
    source: str
    is_complete: bool
    counts: CatalogueCounts
    error: str | None


class RefusedProduct(NamedTuple):
    """A line that was not taken. `line` counts from 1, a header included; `product_id` may be empty."""

    source: str
    line: int
    product_id: str
    reason: str


class CatalogueSummary(NamedTuple):
    """What the catalogue has: products, and pictures by their state."""

    listed: int
    discontinued: int
    pictures: Mapping[PictureState, int]
    imports: Sequence[CatalogueImport]


def product_id_of(text: str) -> str | None:
    """Return the shop's id of a product as it is stored; None if the text cannot be one.

    Blanks around it are removed, and characters get their composed form (NFC). It has 1 to 100 printable
    characters. Upper and lower case are different ids.
    """
    known = text.strip()
    if not known.isascii():
        known = unicodedata.normalize("NFC", known)
    return known if known and len(known) <= MOST_OF_ID and known.isprintable() else None


class ProductFilter(NamedTuple):
    """A filter for products; None or an empty text means all.

    `q` are beginnings of words; `category` is a path, and finds the paths below it; `state` is a member of
    ProductState. `lowest` and `highest` are prices, both included, in any currency. What is `available` is
    listed and not known to be out of stock.
    """

    q: str = ""
    category: str = ""
    brand: str = ""
    state: str = ""
    lowest: Decimal | None = None
    highest: Decimal | None = None
    available: bool = False


class ProductPage(NamedTuple):
    """A page of a list, and the ids of the rows at its ends; None where there are no more."""

    products: Sequence[Product]
    previous: int | None
    next: int | None
