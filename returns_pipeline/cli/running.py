"""Runs a command, and turns each error into a sentence on standard error and an exit code."""

import signal
import sys

import typer

from returns_pipeline.cli.commands import app
from returns_pipeline.cli.console import print_error
from returns_pipeline.cli.streams import READER_GONE, discard_output, prepare_streams
from returns_pipeline.errors import PipelineError
from returns_pipeline.private_files import denied

INTERRUPTED = 130


def run() -> int:
    """Run the command of this process's arguments and print its error, if any; return the exit code."""
    prepare_streams()
    try:
        code = _run()
        sys.stdout.flush()
    except (PipelineError, PermissionError) as error:
        fault = denied(error) if isinstance(error, PermissionError) else error
        code = fault.exit_code
        print_error(fault.message, fault.advice)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else READER_GONE
    if code == INTERRUPTED:
        # A second Ctrl-C ends the process without waiting for its threads.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    discard_output()
    return code


def _run() -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except typer.Abort as end:
        # A prompt turns both the end of the input and Ctrl-C into this error.
        if isinstance(end.__context__, KeyboardInterrupt):
            return INTERRUPTED
        print_error("Aborted: there is no more input.")
        return 1
    except typer.TyperException as refusal:
        _print_refusal(refusal)
        return refusal.exit_code
    except PermissionError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}{error.strerror or error}.")
        return 1


def _print_refusal(refusal: typer.TyperException) -> None:
    """Print what is wrong with the arguments. Without arguments, Typer has printed the help already."""
    message = " ".join(refusal.format_message().split())
    if not message:
        return
    context = getattr(refusal, "ctx", None)
    print_error(message, f"See `{context.command_path} --help`." if context else "")
