"""Faults of returns: a process that dies between the photos of a return and its verdict."""

from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.records.returns import ReturnAction
from returns_pipeline.store import tables
from tests.faults.night import Night, until

#: Photos of one return.
_OF_ONE = 3


def kill_judges(night: Night) -> int:
    """Kill a process that has taken returns from the queue, before their verdicts are committed.

    Every return has its verdict, written once.
    """
    flag = Path(night.home.settings.home) / "killed"
    night.worker_environment |= {"FAULT_JUDGING": str(flag)}
    count = max(6, int(300 * night.scale))
    for number in range(count):
        folder = night.home.settings.incoming_dir / f"RMA-{number // _OF_ONE}"
        folder.mkdir(parents=True, exist_ok=True)
        night.image(folder / f"{number}.png", number % 250)
    night.start_worker()
    night.finish(night.scan())
    database = night.home.database
    waiting = sa.select(sa.func.count()).select_from(tables.returns_to_judge)

    def is_judged() -> bool:
        with database.read() as connection:
            return not connection.execute(waiting).scalar_one()

    until(is_judged, 60, "the returns are judged")
    assert flag.exists(), "no process was killed"
    with database.read() as connection:
        events = connection.execute(
            sa.select(tables.return_events.c.return_id).where(
                tables.return_events.c.action == ReturnAction.VERDICT
            )
        ).scalars()
        assert list(Counter(events).values()) == [1] * -(-count // _OF_ONE)
    return 1
