"""The pictures of products: which one stands where. What workers make of them is not of this module."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from returns_pipeline.records.catalogue import PictureState, ProductImage
from returns_pipeline.store import bulk, product_comparisons
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import escape_path, product_images, product_vectors

#: The columns of a `ProductImage`, in the order of its fields.
COLUMNS = tuple(product_images.c[name] for name in ProductImage._fields)
_NEW = str(PictureState.NEW)

#: Folder and address.
Place = tuple[str | None, str]


def of_products(db: Database, products: Sequence[int]) -> dict[int, list[ProductImage]]:
    """Return the pictures of some products in their order, by the id of the product."""
    found: dict[int, list[ProductImage]] = {product: [] for product in products}
    image = product_images.c
    with db.read() as connection:
        for part in bulk.parts(products):
            query = sa.select(*COLUMNS).where(image.product.in_(part)).order_by(image.product, image.position)
            for row in connection.execute(query):
                made = ProductImage._make(row)
                found[made.product].append(made._replace(state=PictureState(made.state)))
    return found


def find(db: Database, image_id: int) -> ProductImage | None:
    """Return one picture, or None."""
    with db.read() as connection:
        row = connection.execute(sa.select(*COLUMNS).where(product_images.c.id == image_id)).one_or_none()
    return ProductImage._make(row) if row else None


def counts(connection: sa.Connection) -> dict[PictureState, int]:
    """Return how many pictures there are in each state."""
    state = product_images.c.state
    found: dict[PictureState, int] = dict.fromkeys(PictureState.written(), 0)  # type: ignore[arg-type]
    for each, total in connection.execute(sa.select(state, sa.func.count()).group_by(state)):
        found[PictureState(each)] = total
    return found


def place(
    connection: sa.Connection, wanted: Mapping[int, Sequence[Place]], new: Iterable[int] = ()
) -> set[int]:
    """Give products these pictures, in this order; return the products whose pictures have changed.

    `new` are products that have none yet. A picture whose place has changed is `new` again; its row and its
    digest stay, so that a worker can tell that its content is the same.
    """
    rows: list[bulk.Row] = []
    moved: list[bulk.Row] = []
    gone: list[int] = []
    changed: set[int] = set()
    stored = _stored(connection, sorted(wanted.keys() - set(new)))
    for product, places in wanted.items():
        known = stored.get(product, {})
        for position, (folder, address) in enumerate(places):
            row_id, before = known.pop(position, (0, None))
            if not row_id:
                rows.append((product, position, _escaped(folder), escape_path(address), _NEW))
                changed.add(product)
            elif before != (folder, address):
                moved.append((_escaped(folder), escape_path(address), _NEW, None, row_id))
                changed.add(product)
        if known:
            changed.add(product)
        gone += [row_id for row_id, _ in known.values()]
    for part in bulk.parts(gone):
        product_comparisons.queue_of_pictures(connection, part)
        vectors = product_vectors.c.product_image_id.in_(part)
        connection.execute(sa.delete(product_vectors).where(vectors))
        connection.execute(sa.delete(product_images).where(product_images.c.id.in_(part)))
    bulk.update(connection, product_images, ("folder", "address", "state", "reason", "id"), moved)
    bulk.add(connection, product_images, ("product", "position", "folder", "address", "state"), rows)
    return changed


def _stored(connection: sa.Connection, products: Sequence[int]) -> dict[int, dict[int, tuple[int, Place]]]:
    """Return the rows of the pictures of products with their places, by product and position."""
    image = product_images.c
    found: dict[int, dict[int, tuple[int, Place]]] = {}
    for part in bulk.parts(products):
        query = sa.select(image.product, image.position, image.id, image.folder, image.address)
        for product, position, row_id, folder, address in connection.execute(
            query.where(image.product.in_(part))
        ):
            found.setdefault(product, {})[position] = row_id, (folder, address)
    return found


def _escaped(folder: str | None) -> str | None:
    return None if folder is None else escape_path(folder)
