"""The products of a catalogue's files with a picture and their attributes, to judge and to train a space."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from returns_pipeline.catalogue.checking import CheckedProduct, Checker
from returns_pipeline.catalogue.columns import name_key
from returns_pipeline.catalogue.pictures import read_picture
from returns_pipeline.catalogue.reading import files_of, open_catalogue, pictures_beside
from returns_pipeline.errors import ImageFault, RefusedError
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.decoding.bytes_to_pixels import decode
from returns_pipeline.records.catalogue import RefusedProduct
from returns_pipeline.records.models import ImageInput
from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pictures whose pixels are held at once.
_TOGETHER = 64


class LabelledProduct(NamedTuple):
    """A product with its first picture. `values` are its texts by the key of their column's name."""

    product_id: str
    folder: str
    address: str
    values: dict[str, str]


class Catalogue(NamedTuple):
    """The products that have a picture file, and how many others the files have."""

    products: list[LabelledProduct]
    others: int


def read_catalogue(path: Path) -> Catalogue:
    """Return the products of a file or a folder. Of lines with the same id, the first counts.

    Raises RefusedError if a file cannot be read, or no product has a picture.
    """
    found: dict[str, LabelledProduct] = {}
    others = 0
    for file in files_of(path):
        folder = file.resolve().parent
        pictures = pictures_beside(file.parent) if path.is_dir() else {}
        checker = Checker((folder,), None, pictures)
        for line in open_catalogue(file, {}, (folder,)).lines:
            checked = line if isinstance(line, RefusedProduct) else checker.check(file.name, line)
            product = None if isinstance(checked, RefusedProduct) else _labelled(checked)
            if product is None:
                others += 1
            else:
                found.setdefault(product.product_id, product)
    if not found:
        raise RefusedError(
            "No product of {path} has a picture.",
            "The files need a column `image` of paths below their folder, or a folder `images` with ID.jpg.",
            path=printable(path),
        )
    return Catalogue(list(found.values()), others)


def _labelled(checked: CheckedProduct) -> LabelledProduct | None:
    local = [picture for picture in checked.pictures or () if picture.folder is not None]
    if not local:
        return None
    folder, address = local[0]
    named = {**checked.fields, **checked.attributes}
    values = {name_key(name): str(value) for name, value in named.items() if value not in (None, "", [])}
    return LabelledProduct(checked.product_id, str(folder), address, values)


def values_of(products: Sequence[LabelledProduct], name: str) -> list[str]:
    """Return the value of an attribute of each product, empty if it has none.

    `article_type`, `articleType` and `article type` are the same name. Raises RefusedError if no product has
    the attribute.
    """
    key = name_key(name)
    found = [product.values.get(key, "") for product in products]
    if not any(found):
        known = sorted({each for product in products for each in product.values})
        raise RefusedError(
            "No product has the attribute {name}.",
            "The products have: {known}.",
            name=printable(name),
            known=", ".join(printable(each) for each in known[:50]),
        )
    return found


def pixels_of(
    products: Sequence[LabelledProduct],
    want: ImageInput,
    limits: Limits,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[list[int], list[str], "NDArray[np.uint8]"]]:
    """Yield places of products, the sha256 and the pixels uint8 [n, h, w, 3] of their pictures.

    A picture that cannot be read or decoded is left out.
    """
    for start in range(0, len(products), _TOGETHER):
        places: list[int] = []
        digests: list[str] = []
        pixels: list[NDArray[np.uint8]] = []
        for place, product in enumerate(products[start : start + _TOGETHER], start):
            try:
                data = read_picture(product.folder, product.address, limits.max_bytes)
                pixels.append(decode(data, want, limits).pixels)
            except ImageFault:
                continue
            places.append(place)
            digests.append(hashlib.sha256(data).hexdigest())
        if places:
            yield places, digests, np.stack(pixels)
        on_progress(min(start + _TOGETHER, len(products)))
