"""The processes: each a thin door to the real command, and `up`, which runs them all."""

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from returns_pipeline.host.embedded import Processes
    from returns_pipeline.store.database import Database

#: What a command does not know itself goes on to Celery or Flower as it is.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--help"]}


def worker(context: typer.Context) -> None:
    """Start a worker; the same as `celery -A workers.app worker`, whose options it takes."""
    _celery("worker", *context.args)


def beat(context: typer.Context) -> None:
    """Start the scheduler of the nightly scan; the same as `celery -A workers.app beat`."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    open_queue(settings).lengths()
    settings.home.mkdir(parents=True, exist_ok=True)
    _celery("beat", *context.args)


def flower(context: typer.Context) -> None:
    """Start Flower, the page that shows the queue, on RETURNS_FLOWER_HOST:RETURNS_FLOWER_PORT."""
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    open_queue(settings).lengths()
    password = settings.flower_password.get_secret_value()
    if password:
        # In the environment, not in the arguments: those are shown to every user of the machine.
        os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower_user}:{password}"
    # It shows; what is to be done is done through the command line.
    address = (f"--address={settings.flower_host}", f"--port={settings.flower_port}", "--read_only=True")
    _celery("flower", *address, *context.args)


def up() -> None:
    """Run everything in one terminal, embedded: Redis, workers, beat and Flower. Ctrl-C ends it."""
    import signal

    from returns_pipeline.host.embedded import Processes, require_free_port
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database
    from returns_pipeline.usecases import models
    from returns_pipeline.web.security.access import Authenticator

    settings = load_settings()
    require_free_port(settings.flower_host, settings.flower_port, "RETURNS_FLOWER_PORT")
    require_free_port(settings.web_host, settings.web_port, "RETURNS_WEB_PORT")
    database = Database(settings.database_url)
    database.upgrade()
    models.configured(settings, database)
    authenticator = Authenticator(settings, database)
    authenticator.require_account(settings)
    folders = [intake.folder for intake in settings.every_intake]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        processes.start("beat", "beat")
        processes.start("flower", "flower")
        processes.start("web", "web")
        page = authenticator.address(settings, with_token=True)
        night = f"{settings.scan_hour:02}:{settings.scan_minute:02} {settings.timezone}"
        intakes = ", ".join(map(str, folders))
        typer.echo(f"Intake    {intakes}  (scanned at {night}; now: `returns-pipeline scan --wait`)")
        typer.echo(f"Web       {page}")
        typer.echo(f"Flower    http://{settings.flower_host}:{settings.flower_port}")
        typer.echo(f"Logs      {settings.home / 'logs'}")
        typer.echo("Ctrl-C ends everything.")
        try:
            _watch(processes, database)
        except KeyboardInterrupt:
            typer.echo("Stopping: running chunks are finished first.")


def _watch(processes: "Processes", database: "Database") -> NoReturn:
    """Start again what ends, and tell of each run that closes."""
    import time

    from returns_pipeline.errors import TransientFault
    from returns_pipeline.store import runs

    told = max((run.id for run in runs.latest(database, 1)), default=0)
    while True:
        for line in processes.mend():
            typer.echo(line)
        try:
            closed = [run for run in runs.latest(database, 20) if run.id > told and run.closed_at]
        except TransientFault:
            closed = []  # the workers say so themselves
        for run in reversed(closed):
            counts = run.counts
            typer.echo(
                f"Run {run.id} closed: {counts.classified:,} classified, {counts.quarantined:,} quarantined, "
                f"{counts.failed:,} failed. {run.report}"
            )
        told = max([told, *(run.id for run in closed)])
        time.sleep(1)


def _celery(*arguments: str) -> NoReturn:
    """Become Celery, so that signals reach it directly. The settings are read first, for a clear refusal."""
    from returns_pipeline.settings import load_settings

    load_settings()
    sys.stdout.flush()
    command = [sys.executable, "-m", "celery", "-A", "workers.app", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
