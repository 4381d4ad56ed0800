"""How monitoring sees the newest night."""

from datetime import timedelta

import sqlalchemy as sa

from returns_pipeline.records.runs import RunKind
from returns_pipeline.store import run_closing, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import schedule
from returns_pipeline.usecases.closing import close_run
from returns_pipeline.usecases.night_watch import NightState, states
from returns_pipeline.usecases.runs import run_request, scan
from tests.support import Installation, write_images


def test_a_night_is_missing_until_it_has_a_run_and_late_until_that_is_closed(home: Installation) -> None:
    """Five minutes after it was due it is missing, four hours after it was due it is late."""
    context, queue = home.in_process()
    settings, database = home.settings, home.database
    due = schedule.next_due(settings, utc_now())
    assert states(settings, database, due + timedelta(hours=5)) == [NightState("stub", False, False, 0)]
    write_images(settings.incoming_dir, 3)
    scan(context, "the first run")
    queue.deliver(context)

    assert states(settings, database, due + timedelta(minutes=4)) == [NightState("stub", False, False, 0)]
    assert states(settings, database, due + timedelta(minutes=6)) == [NightState("stub", True, False, 0)]
    assert states(settings, database, due + timedelta(hours=5)) == [NightState("stub", True, True, 0)]

    request = run_request(context, schedule.night_request(due), RunKind.NIGHTLY, settings.incoming_dir)
    night = runs.open_run(database, request)
    assert states(settings, database, due + timedelta(hours=5)) == [NightState("stub", False, True, 0)]
    runs.end_scan(database, night)
    assert run_closing.is_complete(database, night)
    close_run(context, night)
    with database.write() as connection:
        change = {"property": "brightness", "bin": "1", "share": 0.5, "usual": 0.1, "chance": 0.001}
        row = change | {"run_id": night, "is_new": True, "examples": []}
        connection.execute(sa.insert(tables.run_changes).values(row))
    assert states(settings, database, due + timedelta(hours=5)) == [NightState("stub", False, False, 1)]
