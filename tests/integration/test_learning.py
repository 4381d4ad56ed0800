"""What is learned each night from what customers kept, on both databases."""

import sys
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from beat_schedule import beat_schedule
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import learnings
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.tables import product_neighbours
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.events import forget
from returns_pipeline.usecases.learning import learn, learn_nightly
from tests.products import keep
from tests.support import Installation


def learning_from(home: Installation, events: int) -> tuple[Context, InProcessQueue]:
    """Return a pipeline that learns from so many events."""
    settings = home.settings.model_copy(update={"learn_events": events})
    return Installation(settings, home.database).in_process()


def test_each_night_learns_once_from_enough_events(home: Installation) -> None:
    """Too few events teach nothing, a second message of a night neither; the next night learns again."""
    context, queue = learning_from(home, 10)
    db, night = home.database, datetime(2026, 11, 2, 2, 30, tzinfo=UTC)

    def learned(now: datetime) -> set[str]:
        learn_nightly(context, now)
        with db.read() as connection:
            return set(connection.execute(sa.select(product_neighbours.c.product)).scalars())

    for number in range(4):
        keep(db, f"K{number}", "A", "B")
    assert learned(night) == set()
    keep(db, "K4", "A", "B")
    assert learned(night - timedelta(minutes=1)) == set()
    assert learned(night) == {"A", "B"}
    for number in range(5):
        keep(db, f"L{number}", "C", "D")
    assert learned(night + timedelta(hours=23)) == {"A", "B"}
    assert learned(night + timedelta(days=1)) == {"A", "B", "C", "D"}
    beat = beat_schedule(context.settings)
    assert beat["learning"]["task"] == Task.LEARN
    assert "learning" not in beat_schedule(context.settings.model_copy(update={"learn_events": 0}))
    queue.send(Task.LEARN)
    queue.deliver(context)


def test_what_came_from_a_forgotten_customer_is_gone_after_a_night(home: Installation) -> None:
    """Two customers make neighbours; without one of them there are none, although few events are left."""
    context, _ = learning_from(home, 1000)
    db, now = home.database, utc_now()
    for name in ("K1", "K2"):
        keep(db, name, "A", "B")
    assert learn(db) == 2
    learn_nightly(context, now + timedelta(days=2))
    with db.read() as connection:
        assert connection.execute(sa.select(product_neighbours)).all()
    forget(db, "K1", "ann")
    learn_nightly(context, now + timedelta(days=2))
    with db.read() as connection:
        assert connection.execute(sa.select(product_neighbours)).all() == []


def test_without_the_library_a_night_says_so_and_goes_on(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is stored once a night; nothing is raised, and what was learned before stays."""
    context, _ = learning_from(home, 1)
    db, now = home.database, utc_now()
    for name in ("K1", "K2"):
        keep(db, name, "A", "B")
    assert learn(db) == 2
    monkeypatch.setitem(sys.modules, "implicit.nearest_neighbours", None)
    learn_nightly(context, now + timedelta(days=2))
    last = learnings.last(db)
    assert last is not None
    assert "implicit is not installed" in (last.fault or "")
    assert last.finished_at
    learn_nightly(context, now + timedelta(days=2))
    assert learnings.last(db) == last
    with db.read() as connection:
        assert len(connection.execute(sa.select(product_neighbours)).all()) == 2
