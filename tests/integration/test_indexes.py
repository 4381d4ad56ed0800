"""No statement on the way of a photo reads a whole table."""

import re
from typing import Any

import sqlalchemy as sa

from returns_pipeline import nightly
from returns_pipeline.store import images, runs
from returns_pipeline.store.database import utc_now
from tests.support import Installation, write_images

_READS_ALL = re.compile(r"SCAN (?:images|chunks|runs)\b(?! USING)|Seq Scan on (?:images|chunks|runs)")


def test_every_statement_of_a_run_and_of_the_sweep_uses_an_index(home: Installation) -> None:
    """Scan, claim, store, finish, close, report and sweep find their rows by an index, on both databases."""
    statements: list[tuple[str, Any]] = []

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if re.match(r"(SELECT|UPDATE|DELETE)", statement):
            statements.append((statement, parameters[0] if many else parameters))

    pipeline, queue = home.inline()
    _fill(home)
    sa.event.listen(home.database._engine, "before_cursor_execute", remember)
    write_images(home.settings.incoming_dir, 3)
    run_id = nightly.scan(pipeline, "request")
    nightly.sweep(pipeline)
    queue.deliver(pipeline)
    list(images.results(home.database, run_id))
    runs.progress(home.database, run_id)
    sa.event.remove(home.database._engine, "before_cursor_execute", remember)
    assert len(statements) > 25
    slow = {}
    with home.database.read() as connection:
        if not home.database.is_sqlite:
            # So few rows are read at once whatever indexes there are: could one be used?
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if home.database.is_sqlite else "EXPLAIN "
        for statement, parameters in statements:
            plan = "\n".join(
                str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters)
            )
            if _READS_ALL.search(plan):
                slow[statement] = plan
    assert slow == {}


def _fill(home: Installation) -> None:
    """Close a run before, so that there are rows that must not be read."""
    write_images(home.settings.incoming_dir, 30)
    pipeline, queue = home.inline()
    nightly.scan(pipeline, f"earlier {utc_now()}")
    queue.deliver(pipeline)
