"""A night whose photos are unlike those of the nights before is found, told once, and shown with photos."""

import numpy as np
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import outbox, run_mixes, tables
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import drift, sweep
from returns_pipeline.usecases.runs import scan
from tests.support import Installation

_PHOTOS, _NIGHTS = 60, 20
_BRIGHT, _DARK = 140, 70


def night(home: Installation, name: str, level: int, *, is_lost: bool = False) -> int:
    """Take a night of grey pictures from its scan to its end; return its run.

    If its last message `is_lost`, it is not compared.
    """
    home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    for number in range(_PHOTOS):
        # Other pixels for each file, so that none came in before.
        pixels = np.full((8, 8), level + number % 9, np.uint8)
        pixels[1, :3] = number, level, len(name)
        Image.fromarray(pixels).save(home.settings.incoming_dir / f"{name}-{number}.png")
    context, queue = home.in_process()
    run_id = scan(context, name, kind=RunKind.NIGHTLY)
    while queue.messages:
        if is_lost and Task.COMPARE_NIGHT in {message.task for message in queue.messages}:
            queue.take(Task.COMPARE_NIGHT)
        queue.deliver_one(context)
    return run_id


def repeat(database: Database, run_id: int, nights: int) -> None:
    """Store further nights like one, with some photos more or less in each bin."""
    rng = np.random.default_rng(0)
    with database.write() as connection:
        run = connection.execute(sa.select(tables.runs).where(tables.runs.c.id == run_id)).one()._mapping
        counted = connection.execute(sa.select(tables.run_mixes)).all()
        for number in range(nights):
            values = {**run, "id": run_id + 1 + number, "request_id": f"night {number}"}
            connection.execute(sa.insert(tables.runs).values(values))
            rows = [
                {
                    **row._mapping,
                    "run_id": values["id"],
                    "photos": max(0, row.photos + int(rng.integers(-3, 4))),
                }
                for row in counted
            ]
            connection.execute(sa.insert(tables.run_mixes), rows)
        if not database.is_sqlite:
            # The next run gets its id from here.
            connection.execute(sa.text(f"SELECT setval('runs_id_seq', {run_id + nights})"))


def told(database: Database) -> list[str]:
    """Return the notices of changes."""
    return [each.text for each, _ in outbox.latest(database, 50) if each.kind is NoticeKind.NIGHT_CHANGED]


def test_a_darker_camera_is_found_told_once_and_shown(home: Installation) -> None:
    """The first dark night is told, with dark photos; a second delivery and a second dark night are not."""
    database = home.database
    first = night(home, "first", _BRIGHT)
    assert run_mixes.changes(database, first) == []
    repeat(database, first, _NIGHTS)
    quiet = night(home, "quiet", _BRIGHT)
    assert run_mixes.changes(database, quiet) == []
    assert told(database) == []
    dark = night(home, "dark", _DARK)
    (change,) = (each for each in run_mixes.changes(database, dark) if each.property == "brightness")
    assert (change.share, change.is_new) == (1.0, True)
    assert change.usual < 0.1
    (text,) = told(database)
    assert "Dark photos" in text
    shown = change.examples
    query = sa.select(tables.images.c.id).where(
        tables.images.c.run_id == dark, tables.images.c.brightness < 96, tables.images.c.id.in_(shown)
    )
    with database.read() as connection:
        assert len(connection.execute(query).all()) == len(shown) == 12
    context, _ = home.in_process()
    for _ in range(2):
        drift.compare_night(context, dark)
    later = night(home, "later", _DARK)
    assert all(not each.is_new for each in run_mixes.changes(database, later))
    assert told(database) == [text]


def test_a_lost_message_is_sent_again_and_old_nights_are_only_counted(home: Installation) -> None:
    """The sweep has nights counted that are not; of these, only the last of its intake is compared."""
    database = home.database
    first = night(home, "first", _BRIGHT)
    repeat(database, first, _NIGHTS)
    old = night(home, "old", _DARK, is_lost=True)
    last = night(home, "last", _BRIGHT, is_lost=True)
    assert run_mixes.missing(database, 5) == [last, old]
    context, queue = home.in_process()
    sweep.sweep(context)
    queue.deliver(context)
    assert run_mixes.missing(database, 5) == []
    assert run_mixes.changes(database, old) == []
    assert run_mixes.changes(database, last) == []
    assert told(database) == []


def test_every_property_of_a_night_is_counted(sqlite_home: Installation) -> None:
    """What is counted adds up to the photos of the night, for each property that is known."""
    run_id = night(sqlite_home, "first", _BRIGHT)
    query = (
        sa.select(tables.run_mixes.c.property, sa.func.sum(tables.run_mixes.c.photos))
        .where(tables.run_mixes.c.run_id == run_id)
        .group_by(tables.run_mixes.c.property)
    )
    with sqlite_home.database.read() as connection:
        found = {row[0]: row[1] for row in connection.execute(query)}
    assert found == dict.fromkeys(
        ("category", "confidence", "brightness", "pixels", "file_size", "format"), _PHOTOS
    )
