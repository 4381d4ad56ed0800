"""Faults of expected products: a process that dies between the photos of a return and their comparison."""

import time
from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.host.embedding import embed_here
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import product_calibrations, spaces, tables
from returns_pipeline.usecases.catalogue import ImportOptions, import_path
from tests.faults.night import Night, until
from tests.returns import announce
from tests.spaces import write_catalogue

_PRODUCTS = 16


def kill_product_comparisons(night: Night) -> int:
    """Kill a process that has compared a return with its product, before the result is committed.

    Every return is compared, and judged with what was found.
    """
    settings, database = night.home.settings, night.home.database
    flag = Path(settings.home) / "killed"
    night.worker_environment |= {"FAULT_PRODUCTS": str(flag)}
    shop = write_catalogue(Path(settings.home) / "shop", _PRODUCTS)
    import_path(settings, database, shop, "ann", ImportOptions({}))
    embed_here(settings, database, lambda *_: None)
    space = spaces.active(database)
    assert space is not None
    product_calibrations.begin(database, space.id, 600)
    # Each item looks as right ones do, so the verdict stays at the category.
    product_calibrations.save(database, space.id, _PRODUCTS, [-2.0] * 100)
    numbers = [f"R-{number}" for number in range(max(6, int(60 * night.scale)))]
    these = tables.returns.c.number.in_(numbers)
    announce(database, dict.fromkeys(numbers, None))
    with database.write() as connection:
        connection.execute(sa.update(tables.returns).where(these).values(product="2"))
    for place, number in enumerate(numbers):
        night.image(settings.incoming_dir / f"{number}.png", place % 250)
    night.start_worker()
    night.finish(night.scan())
    compared = sa.select(sa.func.count()).where(tables.product_comparisons.c.rate.is_not(None))
    queue = open_queue(settings)

    def is_compared() -> bool:
        with database.read() as connection:
            if connection.execute(compared).scalar_one() == len(numbers):
                return True
        # As the sweep does, once the lease of the dead process is over.
        queue.send(Task.COMPARE_RETURNS)
        time.sleep(0.5)
        return False

    until(is_compared, 120, "the returns are compared")
    assert flag.exists(), "no process was killed"
    judged = sa.select(sa.func.count()).where(tables.returns_to_judge.c.return_id.is_not(None))
    waiting = sa.select(sa.func.count()).where(tables.returns_to_compare.c.return_id.is_not(None))
    with database.read() as connection:
        assert connection.execute(waiting).scalar_one() == 0

    def is_judged() -> bool:
        with database.read() as connection:
            return not connection.execute(judged).scalar_one()

    until(is_judged, 60, "the returns are judged")
    with database.read() as connection:
        details = connection.execute(sa.select(tables.returns.c.verdict_detail).where(these)).scalars().all()
    assert all(each["product"]["product"] == "2" for each in details)
    return 1
