"""The processes: each a thin door to the real command, and `up`, which runs them all."""

import os
import sys
from typing import NoReturn

import typer

#: What a command does not know itself goes on to Celery or Flower as it is.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["--help"]}


def worker(context: typer.Context) -> None:
    """Start a worker; the same as `celery -A workers.app worker`, whose options it takes."""
    _celery("worker", *context.args)


def beat(context: typer.Context) -> None:
    """Start the scheduler of the nightly scan; the same as `celery -A workers.app beat`."""
    from returns_pipeline.settings import load_settings

    load_settings().home.mkdir(parents=True, exist_ok=True)
    _celery("beat", *context.args)


def flower(context: typer.Context) -> None:
    """Start Flower, the page that shows the queue, on RETURNS_FLOWER_HOST:RETURNS_FLOWER_PORT."""
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    password = settings.flower_password.get_secret_value()
    if password:
        # In the environment, not in the arguments: those are shown to every user of the machine.
        os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower_user}:{password}"
    address = (f"--address={settings.flower_host}", f"--port={settings.flower_port}")
    _celery("flower", *address, *context.args)


def up() -> None:
    """Run everything in one terminal, embedded: Redis, workers, beat and Flower. Ctrl-C ends it."""
    import signal
    import time

    from returns_pipeline.embedded import Processes
    from returns_pipeline.settings import load_settings
    from returns_pipeline.store.database import Database

    settings = load_settings()
    Database(settings.database_url).upgrade()
    settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        processes.start("beat", "beat")
        processes.start("flower", "flower")
        night = f"{settings.scan_hour:02}:{settings.scan_minute:02} {settings.timezone}"
        typer.echo(
            f"Intake    {settings.incoming_dir}  (scanned at {night}; now: `returns-pipeline scan --wait`)"
        )
        typer.echo(f"Flower    http://{settings.flower_host}:{settings.flower_port}")
        typer.echo(f"Logs      {settings.home / 'logs'}")
        typer.echo("Ctrl-C ends everything.")
        try:
            while True:
                processes.check()
                time.sleep(1)
        except KeyboardInterrupt:
            typer.echo("Stopping: running chunks are finished first.")


def _celery(*arguments: str) -> NoReturn:
    """Become Celery, so that signals reach it directly. The settings are read first, for a clear refusal."""
    from returns_pipeline.settings import load_settings

    load_settings()
    sys.stdout.flush()
    command = [sys.executable, "-m", "celery", "-A", "workers.app", *arguments]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter
