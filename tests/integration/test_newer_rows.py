"""Rows that a newer version wrote break no list and no page, and an older worker leaves them alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.records.runs import RunState
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import images, jobs, runs, tables
from returns_pipeline.store.database import Database
from returns_pipeline.usecases import models
from returns_pipeline.usecases.chunks import classify_chunk
from returns_pipeline.usecases.jobs import progress_of_all, resend_lost_jobs
from returns_pipeline.usecases.results import results
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images
from tests.web import Site, closed_run, site

#: Every column whose values are an enum to which a newer version may add.
COLUMNS = (
    tables.runs.c.kind,
    tables.runs.c.state,
    tables.images.c.state,
    tables.predictions.c.decision,
    tables.model_versions.c.stage,
    tables.model_changes.c.action,
    tables.jobs.c.kind,
    tables.reviews.c.kind,
)


def write_newer(database: Database, *columns: sa.Column[str]) -> None:
    """Set columns to a value that only a newer version knows, in every row."""
    with database.write() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        for column in columns:
            table = column.table.name
            checks = [] if database.is_sqlite else sa.inspect(connection).get_check_constraints(table)
            for check in checks:
                connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {check['name']}")
            connection.execute(sa.update(column.table).values({column.name: "newer"}))
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")


@contextmanager
def newer(database: Database, column: sa.Column[str]) -> Iterator[None]:
    """Let every row have a newer value in one column, during the block."""
    key = list(column.table.primary_key)
    with database.read() as connection:
        rows = connection.execute(sa.select(column, *key)).all()
    assert rows
    write_newer(database, column)
    try:
        yield
    finally:
        with database.write() as connection:
            for value, *ids in rows:
                row = sa.and_(*(each == part for each, part in zip(key, ids, strict=True)))
                connection.execute(sa.update(column.table).where(row).values({column.name: value}))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running site with a closed run, a job, waiting reviews and a change of a model."""
    with site(tmp_path_factory.mktemp("site"), audit_share=1) as running:
        closed_run(running, 3)
        yield running


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_a_value_of_a_newer_version_breaks_no_page(here: Site, column: sa.Column[str]) -> None:
    """With a newer value in any one column, every list and page of the web and the CLI still answers."""
    with newer(here.home.database, column):
        paths = ("runs", "runs/1", "images", "images/1", "models", "jobs", "reviews")
        answers = {f"/api/v1/{path}": here.ask("GET", f"/api/v1/{path}") for path in paths}
        answers["next review"] = here.ask("POST", "/api/v1/reviews/next")
        for path in ("/", "/runs", "/runs/1", "/images/1", "/models", "/review", "/metrics"):
            answers[path] = here.page(path)
        assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
        if column.table is tables.reviews:
            assert answers["next review"].json()["item"]["kind"] == "unknown"
        for command in (("runs", "list"), ("runs", "show", "1"), ("models", "list"), ("models", "history")):
            here.home.json(*command)


def test_lists_read_a_newer_value_as_unknown(home: Installation) -> None:
    """Runs, models, changes and jobs are listed as `unknown`; an image of a newer state counts as pending."""
    models.promote(home.settings, home.database, "stub/1", who="a person")
    write_images(home.settings.incoming_dir, 3)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    jobs.add(home.database, "job", JobKind.SCAN, None, "ann")
    write_newer(home.database, *(column for column in COLUMNS if column.table is not tables.reviews))
    run = runs.find(home.database, run_id)
    assert run is not None
    assert (run.kind, run.state) == ("unknown", "unknown")
    assert (run.counts.seen, run.counts.pending) == (3, 3)
    assert runs.progress(home.database, run_id).state is RunState.UNKNOWN
    assert [image.state for image in images.results(home.database, run_id)] == ["newer"] * 3
    assert [image.state for image in results(home.database, run_id)] == ["unknown"] * 3
    assert [version.stage for version in models.versions(home.settings, home.database)] == ["unknown"]
    assert [job.kind for job in jobs.latest(home.database, 5)] == ["unknown"]
    assert [progress.state for progress in progress_of_all(context, jobs.latest(home.database, 5))]


def test_an_older_worker_leaves_newer_work_alone(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of an unknown kind of run is released uncounted, and a job of an unknown kind is not sent."""
    monkeypatch.setattr("returns_pipeline.usecases.chunks.CONFIG_PAUSE_SECONDS", 0)
    write_images(home.settings.incoming_dir, 3)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    jobs.add(home.database, "job", JobKind.SCAN, None, "ann")
    write_newer(home.database, tables.runs.c.kind, tables.jobs.c.kind)
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    for _ in range(home.settings.max_attempts + 1):
        with pytest.raises(ConfigFault, match="newer version"):
            classify_chunk(context, chunk_id, "message")
    assert [image.state for image in images.results(home.database, run_id)] == ["pending"] * 3
    resend_lost_jobs(context, -1)
    assert not queue.messages
