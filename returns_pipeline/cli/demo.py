"""`returns-pipeline demo`: a nightly scan of the shipped samples, from an empty folder to a report."""

from returns_pipeline.cli import console


def demo() -> None:
    """Classify the shipped samples: start Redis and workers, scan as at night, write a report, stop."""
    import shutil
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

    # A separate home: samples must not mix with real returns. Small chunks move the bar more often.
    settings = settings_of_home(load_settings().home / "demo", settle_seconds=0, chunk_size=32)
    database = Database(settings.database_url)
    database.upgrade()
    make_private_folders([settings.incoming_dir, *settings.private_folders])
    with Processes(settings) as processes:
        console.print_line("Starting Redis and two workers …")
        processes.start_redis()
        processes.start_workers()
        samples = [path for path in (SHIPPED / "samples").iterdir() if path.suffix in {".png", ".jpg"}]
        for path in samples:
            shutil.copy(path, settings.incoming_dir)
        console.print_line(f"{len(samples)} photos came in: {console.short_path(settings.incoming_dir)}")
        for line in model_lines(settings, database):
            console.print_line(line)
        queue = open_queue(settings)
        nightly = beat_schedule(settings)["nightly-scan"]
        request_id = str(uuid.uuid4())
        queue.send(Task(nightly["task"]), request_id=request_id, queue=nightly["options"]["queue"])
        summary = follow(database, queue, Request(request_id, request_id))
    print_run(summary)
