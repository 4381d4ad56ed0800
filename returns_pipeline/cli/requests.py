"""`scan`, `classify` and `retry`: ask the workers for a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import MOST_ID, Json, Wait
from returns_pipeline.records.places import folder_of

if TYPE_CHECKING:
    from returns_pipeline.records.runs import RunSummary
    from returns_pipeline.records.tasks import Argument, Task


def scan(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            parser=folder_of,
            metavar="FOLDER",
            help="Scan this folder, or s3://BUCKET/PREFIX, not the intake. Its files are archived too.",
        ),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Scan the intake folder now, as beat does at night."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.host.follow import follow
    from returns_pipeline.host.requests import send_scan
    from returns_pipeline.records.audit import AuditAction, AuditSubject
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.audit import note
    from returns_pipeline.usecases.models import person

    settings = load_settings()
    database = open_database(settings)
    queue = open_queue(settings)
    requests = send_scan(settings, queue, directory)
    note(database, person(), AuditAction.SCAN, AuditSubject.INTAKE, directory or "")
    if not wait:
        _print_sent(requests[0].sent_as, as_json=as_json)
        return
    summaries = [follow(database, queue, request) for request in requests]
    if as_json:
        found = [output.run_as_dict(summary) for summary in summaries]
        # A list only if several intakes are set: one folder gives one run.
        console.print_json(found if directory is None and settings.intakes else found[0])
    else:
        for summary in summaries:
            output.print_run(summary)


def classify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Image files, or folders of them.")] = None,
    model: Annotated[
        str | None, typer.Option(help="NAME or NAME/VERSION. Default: the model of the nightly scan.")
    ] = None,
    run_id: Annotated[
        int | None,
        typer.Option(
            "--run", min=1, max=MOST_ID, help="Classify this run's classified images again with --model."
        ),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Classify these files now; they stay where they are. With --wait, print each prediction.

    With --run, classify the images of an old run again. With --wait, print what the other model changes.
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
    from returns_pipeline.settings import load_settings

    try:
        return image_files(load_settings(), paths)
    except NotFoundError as error:
        raise typer.BadParameter(error.message) from None


def _replay(run_id: int, model: str, *, wait: bool, as_json: bool) -> None:
    from returns_pipeline.cli.output import models as model_output
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.records.tasks import Task
    from returns_pipeline.report.changes import count_changes
    from returns_pipeline.store import images, runs

    database = open_database()
    runs.existing(database, run_id)
    summary = _send(Task.REPLAY, run_id, model, wait=wait, as_json=as_json)
    if summary is None:
        return
    pairs = images.replayed(database, run_id, summary.id)
    if as_json:
        changes = model_output.changes_as_dict(count_changes(pairs))
        console.print_json({"run": output.run_as_dict(summary), "replayed": run_id, **changes})
    else:
        output.print_run(summary)
        model_output.print_label_changes(count_changes(pairs, model_output.MAX_FILES))


def retry(
    run_id: Annotated[
        int | None,
        typer.Option("--run", min=1, max=MOST_ID, help="Only this run's images. Default: those of all runs."),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Classify quarantined and failed images again, in a new run."""
    from returns_pipeline.records.audit import AuditAction, AuditSubject
    from returns_pipeline.records.tasks import Task
    from returns_pipeline.store import audit, runs
    from returns_pipeline.usecases.models import person

    database = open_database()
    subject, subject_id = (AuditSubject.INTAKE, "") if run_id is None else (AuditSubject.RUN, str(run_id))
    if run_id is not None:
        runs.existing(database, run_id)
    audit.note(database, person(), AuditAction.RETRY, subject, subject_id)
    _request(Task.RETRY, run_id, wait=wait, as_json=as_json, show_images=True)


def _request(
    task: "Task", *arguments: "Argument", wait: bool, as_json: bool, show_images: bool = False
) -> None:
    """Ask for a run; with `wait`, print it, and its images too with `show_images`."""
    summary = _send(task, *arguments, wait=wait, as_json=as_json)
    if summary is None:
        return
    from returns_pipeline.cli.output import runs as output
    from returns_pipeline.store import images

    found = images.results(open_database(), summary.id) if show_images else ()
    if as_json:
        values = output.run_as_dict(summary)
        if show_images:
            values["images"] = [output.image_as_dict(image) for image in found]
        console.print_json(values)
    else:
        if show_images:
            output.print_images(found)
        output.print_run(summary)


def _send(task: "Task", *arguments: "Argument", wait: bool, as_json: bool) -> "RunSummary | None":
    """Send a task. With `wait`, return its closed run; else print the request's id and return None."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.host.follow import follow
    from returns_pipeline.host.requests import send
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    database = open_database(settings) if wait else None
    queue = open_queue(settings)
    request = send(queue, task, *arguments)
    if database is None:
        _print_sent(request.id, as_json=as_json)
        return None
    return follow(database, queue, request)


def _print_sent(request_id: str, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"request": request_id})
    else:
        console.print_line(f"Sent as request {request_id}.")
