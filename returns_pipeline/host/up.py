"""Runs every process of one home in one terminal until it is interrupted."""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from returns_pipeline.errors import ConfigFault, TransientFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.host.notice import Notice
from returns_pipeline.private_files import make_private_folders
from returns_pipeline.settings import Settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import models

_POLL_SECONDS = 1
#: Runs that can finish between two polls and still be reported.
_RECENT_RUNS = 20


def run_all(
    settings: Settings,
    database: Database,
    web_address: Callable[[], str],
    print_line: Callable[[str], None],
    *,
    trains: bool,
) -> None:
    """Start Redis, workers, beat, Flower and the web; restart what ends; return on Ctrl-C or SIGTERM.

    If it `trains`, a worker for retrainings starts too. `print_line` shows a line. `web_address` is called
    once the web has started, and returns its address.
    """
    make_private_folders([*(intake.folder for intake in settings.every_intake), *settings.private_folders])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        if settings.interactive_processes:
            processes.start_interactive()
        if trains:
            processes.start_trainer()
        processes.start("beat", "beat")
        processes.start("flower", "flower")
        processes.start("web", "web")
        night = f"{settings.scan_hour:02}:{settings.scan_minute:02} {settings.timezone}"
        intakes = ", ".join(str(intake.folder) for intake in settings.every_intake)
        print_line(f"Intake    {intakes}  (scanned at {night}; to scan now: `returns-pipeline scan --wait`)")
        for line in model_lines(settings, database):
            print_line(line)
        print_line(f"Web       {web_address()}")
        print_line(f"Flower    http://{settings.flower_host}:{settings.flower_port}")
        print_line(f"Logs      {settings.home / 'logs'}")
        print_line("Press Ctrl-C to stop everything.")
        notice = Notice(settings.home)
        try:
            _watch(processes, database, notice, _undisturbed(print_line))
        except KeyboardInterrupt:
            print_line("Stopping; chunks in progress are finished first.")
        finally:
            notice.close()


def model_lines(settings: Settings, database: Database) -> list[str]:
    """Return which models new runs use, what they know, and how to choose another, a line for each."""
    try:
        bundles = {str(bundle.ref): bundle for bundle in models.configured(settings, database)}
    except ConfigFault as fault:
        return [f"Model     {fault}"]
    lines = [f"Model     {name} knows {bundle.knows}" for name, bundle in bundles.items()]
    if any(bundle.input.channels == 1 for bundle in bundles.values()):
        lines.append("          For colour photos choose another, for example RETURNS_MODEL=clothing")
    return lines


def _undisturbed(print_line: Callable[[str], None]) -> Callable[[str], None]:
    """Return `print_line` without its faults: a full disk or a closed pipe must not end all processes."""

    def print_if_possible(line: str) -> None:
        with contextlib.suppress(OSError):
            print_line(line)

    return print_if_possible


def _watch(
    processes: Processes, database: Database, notice: Notice, print_line: Callable[[str], None]
) -> NoReturn:
    """Restart processes that end, and report each run that finishes."""
    last_reported = max((run.id for run in runs.latest(database, 1)), default=0)
    noted: dict[str, str] = {}
    while True:
        for line in processes.restart_ended():
            print_line(line)
        if processes.pausing() != noted:
            noted = processes.pausing()
            notice.write(noted)
        try:
            recent = runs.latest(database, _RECENT_RUNS)
        except TransientFault:
            recent = []  # the logs of the workers have it too
        closed = [run for run in recent if run.id > last_reported and run.closed_at]
        for run in reversed(closed):
            counts = run.counts
            print_line(
                f"Run {run.id} finished: {counts.classified:,} classified, "
                f"{counts.quarantined:,} quarantined, {counts.failed:,} failed. {run.report}"
            )
        last_reported = max([last_reported, *(run.id for run in closed)])
        time.sleep(_POLL_SECONDS)
