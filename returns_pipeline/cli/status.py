"""`returns-pipeline status`: what is open, the last and the next night, queues and workers."""

import typer

from returns_pipeline.cli import console
from returns_pipeline.cli.installation import open_database
from returns_pipeline.cli.options import Json


def status(as_json: Json = False) -> None:
    """Show open work and its age, the last and the next night, queues and workers."""
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    from returns_pipeline.broker.celery_queue import open_queue
    from returns_pipeline.cli.output import status as output
    from returns_pipeline.errors import TransientFault
    from returns_pipeline.settings import load_settings

    settings = load_settings()
    queue = open_queue(settings)
    with ThreadPoolExecutor(1) as pool:
        # Ping has no known reply count, so it always uses the full timeout, though a reply takes some 10 ms.
        # The imports and queries below run meanwhile.
        replies = pool.submit(queue.workers, timeout=0.3)
        from returns_pipeline.store import images, outbox, runs
        from returns_pipeline.store.database import utc_now
        from returns_pipeline.usecases.intakes import alarms
        from returns_pipeline.usecases.schedule import next_due

        database, now = open_database(settings), utc_now()
        found = output.Status(
            open_runs=runs.unclosed(database),
            open_work=images.open_work(database),
            last_night=runs.newest_night(database),
            next_night=next_due(settings, now),
            alarms=[str(alarm) for alarm in alarms(settings, database, now)],
            broker_fault=None,
            notices=outbox.counts(database),
        )
    try:
        queue.require_writable()
        waiting, workers = queue.lengths(), sorted(replies.result())
        found = replace(found, queues=waiting, workers=workers)
    except TransientFault as fault:
        # Open work comes from the database, so it is shown without a broker too.
        found = replace(found, broker_fault=str(fault))
    if as_json:
        console.print_json(output.status_as_dict(found))
    else:
        output.print_status(found)
    if found.broker_fault:
        raise typer.Exit(1)
