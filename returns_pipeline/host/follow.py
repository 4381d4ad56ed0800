"""Waits for the run of a request, with a progress bar on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from returns_pipeline.host.requests import Request, wait_for_run
from returns_pipeline.records.runs import Progress as RunProgress
from returns_pipeline.records.runs import RunState, RunSummary
from returns_pipeline.records.tasks import Queue
from returns_pipeline.store.database import Database


def follow(database: Database, queue: Queue, request_id: str, sent_as: str | None = None) -> RunSummary:
    """Wait until the run of `request_id` is closed; return it.

    `sent_as` is the id of the message that asked for the run, if it differs: one message may open several
    runs, each with a request id of its own. Raises as `wait_for_run`.
    """
    # Standard output is for the result.
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("waiting", total=None)

        def show(now: RunProgress) -> None:
            # The total is not final while files are still found.
            total = None if now.state is RunState.SCANNING else now.total
            bar.update(task, description=now.state, completed=now.done, total=total)

        return wait_for_run(
            database,
            queue,
            Request(request_id, sent_as or request_id),
            on_progress=show,
            on_obstacle=lambda sentence: console.print(
                f"Waiting: {sentence}", markup=False, highlight=False, soft_wrap=True
            ),
        )
