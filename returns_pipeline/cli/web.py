"""`returns-pipeline web`: the web page and the REST interface."""

import gc
import sys
from typing import TYPE_CHECKING

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database

if TYPE_CHECKING:
    from returns_pipeline.settings import Settings

#: Seconds after which a thread that computes lets another one run. Python's own 5 ms are a long time for the
#: threads that store and send requests, which wait for their turn after each statement.
_SWITCH_SECONDS = 0.0005


def web() -> None:
    """Start the web page and the REST interface on RETURNS_WEB_HOST:RETURNS_WEB_PORT."""
    from returns_pipeline.host.forks import run_forks, shared_socket
    from returns_pipeline.host.ports import require_free_port
    from returns_pipeline.logs import configure_logging
    from returns_pipeline.settings import load_settings
    from returns_pipeline.web.security.access import Authenticator
    from returns_pipeline.web.security.connections import allow_connections

    settings = load_settings()
    configure_logging(settings)
    require_free_port(settings.web_host, settings.web_port, "RETURNS_WEB_PORT")
    database = open_database(settings)
    authenticator = Authenticator(settings, database)
    authenticator.require_account(settings)
    allow_connections(settings)
    console.print_line(f"The web page is {authenticator.address(settings, is_private=sys.stdout.isatty())}")
    if settings.web_processes == 1:
        _serve(settings)
        return
    # No connection crosses a fork.
    database.close()
    # Keeps the port while a process is restarted; only the sockets of the processes listen.
    with shared_socket(settings.web_host, settings.web_port):
        run_forks(settings.web_processes, lambda: _serve(settings))


def _serve(settings: "Settings") -> None:
    """Serve until this process is told to stop."""
    import uvicorn

    from returns_pipeline.host.forks import shared_socket
    from returns_pipeline.web.app import create_app
    from returns_pipeline.web.security.connections import bounded_protocol

    config = uvicorn.Config(
        create_app(settings),
        host=settings.web_host,
        port=settings.web_port,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.web_proxies),
        forwarded_allow_ips=settings.web_proxies or None,
        root_path=settings.web_root,
        server_header=False,
        http=bounded_protocol(settings),
        ws="none",
        # An event stream would keep the process running for ever.
        timeout_graceful_shutdown=5,
    )
    _tune_interpreter()
    is_shared = settings.web_processes > 1
    sockets = [shared_socket(settings.web_host, settings.web_port)] if is_shared else None
    uvicorn.Server(config).run(sockets)


def _tune_interpreter() -> None:
    """Let threads take turns more often, and exclude from garbage collection what stays until the end."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
