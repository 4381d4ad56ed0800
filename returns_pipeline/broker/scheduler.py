"""The scheduler of beat: a message that the broker does not take is one line of the log."""

from typing import Any

import structlog
from celery.beat import PersistentScheduler, SchedulingError

from returns_pipeline.broker.faults import fault_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")


class BriefScheduler(PersistentScheduler):
    """Logs why an entry was not sent, without the tracebacks of Celery.

    Nothing else is needed: the next sweep requests a night that is missing.
    """

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send the message of an entry that is due."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            log.warning("not_sent", entry=entry.name, reason=str(fault_of(error.__context__ or error)))
        else:
            log.info("sent", entry=entry.name)
