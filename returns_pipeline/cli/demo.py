"""`returns-pipeline demo`: a scan of the shipped samples, from an empty folder to a report and returns."""

from pathlib import Path
from typing import TYPE_CHECKING

from returns_pipeline.cli import console

if TYPE_CHECKING:
    from returns_pipeline.store.database import Database

#: Seconds in which photos are compared with earlier ones after the run, on a slow machine too.
_MATCHING_SECONDS = 60.0


def demo() -> None:
    """Classify the shipped samples: start Redis and workers, scan as at night, write a report, stop."""
    import uuid

    from beat_schedule import beat_schedule
    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.output.runs import print_run
    from returns_pipeline.host.embedded import Processes
    from returns_pipeline.host.follow import follow
    from returns_pipeline.host.requests import Request
    from returns_pipeline.host.up import model_lines
    from returns_pipeline.private_files import make_private_folders
    from returns_pipeline.records.tasks import Task
    from returns_pipeline.settings import SHIPPED, load_settings, settings_of_home
    from returns_pipeline.store.database import Database
    from returns_pipeline.usecases.manifests import import_file
    from returns_pipeline.usecases.models import person

    # A separate home: samples must not mix with real returns. Small chunks move the bar more often.
    settings = settings_of_home(
        load_settings().home / "demo", settle_seconds=0, chunk_size=32, file_pattern="^(RMA-[0-9]+) "
    )
    database = Database(settings.database_url)
    database.upgrade()
    make_private_folders([settings.incoming_dir, *settings.private_folders])
    with Processes(settings) as processes:
        console.print_line("Starting Redis and two workers …")
        processes.start_redis()
        processes.start_workers()
        announced = import_file(settings, database, SHIPPED / "samples" / "returns.csv", person(), {})
        console.print_line(f"{announced.counts.lines} returns were announced: samples/returns.csv")
        photos = _photograph(SHIPPED / "samples", settings.incoming_dir)
        console.print_line(f"{photos} photos came in: {console.short_path(settings.incoming_dir)}")
        for line in model_lines(settings, database):
            console.print_line(line)
        queue = open_queue(settings)
        nightly = beat_schedule(settings)["nightly-scan"]
        request_id = str(uuid.uuid4())
        queue.send(Task(nightly["task"]), request_id=request_id, queue=nightly["options"]["queue"])
        summary = follow(database, queue, Request(request_id, request_id))
        _wait_for_matches(database)
    print_run(summary)
    _print_returns(database)


def _photograph(samples: Path, incoming: Path) -> int:
    """Copy the samples as if they had been photographed now, and return their number.

    The photo of an announced return has its number in its name. One sample is sent in with two returns.
    """
    import csv
    import shutil

    with (samples / "returns.csv").open(encoding="utf-8", newline="") as file:
        returns = [(line["number"], line["photo"]) for line in csv.DictReader(file) if line["photo"]]
    for number, photo in returns:
        shutil.copy(samples / photo, incoming / f"{number} {photo}")
    of_returns = {photo for _, photo in returns}
    others = [
        path for path in samples.iterdir() if path.suffix in {".png", ".jpg"} and path.name not in of_returns
    ]
    for path in others:
        shutil.copy(path, incoming)
    return len(returns) + len(others)


def _wait_for_matches(database: "Database") -> None:
    """Wait until the photos of the run are compared with earlier ones, and their returns are judged."""
    import time

    from returns_pipeline.store import likeness, returns

    until = time.monotonic() + _MATCHING_SECONDS
    while (likeness.waiting(database, 1) or returns.is_queued(database)) and time.monotonic() < until:
        time.sleep(0.05)


def _print_returns(database: "Database") -> None:
    """Print how many returns were announced, came, are another category or have a photo used before."""
    from returns_pipeline.records.return_lists import GROUPS, Decided, ReturnFilter, ReturnOrder, VerdictGroup
    from returns_pipeline.records.verdicts import VerdictKind
    from returns_pipeline.report import return_words
    from returns_pipeline.store import return_lists
    from returns_pipeline.terminal import Terminal, framed_table, plain_table

    found = return_lists.open_counts(database)
    counts = {
        "expected": GROUPS[VerdictGroup.EXPECTED],
        "arrived": GROUPS[VerdictGroup.ARRIVED],
        "mismatched": [VerdictKind.MISMATCH],
        "reused": [VerdictKind.REUSED_PHOTO],
    }
    table = framed_table("Returns")
    for name in counts:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*(f"{sum(found.get(each, 0) for each in kinds):,}" for kinds in counts.values()))
    Terminal().print_table(table)
    wanted = ReturnFilter(verdict=VerdictGroup.TO_CHECK, decision=Decided.OPEN)
    reasons = plain_table()
    reasons.add_column("return", no_wrap=True)
    reasons.add_column("to check", overflow="fold")
    for each in return_lists.page(database, wanted, ReturnOrder.WORST, None, 10).returns:
        reasons.add_row(each.item.number, " ".join(return_words.sentences(each.item)))
    Terminal().print_table(reasons)
