"""Cursors: where the next page of a list begins, as text that stands in an address."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, TypeGuard

from returns_pipeline.errors import RefusedError
from returns_pipeline.languages import N_
from returns_pipeline.records.audit import AuditPlace
from returns_pipeline.store.browsing import Cursor, Order
from returns_pipeline.web.queries.lookups import IMAGE_ID_END, RUN_ID_END

_ADVICE = N_("Send the `next` of the page before.")


def pack(cursor: object) -> str | None:
    """Return a cursor as text; None stays None."""
    if cursor is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode().rstrip("=")


def run_cursor(text: str | None) -> int | None:
    """Return the last run of the page before. Raises RefusedError for text that `pack` did not write.

    A cursor of another list begins at the newest run.
    """
    value = unpack(text)
    return value if _is_whole(value) and 0 < value < RUN_ID_END else None


def notice_cursor(text: str | None) -> int | None:
    """Return the last notice of the page before, as `run_cursor` does for runs."""
    value = unpack(text)
    return value if _is_whole(value) and 0 < value < IMAGE_ID_END else None


def product_cursor(text: str | None) -> int | None:
    """Return the last product of the page before, as `run_cursor` does for runs."""
    return notice_cursor(text)


def image_cursor(text: str | None, order: Order) -> Cursor | None:
    """Return where the page before ended. Raises RefusedError for text that is no cursor of this order."""
    value = unpack(text)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not _fits(value[0], value[1], order):
        raise RefusedError("This is not a cursor of this order.", _ADVICE)
    return value[0], value[1]


def pack_audit(place: AuditPlace) -> str:
    """Return a place in the audit log as text."""
    return pack([place.at.isoformat(), place.is_review, place.id]) or ""


def audit_cursor(text: str | None) -> AuditPlace | None:
    """Return where the page of the audit log before ended. Raises RefusedError for other text."""
    value = unpack(text)
    if value is None:
        return None
    try:
        moment, is_review, number = value
        at = datetime.fromisoformat(moment).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError("This is not a cursor of this list.", _ADVICE) from None
    if not _is_whole(number) or not 0 < number < IMAGE_ID_END:
        raise RefusedError("This is not a cursor of this list.", _ADVICE)
    return AuditPlace(at, bool(is_review), number)


def unpack(text: str | None) -> Any:
    """Return what `pack` wrote. Raises RefusedError for other text."""
    if text is None:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise RefusedError("This is not a cursor.", _ADVICE) from None


def _fits(probability: object, image_id: object, order: Order) -> bool:
    if not _is_whole(image_id) or not 0 <= image_id < IMAGE_ID_END:
        return False
    if order.is_of_ids:
        return probability is None
    return (isinstance(probability, float) or _is_whole(probability)) and 0 <= probability <= 1


def _is_whole(value: object) -> TypeGuard[int]:
    """Whether a value of JSON is a whole number; Python counts `true` as one, databases do not."""
    return isinstance(value, int) and not isinstance(value, bool)
