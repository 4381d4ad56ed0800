"""What commands print with: JSON, tables, lines, a progress bar. Rich is imported only when it is used."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.table import Table


def print_json(value: object, default: "Callable[[Any], Any] | None" = None) -> None:
    """Print a value as JSON; `default` converts what JSON has no type for."""
    typer.echo(json.dumps(value, indent=2, default=default))


def print_line(line: str) -> None:
    """Print a line as it is: a terminal may wrap it, but nothing in it is taken for markup."""
    from rich.console import Console

    Console().print(line, soft_wrap=True, highlight=False, markup=False)


def plain_table() -> "Table":
    """Return a table without a frame, for lists that are long or wide."""
    from rich.table import Table

    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


@contextmanager
def progress_bar(title: str) -> "Iterator[Callable[[int, int | None], None]]":
    """Yield a function of (done, total) that moves a bar on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def short_path(path: Path) -> Path:
    """Return a path relative to the working directory if it lies below it, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
