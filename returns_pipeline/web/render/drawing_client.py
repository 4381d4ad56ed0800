"""The web's side of a drawing process: starts it, sends it photos, kills it if it takes too long."""

import contextlib
import subprocess
import sys
import threading

import structlog

from returns_pipeline.child_limits import environment_without_settings
from returns_pipeline.web.render.orders import TOO_MUCH_MEMORY, Heat, Order, Reply, read_reply, write_order

log: structlog.stdlib.BoundLogger = structlog.get_logger("returns_pipeline.web")

_MODULE = "returns_pipeline.web.render.drawing_process"
#: Seconds that a process may take for its start and for reading an order, beyond the time to draw.
_SPARE_SECONDS = 10.0
#: Pictures that a process draws before it is replaced, so that a decoder that leaks stays within the limit.
_MOST_DRAWN = 1000


class DrawingClient:
    """One drawing process. It starts with the first order, and again after it has ended."""

    def __init__(self, memory_mb: int) -> None:
        """Start nothing yet. `memory_mb` is the limit of the process in MiB."""
        self._memory_mb = memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._drawn = 0

    def draw(self, order: Order, heat: Heat | None, photo: bytes) -> Reply:
        """Return the picture, or the reason why there is none. For one thread at a time."""
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        timer = threading.Timer(order.seconds + _SPARE_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            write_order(process.stdin, order, heat, photo)
            reply = read_reply(process.stdout)
        except OSError:  # the process ended while it read
            reply = None
        finally:
            timer.cancel()
        self._drawn += 1
        if reply is None:
            process.kill()
            reply = Reply(None, f"exit code {process.wait()}")
            log.warning("drawing_process_ended", reason=reply.reason)
            self.close()
        elif reply.reason == TOO_MUCH_MEMORY or self._drawn >= _MOST_DRAWN:
            # A decoder that failed for lack of memory may keep some.
            self.close()
        return reply

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._drawn = 0
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", _MODULE, str(self._memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment_without_settings(),
            start_new_session=True,
        )
        return self._process

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it did not read is lost
                    pipe.close()
