"""What commands print with: JSON, lines, errors, a progress bar. Rich is imported only when it is used.

Commands print with these functions and with `returns_pipeline.terminal` alone: both show text from outside
with escapes in place of characters that cannot be printed.
"""

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from returns_pipeline.records.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def print_json(value: object, default: "Callable[[Any], Any] | None" = None) -> None:
    """Print a value as JSON; `default` converts what JSON has no type for."""
    sys.stdout.write(json.dumps(value, indent=2, default=default) + "\n")
    sys.stdout.flush()


def print_line(line: str) -> None:
    """Print one line as it is: a terminal may wrap it, but nothing in it is taken for markup."""
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def print_note(line: str) -> None:
    """Print one line on standard error, where a program that reads the output does not find it."""
    sys.stderr.write(printable(line) + "\n")
    sys.stderr.flush()


def print_error(message: str, advice: str = "") -> None:
    """Print what is wrong and what to do, each on a line of standard error."""
    print_note(f"Error: {message}")
    if advice:
        print_note(advice)


@contextmanager
def progress_bar(title: str) -> "Iterator[Callable[[int, int | None], None]]":
    """Yield a function of (done, total) that moves a bar on standard error, if that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from returns_pipeline.terminal import Terminal, plain_column

    columns = (plain_column("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Terminal(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def short_path(path: Path) -> Path:
    """Return a path relative to the working directory if it lies below it, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
