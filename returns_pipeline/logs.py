"""Structured log lines for people (console) or machines (JSON), on standard error."""

import io
import logging
import sys
from typing import TextIO

import structlog

from returns_pipeline.records.text import printable, printable_lines
from returns_pipeline.settings import Settings


def configure_logging(settings: Settings) -> None:
    """Format this project's and the libraries' log lines alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor]
    if settings.log_format == "json":
        shared.append(structlog.processors.format_exc_info)
        render = [structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty()
        console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_write_traceback)
        render = [_in_one_line, console]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _in_one_line(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape what cannot be printed: a name neither starts a line of the log nor controls a terminal."""
    return {
        printable(name): printable(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _write_traceback(stream: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Write a traceback without the values of local variables, which may be secrets."""
    lines = io.StringIO()
    structlog.dev.plain_traceback(lines, error)
    stream.write(printable_lines(lines.getvalue()))
