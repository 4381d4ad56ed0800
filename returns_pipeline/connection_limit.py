"""Ends connections after some seconds: a socket's own timeout begins again with each byte."""

import socket
import threading
from contextlib import suppress
from typing import Self


class ConnectionLimit:
    """Cuts the connections of a block after some seconds. `is_over` says that it did."""

    def __init__(self, seconds: float) -> None:
        """Prepare a limit; its seconds begin with the block."""
        self._sockets: list[socket.socket] = []
        self.is_over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to count the seconds."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut nothing from now on."""
        self._timer.cancel()

    def watch(self, opened: socket.socket) -> None:
        """Cut a connection too, immediately if the time is over."""
        self._sockets.append(opened)
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        self.is_over = True
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
