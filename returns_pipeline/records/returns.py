"""Returns: what a customer announced, and the photos and decisions that follow.

Verdicts and the facts that decide them are in `records.verdicts`.
"""

import unicodedata
from datetime import date, datetime
from typing import Any, NamedTuple

from returns_pipeline.records.stored_enum import StoredEnum
from returns_pipeline.records.verdicts import Expected, ExpectedKind

#: Most characters of a return's number.
MOST_OF_NUMBER = 100


class LinkSource(StoredEnum):
    """How it is known which return a photo belongs to, the strongest first.

    `the_slip`: the photo is the slip itself, which shows a label and no item. `slip`: it came after a slip.
    """

    GIVEN = "given"
    CODE = "code"
    THE_SLIP = "the_slip"
    SLIP = "slip"
    FOLDER = "folder"
    FILE_NAME = "file_name"
    UNKNOWN = "unknown"


class ReturnDecision(StoredEnum):
    """What a person decided about a return."""

    ACCEPT = "accept"
    REJECT = "reject"
    ANOTHER_PHOTO = "another_photo"
    UNKNOWN = "unknown"


class ReturnAction(StoredEnum):
    """What happened to a return. Its first announcement is no event: `created_at` and `source` say it.

    `imported`: a return that a photo had opened was announced. `changed`: its announcement was corrected.
    `confirmed`, `dismissed`: a person decided whether a photo is the same as an earlier one.
    `match_reopened`: that decision was taken back.
    """

    IMPORTED = "imported"
    CHANGED = "changed"
    PHOTO = "photo"
    VERDICT = "verdict"
    DECISION = "decision"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    MATCH_REOPENED = "match_reopened"
    CUSTOMER_DELETED = "customer_deleted"
    UNKNOWN = "unknown"


class Announcement(NamedTuple):
    """What a line of a manifest, or a request, says about a return. The label is in the model's spelling.

    At most one of `expected_label` and `expected_main_label` is set. Without a date, the return counts as
    announced on the day of its first import.
    """

    number: str
    order_number: str | None = None
    expected_label: str | None = None
    expected_main_label: str | None = None
    product: str | None = None
    title: str | None = None
    customer: str | None = None
    announced_on: date | None = None
    note: str | None = None


class Return(NamedTuple):
    """A row of `returns`."""

    id: int
    number: str
    order_number: str | None
    expected_label: str | None
    expected_main_label: str | None
    product: str | None
    title: str | None
    customer: str | None
    customer_removed_at: datetime | None
    announced_on: date | None
    note: str | None
    source: str
    created_at: datetime
    changed_at: datetime
    verdict: str | None
    verdict_reason: str | None
    sureness: float | None
    verdict_detail: dict[str, Any] | None
    verdict_at: datetime | None
    due_at: datetime | None
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None

    @property
    def expected(self) -> Expected | None:
        """What was announced; None if the announcement names no category."""
        if self.expected_label is not None:
            return Expected(ExpectedKind.LABEL, self.expected_label)
        if self.expected_main_label is not None:
            return Expected(ExpectedKind.MAIN, self.expected_main_label)
        return None


class ReturnEvent(NamedTuple):
    """A row of `return_events`."""

    id: int
    return_id: int
    at: datetime
    who: str
    action: ReturnAction
    detail: dict[str, Any]


class EarlierPhoto(NamedTuple):
    """A photo that came in before, with another return, and is the same as a photo of this one.

    `earlier_number` is the number of the other return; None if the earlier photo belongs to none.
    """

    image_id: int
    earlier_image_id: int
    earlier_number: str | None = None


class RefusedLine(NamedTuple):
    """A line that was not taken. `line` counts from 1, the header included; `number` may be empty."""

    line: int
    number: str
    reason: str


class ImportCounts(NamedTuple):
    """The lines of an import. `lines` is the sum of the others."""

    lines: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def plus(self, other: "ImportCounts") -> "ImportCounts":
        """Return the sum, field by field."""
        return ImportCounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class ReturnImport(NamedTuple):
    """An import of announcements. `finished_at` is None while it runs, or if its process was killed."""

    id: int
    at: datetime
    finished_at: datetime | None
    who: str
    source: str
    counts: ImportCounts
    error: str | None


def return_number(text: str) -> str | None:
    """Return a return's number as it is stored; None if the text cannot be one.

    Blanks around it are removed, and characters get their composed form (NFC). It has 1 to 100 printable
    characters. Upper and lower case are different numbers.
    """
    number = text.strip()
    if not number.isascii():
        number = unicodedata.normalize("NFC", number)
    return number if number and len(number) <= MOST_OF_NUMBER and number.isprintable() else None
