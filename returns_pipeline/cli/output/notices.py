"""Deliveries of notices, for people and for JSON."""

from typing import TYPE_CHECKING, Any

from returns_pipeline.cli import console
from returns_pipeline.report.words import counted
from returns_pipeline.terminal import Terminal, framed_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from returns_pipeline.records.notices import Delivery


def as_dict(delivery: "Delivery") -> dict[str, Any]:
    """Return a delivery as the JSON that the command line prints."""
    notice, given_up_at = delivery.notice, delivery.given_up_at
    return {
        "id": notice.uid,
        "type": notice.kind.value,
        "at": notice.created_at.isoformat(),
        "text": notice.text,
        "channel": delivery.recipient.channel,
        "to": delivery.recipient.shown,
        "attempts": delivery.attempts,
        "next_attempt_at": None if given_up_at else delivery.next_attempt_at.isoformat(),
        "given_up_at": given_up_at.isoformat() if given_up_at else None,
        "error": delivery.error,
    }


def print_deliveries(deliveries: "Sequence[Delivery]") -> None:
    """Print a row for each delivery."""
    if not deliveries:
        console.print_line("Every notice is delivered.")
        return
    table = framed_table()
    for heading in ("at, UTC", "event"):
        table.add_column(heading, no_wrap=True)
    for heading in ("to", "state", "last answer"):
        table.add_column(heading, overflow="fold")
    for each in deliveries:
        tried = counted(each.attempts, "attempt")
        state = f"given up after {tried}"
        if each.given_up_at is None:
            state = f"{tried}, next at {each.next_attempt_at:%H:%M:%S}"
        created = f"{each.notice.created_at:%Y-%m-%d %H:%M}"
        table.add_row(created, each.notice.kind.value, each.recipient.shown, state, each.error or "")
    Terminal().print_table(table)
