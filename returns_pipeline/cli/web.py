"""`returns-pipeline web`: the web page and the REST interface."""

import sys

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database


def web() -> None:
    """Start the web page and the REST interface on RETURNS_WEB_HOST:RETURNS_WEB_PORT."""
    import uvicorn

    from returns_pipeline.host.ports import require_free_port
    from returns_pipeline.logs import configure_logging
    from returns_pipeline.settings import load_settings
    from returns_pipeline.web.app import create_app
    from returns_pipeline.web.security.access import Authenticator
    from returns_pipeline.web.security.connections import allow_connections, bounded_protocol

    settings = load_settings()
    configure_logging(settings)
    require_free_port(settings.web_host, settings.web_port, "RETURNS_WEB_PORT")
    database = open_database(settings)
    authenticator = Authenticator(settings, database)
    authenticator.require_account(settings)
    allow_connections(settings)
    console.print_line(f"The web page is {authenticator.address(settings, is_private=sys.stdout.isatty())}")
    uvicorn.run(
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
