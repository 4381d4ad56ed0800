"""Rows of returns for tests: written to the tables as imports, photos and verdicts do."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.records.verdicts import VerdictKind, VerdictReason
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.store.tables import image_matches, images, returns

#: A verdict of each kind, with its reason and the category that was found.
VERDICTS: Sequence[tuple[VerdictKind | None, VerdictReason | None, float | None, str]] = (
    (VerdictKind.MATCH, VerdictReason.PROBABLE, 0.991, "dark"),
    (VerdictKind.MISMATCH, VerdictReason.PROBABLE, 0.987, "white"),
    (VerdictKind.REUSED_PHOTO, VerdictReason.SEEN_BEFORE, None, "dark"),
    (VerdictKind.UNEXPECTED, VerdictReason.NOT_ANNOUNCED, None, "dim"),
    (VerdictKind.UNREADABLE, VerdictReason.NOTHING_READABLE, None, ""),
    (VerdictKind.UNSURE, VerdictReason.PROBABLE, 0.41, "dim"),
    (VerdictKind.NO_PHOTO, VerdictReason.NOTHING_CAME, None, ""),
    (None, None, None, ""),
)


def add_returns(db: Database, count: int, *, photos: Sequence[int] = ()) -> None:
    """Insert returns R-0001 to R-COUNT, whose verdicts are those of VERDICTS in turn.

    Each photo of `photos` belongs to the next return that has a photo. Every fifth return has the customer
    C-0, and the days of the announcements go back from 2026-11-25.
    """
    now = utc_now()
    rows: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        kind, reason, sureness, found = VERDICTS[(number - 1) % len(VERDICTS)]
        announced = kind is not VerdictKind.UNEXPECTED
        rows.append(
            {
                "id": number,
                "number": f"R-{number:04}",
                "order_number": f"ORD{number % 97:03}" if announced else None,
                "expected_label": "dark" if announced else None,
                "title": "Linen shirt" if announced else None,
                "customer": f"C-{number % 5}" if announced else None,
                "announced_on": date(2026, 11, 25) - timedelta(days=number % 30) if announced else None,
                "source": "manifest.csv",
                "created_at": now,
                "changed_at": now,
                "verdict": kind,
                "verdict_reason": reason,
                "sureness": sureness,
                "verdict_detail": {"expected": "dark", "found": found, "photos": 1, "measured": True}
                if kind
                else sa.null(),
                "verdict_at": now if kind else None,
            }
        )
    with db.write() as connection:
        for row in rows:
            connection.execute(sa.insert(returns).values(row))
        with_photo = [row["id"] for row in rows if row["verdict"] not in {None, VerdictKind.NO_PHOTO}]
        for image_id, return_id in zip(photos, with_photo, strict=False):
            link = {"return_id": return_id, "return_source": "code"}
            connection.execute(sa.update(images).where(images.c.id == image_id).values(link))


def add_match(db: Database, image_id: int, earlier_id: int) -> None:
    """Insert a match of two photos: the later one is mirrored and cropped."""
    found = {"image_id": image_id, "earlier_id": earlier_id, "matched_at": utc_now()}
    with db.write() as connection:
        connection.execute(
            sa.insert(image_matches).values(**found, kind="near", distance=0.3, changes="mirrored,cropped")
        )
