"""The part of a worker that receives messages: it survives a Redis that refuses commands."""

import time
from typing import Any

import structlog
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from returns_pipeline.broker.faults import fault_of
from returns_pipeline.broker.probe import probe
from returns_pipeline.errors import BrokerRefusesFault

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline")

#: The first pause and the longest one, in seconds. Each is twice as long as the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
#: Seconds of work without an error after which the pauses are short again.
_QUIET_SECONDS = 60.0
_STEP = 0.1
#: Seconds for which events, which Flower shows, are gathered. One message for each of them would be half of
#: the work of this process.
_EVENTS_SECONDS = 0.5


class PatientConsumer(Consumer):
    """Waits while Redis refuses commands (full, read-only, …), and connects again when it takes messages.

    Celery ends the whole worker at such a reply, or with `broker_channel_error_retry` connects again without
    a pause. Each time it would receive and lose one message, because a full Redis lets messages be taken from
    a queue but not be noted as unacknowledged.
    """

    _pause = _FIRST_PAUSE
    _last_error = 0.0
    _flush_at = 0.0

    def on_send_event_buffered(self) -> Any:
        """Have the gathered events sent soon, with those that come until then."""
        hub: Any = getattr(self, "hub", None)
        now = time.monotonic()
        if hub and now >= self._flush_at:
            self._flush_at = now + _EVENTS_SECONDS
            hub.call_later(_EVENTS_SECONDS, super().on_send_event_buffered)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the connection as Celery does; if Redis refused a command, wait until it takes messages."""
        super().on_connection_error_after_connected(exc)
        if not isinstance(exc, RedisError):
            return
        fault = fault_of(exc)
        if isinstance(fault, BrokerRefusesFault):
            self._wait(fault)

    def _wait(self, fault: BrokerRefusesFault) -> None:
        if time.monotonic() - self._last_error > _QUIET_SECONDS:
            self._pause = _FIRST_PAUSE
        log.warning("broker_refuses", reason=str(fault))
        while True:
            self._sleep()
            self._last_error = time.monotonic()
            try:
                with self.app.connection_for_write() as connection:
                    probe(connection)
            except (RedisError, OperationalError, OSError) as error:
                log.info("broker_still_refuses", reason=fault_of(error).message)
            else:
                log.info("broker_takes_messages")
                return

    def _sleep(self) -> None:
        """Sleep for the present pause and double it. Raises SystemExit if the worker is told to stop."""
        until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        while time.monotonic() < until:
            state.maybe_shutdown()
            time.sleep(_STEP)
