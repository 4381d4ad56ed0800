"""Notices: what the outside world is told, and how far each delivery is."""

from datetime import datetime
from typing import NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum

#: The data of a notice: plain values of JSON.
Data = dict[str, str | int | float | list[str] | list[int] | list[float] | None]


class NoticeKind(StoredEnum):
    """What happened. The value is the `type` of a webhook and a name of RETURNS_NOTICE_EVENTS."""

    RUN_FINISHED = "run.finished"
    RUN_FAILED = "run.failed"
    NIGHT_LATE = "night.late"
    NIGHT_UNUSUAL = "night.unusual"
    NIGHT_CHANGED = "night.changed"
    INTAKE_EMPTY = "intake.empty"
    WORK_OLD = "work.old"
    IMAGE_CORRECTED = "image.corrected"
    RETURN_VERDICT = "return.verdict"
    RETURN_DECIDED = "return.decided"
    MODEL_RETRAINED = "model.retrained"
    TEST = "test"
    UNKNOWN = "unknown"


#: The kinds that can be chosen, all but the test.
EVENTS = tuple(kind for kind in NoticeKind if kind not in {NoticeKind.TEST, NoticeKind.UNKNOWN})


class Notice(NamedTuple):
    """Something to tell: a sentence for people, and its data for programs.

    `cause` is unique: the same cause is told once.
    """

    cause: str
    kind: NoticeKind
    text: str
    data: Data


class StoredNotice(NamedTuple):
    """A notice with its place in the outbox. `uid` is the id by which a receiver knows a repeat."""

    id: int
    uid: str
    kind: NoticeKind
    created_at: datetime
    text: str
    data: Data


class Recipient(NamedTuple):
    """One address of the settings, without the address.

    `channel` is `webhook` or the scheme of an Apprise address, `target` a digest of the address, `shown` the
    address without what may be secret.
    """

    channel: str
    target: str
    shown: str


class Delivery(NamedTuple):
    """A notice on its way to one address. `attempts` counts the present one too.

    `next_attempt_at` is when it is tried again. At most one of `delivered_at` and `given_up_at` is set.
    """

    id: int
    notice: StoredNotice
    recipient: Recipient
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    error: str | None


class Answer(NamedTuple):
    """What a receiver answered, as a short text. A `final` refusal is not tried again."""

    is_delivered: bool
    text: str
    is_final: bool = False


class DeliveryCounts(NamedTuple):
    """Deliveries that have failed: those that are tried again, and those that were given up."""

    failing: int = 0
    given_up: int = 0
