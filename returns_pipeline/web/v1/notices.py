"""Notices: what was told to the outside world, and what could not be delivered."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from returns_pipeline.records.notices import Delivery, NoticeKind, StoredNotice
from returns_pipeline.records.text import pathless
from returns_pipeline.store import outbox
from returns_pipeline.web.dependencies import Db, Viewer
from returns_pipeline.web.queries.cursors import notice_cursor, pack

router = APIRouter(tags=["notices"])


class NoticeDelivery(BaseModel):
    """One delivery of a notice. `channel` is `webhook` or the scheme of an Apprise address."""

    model_config = ConfigDict(frozen=True)

    channel: str
    attempts: int
    next_attempt_at: datetime | None = Field(description="null if it is delivered or given up.")
    delivered_at: datetime | None
    given_up_at: datetime | None
    error: str | None = Field(description="What the last attempt met.")

    @classmethod
    def of(cls, delivery: Delivery) -> "NoticeDelivery":
        """Return a delivery without its address."""
        is_over = delivery.delivered_at or delivery.given_up_at
        return cls(
            channel=delivery.recipient.channel,
            attempts=delivery.attempts,
            next_attempt_at=None if is_over else delivery.next_attempt_at,
            delivered_at=delivery.delivered_at,
            given_up_at=delivery.given_up_at,
            error=delivery.error,
        )


class Notice(BaseModel):
    """One notice; `id` is the `webhook-id` of its webhooks. `data` has the fields of its type."""

    model_config = ConfigDict(frozen=True)

    id: str
    type: NoticeKind
    at: datetime
    text: str
    data: dict[str, Any]
    deliveries: list[NoticeDelivery]

    @classmethod
    def of(cls, notice: StoredNotice, deliveries: list[Delivery]) -> "Notice":
        """Return a notice without the server's folders."""
        data = {name: pathless(each) if isinstance(each, str) else each for name, each in notice.data.items()}
        return cls(
            id=notice.uid,
            type=notice.kind,
            at=notice.created_at,
            text=pathless(notice.text),
            data=data,
            deliveries=[NoticeDelivery.of(each) for each in deliveries],
        )


class Notices(BaseModel):
    """A page of notices; `next` is the cursor of the next page."""

    model_config = ConfigDict(frozen=True)

    notices: list[Notice]
    next: str | None


@router.get("/notices", summary="The notices of the last 30 days")
def list_notices(
    db: Db,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
) -> Notices:
    """Return a page of notices, newest first, also those that no address gets."""
    found = outbox.latest(db, limit + 1, notice_cursor(cursor))
    shown = found[:limit]
    return Notices(
        notices=[Notice.of(*each) for each in shown],
        next=pack(shown[-1][0].id) if len(found) > limit else None,
    )
