"""Runs and images: ask for a run, follow it, look at what came out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from returns_pipeline.records.runs import RunSummary
    from returns_pipeline.records.tasks import Argument, Task
    from returns_pipeline.settings import Settings
    from returns_pipeline.store.database import Database

runs_app = typer.Typer(help="Runs: what happened.", no_args_is_help=True)
images_app = typer.Typer(help="Images: what became of each.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the run until it is closed.")]


def scan(
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Scan this folder instead of the intake; its files are archived too."),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Enqueue a scan of the intake folder now: the task that beat enqueues at night."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli import output
    from returns_pipeline.host.follow import follow
    from returns_pipeline.host.requests import send_scan

    settings = _settings()
    database = _database(settings) if wait else None
    queue = open_queue(settings)
    requests = send_scan(settings, queue, directory)
    if database is None:
        _print_sent(requests[0].sent_as, as_json=as_json)
        return
    summaries = [follow(database, queue, request.id, request.sent_as) for request in requests]
    if as_json:
        found = [output.run_as_dict(summary) for summary in summaries]
        # A list only if several intakes are set: with one folder it is one run.
        _print_json(found if directory is None and settings.intakes else found[0])
    else:
        for summary in summaries:
            output.print_run(summary)


def classify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Image files, or folders of them.")] = None,
    model: Annotated[
        str | None, typer.Option(help="NAME or NAME/VERSION. Default: the model of the night.")
    ] = None,
    run_id: Annotated[
        int | None, typer.Option("--run", help="Replay this run's classified images with --model.")
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Enqueue these files now; they stay where they are. With --wait, print what each one is.

    With --run, the images of an old run, and with --wait, print what another model changes.
    """
    from returns_pipeline.records.tasks import Task

    if run_id is not None and model and not paths:
        _replay(run_id, model, wait=wait, as_json=as_json)
    elif run_id is None and paths:
        arguments = (_files(paths), model) if model else (_files(paths),)
        _request(Task.CLASSIFY_PATHS, *arguments, wait=wait, as_json=as_json, show_images=True)
    else:
        raise typer.BadParameter("Name image files, or --run with --model.")


def _files(paths: list[Path]) -> list[str]:
    from returns_pipeline.errors import NotFoundError
    from returns_pipeline.host.requests import image_files

    try:
        return image_files(paths)
    except NotFoundError as error:
        raise typer.BadParameter(error.message) from None


def _replay(run_id: int, model: str, *, wait: bool, as_json: bool) -> None:
    from returns_pipeline.records.tasks import Task

    database = _database()
    _existing(database, run_id)
    summary = _ask(Task.REPLAY, run_id, model, wait=wait, as_json=as_json)
    if summary is None:
        return
    from returns_pipeline.cli import model_output, output
    from returns_pipeline.report.changes import count_changes
    from returns_pipeline.store import images

    pairs = images.replayed(database, run_id, summary.id)
    if as_json:
        changes = model_output.changes_as_dict(count_changes(pairs))
        _print_json({"run": output.run_as_dict(summary), "replayed": run_id, **changes})
    else:
        output.print_run(summary)
        model_output.print_answers(count_changes(pairs, model_output.MOST_FILES))


@runs_app.command("list")
def list_runs(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: Json = False) -> None:
    """Show the newest runs."""
    from returns_pipeline.cli import output
    from returns_pipeline.store import runs

    found = runs.latest(_database(), limit)
    if as_json:
        _print_json([output.run_as_dict(run) for run in found])
    else:
        output.print_runs(found)


@runs_app.command("show")
def show_run(run_id: Annotated[int, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """Show one run in numbers."""
    _print_run(_existing(_database(), run_id), as_json=as_json)


@images_app.command("list")
def list_images(
    run_id: Annotated[int, typer.Option("--run", help="The run's id.")],
    state: Annotated[
        str | None, typer.Option(help="Only images that are pending, classified, quarantined or failed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the images of a run."""
    from returns_pipeline.cli import output
    from returns_pipeline.records.images import ImageState
    from returns_pipeline.store import images

    if state is not None and state not in set(ImageState):
        raise typer.BadParameter(f"{state!r} is not one of {', '.join(ImageState)}.")
    database = _database()
    _existing(database, run_id)
    found = images.results(database, run_id, ImageState(state) if state else None)
    if as_json:
        _print_json([output.image_as_dict(image) for image in found])
    else:
        output.print_images(found)


def retry(
    run_id: Annotated[
        int | None, typer.Option("--run", help="Only this run's images. Default: every run's.")
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Enqueue quarantined and failed images again, in a run of their own."""
    from returns_pipeline.records.tasks import Task

    if run_id is not None:
        _existing(_database(), run_id)
    _request(Task.RETRY, run_id, wait=wait, as_json=as_json, show_images=True)


def status(as_json: Json = False) -> None:
    """Show what is open and since when, the last and the next night, queues and workers."""
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli import output
    from returns_pipeline.errors import TransientFault

    settings = _settings()
    queue = open_queue(settings)
    with ThreadPoolExecutor(1) as aside:
        # How many workers there are nobody knows, so all of this time is waited, though an answer takes
        # some 10 ms. Meanwhile the database is asked, and what that needs is imported.
        answers = aside.submit(queue.workers, timeout=0.3)
        from returns_pipeline.store import images, runs
        from returns_pipeline.store.database import utc_now
        from returns_pipeline.usecases.schedule import next_due

        database = _database(settings)
        status = output.Status(
            open_runs=runs.unclosed(database),
            open_work=images.open_work(database),
            last_night=runs.newest_night(database),
            next_night=next_due(settings, utc_now()),
            broker=None,
        )
    try:
        waiting, workers = queue.lengths(), sorted(answers.result())
        status = replace(status, queues=waiting, workers=workers)
    except TransientFault as fault:
        # The database is the truth: what is open is told without a broker too.
        status = replace(status, broker=str(fault))
    if as_json:
        _print_json(output.status_as_dict(status))
    else:
        output.print_status(status)
    if status.broker:
        raise typer.Exit(1)


def _request(
    task: "Task",
    *arguments: "Argument",
    wait: bool,
    as_json: bool,
    show_images: bool = False,
) -> None:
    summary = _ask(task, *arguments, wait=wait, as_json=as_json)
    if summary is None:
        return
    from returns_pipeline.cli import output
    from returns_pipeline.store import images

    found = images.results(_database(), summary.id) if show_images else ()
    if as_json:
        answer = output.run_as_dict(summary)
        if show_images:
            answer["images"] = [output.image_as_dict(image) for image in found]
        _print_json(answer)
    else:
        if show_images:
            output.print_images(found)
        output.print_run(summary)


def _ask(task: "Task", *arguments: "Argument", wait: bool, as_json: bool) -> "RunSummary | None":
    """Send a request and return its closed run; without `wait` say that it is sent and return None."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.host.follow import follow
    from returns_pipeline.host.requests import send

    settings = _settings()
    database = _database(settings) if wait else None
    queue = open_queue(settings)
    request = send(queue, task, *arguments)
    if database is None:
        _print_sent(request.id, as_json=as_json)
        return None
    return follow(database, queue, request.id)


def _print_sent(request_id: str, *, as_json: bool) -> None:
    _print_json({"request": request_id}) if as_json else typer.echo(f"Enqueued as request {request_id}.")


def _settings() -> "Settings":
    from returns_pipeline.settings import load_settings

    return load_settings()


def _database(settings: "Settings | None" = None) -> "Database":
    from returns_pipeline.host.requests import open_database

    return open_database(settings or _settings())


def _existing(database: "Database", run_id: int) -> "RunSummary":
    from returns_pipeline.host.requests import existing_run

    return existing_run(database, run_id)


def _print_run(run: "RunSummary", *, as_json: bool) -> None:
    from returns_pipeline.cli import output

    if as_json:
        _print_json(output.run_as_dict(run))
    else:
        output.print_run(run)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
