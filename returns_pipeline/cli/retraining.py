"""`models retrain` and `models proposals`: the next version of a model from the reviewed photos."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_installation
from returns_pipeline.cli.options import Json, Who
from returns_pipeline.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from returns_pipeline.records.retraining import Retraining
    from returns_pipeline.settings import Settings
    from returns_pipeline.store.database import Database

_POLL_SECONDS = 0.5


def retrain(
    name: Annotated[str, typer.Argument(help="Name of the model; its active version is retrained.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder of the old training photos, as the worker sees it. Default: where the training "
            "found them; if they are gone, photos of the nights stand in for them.",
        ),
    ] = None,
    here: Annotated[
        bool, typer.Option("--here", help="Train in this process, without a worker. Goes on after a kill.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the end.")] = False,
    who: Who = "",
    as_json: Json = False,
) -> None:
    """Train the next version of a model with the reviewed photos; propose it if it is better."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.records.tasks import TRAIN, Task
    from returns_pipeline.usecases import retraining
    from returns_pipeline.usecases.models import person

    settings, database = open_installation()
    if here and no_wait:
        raise typer.BadParameter("Choose --here or --no-wait.")
    if here:
        row = _train_here(settings, database, name, who or person(), data)
    else:
        retraining_id = retraining.request(settings, database, name, who or person(), data)
        queue = open_queue(settings)
        queue.send(Task.RETRAIN, retraining_id)
        if TRAIN not in queue.served():
            console.print_note(
                "No worker for retrainings runs now. Start one: `returns-pipeline worker -Q train -c 1`, "
                "or train in this process with --here."
            )
        row = _wait(database, retraining_id, is_over=no_wait)
    _print(row, as_json=as_json)


def proposals(as_json: Json = False) -> None:
    """Show the retrainings that run and the new versions that wait for a decision."""
    from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence
    from returns_pipeline.usecases.proposals import shown

    rows = [retraining_data(row) for row in shown(*open_installation())]
    if as_json:
        console.print_json(rows)
        return
    for row in rows:
        console.print_line(retraining_sentence(row))
        if row["state"] == "proposed":
            console.print_line(f"To promote it: `returns-pipeline models promote {row['candidate']}`.")
    if not rows:
        console.print_line("No new version waits for a decision.")


def _train_here(
    settings: "Settings", database: "Database", name: str, who: str, data: Path | None
) -> "Retraining":
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.output.training import TrainingProgress, require_keras
    from returns_pipeline.host.context import command_context
    from returns_pipeline.records.retraining import OPEN_STATES
    from returns_pipeline.store import retrainings
    from returns_pipeline.usecases import retraining

    require_keras()
    retraining.require_packages()
    from returns_pipeline.training.retraining.work import carry_out

    begun = retrainings.newest_of(database, name)
    if begun is not None and begun.state in OPEN_STATES:
        retraining_id = begun.id
    else:
        retraining_id = retraining.request(settings, database, name, who, data)
    context = command_context(settings, database, open_queue(settings))
    with TrainingProgress() as progress:
        row = carry_out(context, retraining_id, progress)
    if row is None:
        raise ConflictError(
            "{name} is being retrained by another process.",
            "`returns-pipeline models proposals` shows how far it is.",
            name=name,
        )
    return row


def _wait(database: "Database", retraining_id: int, *, is_over: bool) -> "Retraining":
    """Return a retraining once it is finished, or now if `is_over`; tell of each of its steps."""
    from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence
    from returns_pipeline.store import retrainings

    told = ""
    while True:
        row = retrainings.require(database, retraining_id)
        if row.finished_at is not None or is_over:
            return row
        sentence = retraining_sentence(retraining_data(row))
        if sentence != told:
            told = sentence
            console.print_note(sentence)
        time.sleep(_POLL_SECONDS)


def _print(row: "Retraining", *, as_json: bool) -> None:
    from returns_pipeline.records.retraining import RetrainingState
    from returns_pipeline.report.words.retraining import retraining_data, retraining_sentence

    data = retraining_data(row)
    if as_json:
        console.print_json(data)
    elif row.state is not RetrainingState.FAILED:
        console.print_line(retraining_sentence(data))
        if row.state is RetrainingState.PROPOSED:
            console.print_line(f"To promote it: `returns-pipeline models promote {row.candidate}`.")
    if row.state is RetrainingState.FAILED:
        raise RefusedError("{name} could not be retrained: {reason}", name=row.name, reason=row.fault or "")
