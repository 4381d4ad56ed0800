"""Codes that were read in photos."""

from collections.abc import Sequence

import sqlalchemy as sa

from returns_pipeline.records.codes import Code
from returns_pipeline.records.images import Outcome
from returns_pipeline.store import bulk
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import image_codes

_COLUMNS = ("image_id", "format", "text")


def add(connection: sa.Connection, outcomes: Sequence[Outcome]) -> None:
    """Add the codes in photos; without codes, no statement is sent. A second write changes nothing."""
    rows = [(outcome.image_id, str(code.format), code.text) for outcome in outcomes for code in outcome.codes]
    bulk.insert(connection, image_codes, _COLUMNS, rows)


def of_images(db: Database, images: Sequence[int]) -> dict[int, tuple[Code, ...]]:
    """Return the codes in photos, without their corners, by the image's id; only of images with codes.

    `images` are at most 10,000 ids.
    """
    query = (
        sa.select(image_codes.c.image_id, image_codes.c.text, image_codes.c.format)
        .where(image_codes.c.image_id.in_(images))
        .order_by(image_codes.c.image_id, image_codes.c.format, image_codes.c.text)
    )
    found: dict[int, tuple[Code, ...]] = {}
    with db.read() as connection:
        for row in connection.execute(query):
            found[row.image_id] = (*found.get(row.image_id, ()), Code(row.text, row.format))
    return found


def images_with(db: Database, text: str, most: int = 100) -> list[int]:
    """Return the images whose photo shows a code with this text, newest first."""
    query = sa.select(image_codes.c.image_id).where(image_codes.c.text == text)
    with db.read() as connection:
        return list(connection.execute(query.order_by(image_codes.c.image_id.desc()).limit(most)).scalars())
