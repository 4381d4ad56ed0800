"""TCP ports of this machine."""

import contextlib
import socket

from returns_pipeline.errors import ConfigFault


def require_free_port(host: str, port: int, setting: str) -> None:
    """Raise ConfigFault if the port, which `setting` names, cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigFault(
                "Nothing can listen on {host}:{port}: {reason}.",
                "Set {setting} to a free port.",
                host=host,
                port=port,
                reason=error.strerror,
                setting=setting,
            ) from error
