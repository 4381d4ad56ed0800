"""Waits for the run of a request, with a progress bar on a terminal."""

from rich.progress import BarColumn, Progress, TimeElapsedColumn

from returns_pipeline.host.requests import Request, wait_for_run
from returns_pipeline.records.runs import Progress as RunProgress
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Queue
from returns_pipeline.report.words import run_state
from returns_pipeline.store.database import Database
from returns_pipeline.terminal import Terminal, plain_column


def follow(database: Database, queue: Queue, request: Request) -> RunSummary:
    """Wait until the run of a request is closed; return it. Raises as `wait_for_run`."""
    # Standard output is for the result.
    console = Terminal(stderr=True)
    columns = (plain_column("{task.description}"), BarColumn(None), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)

        def show(now: RunProgress) -> None:
            # The total is not final while files are still found.
            total = None if now.state is RunState.SCANNING else now.total
            state = run_state(now.state, now.done, now.total)
            bar.update(task, description=state, completed=now.done, total=total)

        return wait_for_run(
            database,
            queue,
            request,
            on_progress=show,
            on_obstacle=lambda sentence: console.print_line(f"Waiting: {sentence}"),
        )
