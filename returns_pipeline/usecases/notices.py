"""Notices to the outside world: found, delivered at least once, retried for a day.

What is not delivered then is shown as undelivered.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from returns_pipeline.channels.addresses import Address, addresses
from returns_pipeline.channels.sending import send
from returns_pipeline.errors import TransientFault
from returns_pipeline.languages import gettext, use
from returns_pipeline.records.notices import Answer, Delivery, NoticeKind, Recipient, StoredNotice
from returns_pipeline.records.tasks import Queue, Task
from returns_pipeline.settings import Settings
from returns_pipeline.store import outbox
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import causes
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.notice_texts import told

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: Seconds before the second attempt, the third and so on: a day and 21 minutes in all.
PAUSES = (60, 300, 900, 3600, 3 * 3600, 5 * 3600, 7 * 3600, outbox.LONGEST_PAUSE)
#: After this, a delivery is given up even if it had fewer attempts, because another waited before it.
_PATIENCE = timedelta(days=1)
#: Notices are deleted after this, delivered or not.
KEPT = timedelta(days=30)
_REMOVED = Answer(False, "This address is not in the settings any more.", is_final=True)
_ENDED = Answer(False, "Each attempt ended its worker before there was an answer.", is_final=True)
#: Seconds after which one task lets another continue, so that it does not keep its process from scans.
_SECONDS = 60.0


def watch(context: Context, now: datetime) -> None:
    """Tell of late nights and old work, and send the message that delivers what is due. For the sweep."""
    with context.spoken():
        found = [*causes.late_nights(context, now), *causes.old_work(context, now)]
    outbox.add_alone(context.db, found)
    outbox.delete_older(context.db, now - KEPT)
    if outbox.has_work(context.db, now):
        context.send(Task.DELIVER_NOTICES)


def deliver(context: Context, now: datetime | None = None) -> None:
    """Deliver every notice that is due; `now` is aware, by default the present moment. May run twice.

    After a failure, no other notice goes to the same receiver in this task.
    """
    known = addresses(context.settings)
    recipients = [each.recipient for each in known.values()]
    outbox.spread(context.db, recipients, set(context.settings.notice_events), now or utc_now())
    failed: set[str] = set()
    end = time.monotonic() + _SECONDS
    while (held := outbox.claim(context.db, now or utc_now(), PAUSES, failed)) is not None:
        address = known.get(held.recipient.target)
        if address is None:
            _record(context.db, held, _REMOVED, now)
        elif held.attempts > len(PAUSES) + 1:
            _record(context.db, held, _ENDED, now)
        elif not _record(context.db, held, _sent(address, _told(context, held)), now):
            failed.add(held.recipient.target)
        if time.monotonic() > end:
            context.send(Task.DELIVER_NOTICES)
            return


def _told(context: Context, held: Delivery) -> StoredNotice:
    with context.spoken():
        return told(held.notice)


def _sent(address: Address, notice: StoredNotice) -> Answer:
    """Send a notice. An error of a channel is an answer, so that the other receivers get theirs.

    Apprise's channels are programs for a hundred services, so any error may come.
    """
    try:
        return send(address, notice)
    except Exception as error:
        # Its text could hold a part of the address.
        return Answer(False, type(error).__name__)


def _record(db: Database, held: Delivery, answer: Answer, now: datetime | None) -> bool:
    """Record what a receiver answered; return whether it took the notice."""
    at, fields = now or utc_now(), {"notice": held.notice.uid, "kind": held.notice.kind.value}
    fields |= {"to": held.recipient.shown, "attempt": str(held.attempts), "answer": answer.text}
    if answer.is_delivered:
        outbox.mark_delivered(db, held, at)
        log.info("notice_delivered", **fields)
        return True
    is_over = answer.is_final or held.attempts > len(PAUSES) or at - held.notice.created_at > _PATIENCE
    pause = None if is_over else PAUSES[held.attempts - 1]
    outbox.mark_failed(db, held, answer.text, at, pause)
    log.warning("notice_given_up" if is_over else "notice_not_delivered", **fields)
    return False


def try_out(settings: Settings, kind: NoticeKind = NoticeKind.TEST) -> Iterator[tuple[Recipient, Answer]]:
    """Send an example of a kind to every address now; yield what each answered. Nothing is stored."""
    with use(settings.language):
        text = gettext("This is a test. Nothing has happened.")
    notice = StoredNotice(0, outbox.new_uid(), kind, utc_now(), text, {"test": "yes"})
    for address in addresses(settings).values():
        yield address.recipient, _sent(address, notice)


def try_again(db: Database, queue: Queue) -> int:
    """Make every undelivered notice due now, also those that were given up; return how many deliveries.

    If the broker does not answer, the next sweep sends the message.
    """
    count = outbox.try_again(db)
    if count:
        with suppress(TransientFault):
            queue.send(Task.DELIVER_NOTICES)
    return count
