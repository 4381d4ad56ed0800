"""The processes: thin entry points to Celery and Flower, and `up`, which runs all of them."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from returns_pipeline.cli import console
from returns_pipeline.records.tasks import TRAIN

#: Options that a command does not define are passed on to Celery or Flower.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--help"]}


def worker(context: typer.Context) -> None:
    """Start a worker. Takes the options of `celery -A workers.app worker`, which it becomes.

    Without -Q it serves every queue but that of retrainings.
    """
    names_queues = any(word.startswith(("-Q", "-X", "--queues", "--exclude-queues")) for word in context.args)
    _become_celery("worker", *context.args, *(() if names_queues else ("-X", TRAIN)))


def beat(context: typer.Context) -> None:
    """Start the scheduler of the nightly scan. Takes the options of `celery -A workers.app beat`."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    open_queue(settings).require_answer()  # refuses to start without a broker
    settings.home.mkdir(parents=True, exist_ok=True)
    _become_celery("beat", *context.args)


def flower(context: typer.Context) -> None:
    """Start Flower, the page that shows the queue, on RETURNS_FLOWER_HOST:RETURNS_FLOWER_PORT."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    open_queue(settings).require_answer()  # refuses to start without a broker
    password = settings.flower_password.get_secret_value()
    if password:
        # In the environment: every user of the machine can read the arguments of a process.
        os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower_user}:{password}"
    # Read-only: work is started and changed through the command line.
    address = (f"--address={settings.flower_host}", f"--port={settings.flower_port}", "--read_only=True")
    _become_celery("flower", *address, *context.args)


def up(
    train: Annotated[
        bool,
        typer.Option("--train", help="Run a worker for retrainings too; RETURNS_RETRAIN does so as well."),
    ] = False,
) -> None:
    """Run everything in one terminal: Redis, workers, beat, Flower and the web. Ctrl-C stops it."""
    from returns_pipeline.host.ports import require_free_port
    from returns_pipeline.host.up import run_all
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database
    from returns_pipeline.usecases import models, retraining
    from returns_pipeline.web.security.access import Authenticator

    settings = load_settings()
    require_free_port(settings.flower_host, settings.flower_port, "RETURNS_FLOWER_PORT")
    require_free_port(settings.web_host, settings.web_port, "RETURNS_WEB_PORT")
    database = Database(settings.database_url)
    database.upgrade()
    models.configured(settings, database)
    trains = train or settings.retrain != "off"
    if trains:
        retraining.require_packages()
    authenticator = Authenticator(settings, database)
    authenticator.require_account(settings)
    run_all(
        settings,
        database,
        lambda: authenticator.address(settings, is_private=sys.stdout.isatty()),
        console.print_line,
        trains=trains,
    )


def _become_celery(*arguments: str) -> NoReturn:
    """Replace this process by Celery, so that signals reach it directly."""
    from returns_pipeline.settings import load_settings

    load_settings()  # refuses wrong settings in one sentence, before Celery is imported
    sys.stdout.flush()
    command = [sys.executable, "-m", "celery", "-A", "workers.app", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
