"""Pages say what is true: which night, which time zone, which model, and what can be done."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.store import images, runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import models
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.schedule import last_due
from tests.support import write_images, write_stub_bundle
from tests.web import Site, site


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the web alone, in a time zone where it is never the same hour as in UTC."""
    with site(tmp_path_factory.mktemp("site"), with_workers=False, timezone="Asia/Kathmandu") as running:
        yield running


def _night(here: Site, name: str, *, ago: timedelta = timedelta(), closed: bool = True) -> int:
    """Add a night's run that was opened `ago` before the newest night was due; return its id."""
    database, settings = here.home.database, here.home.settings
    bundle = find_bundle(settings.models_dir, "stub/1")
    request = RunRequest(name, RunKind.NIGHTLY, None, bundle.ref, bundle.digest, {})
    run_id = runs.open_run(database, request)
    opened_at = last_due(settings, utc_now()) - ago
    with database.write() as connection:
        values = {"opened_at": opened_at, "state": "closed" if closed else "running"}
        values |= {"closed_at": opened_at + timedelta(minutes=1)} if closed else {}
        connection.execute(sa.update(tables.runs).where(tables.runs.c.id == run_id).values(**values))
    return run_id


def test_last_night_is_a_finished_night_of_last_night(here: Site) -> None:
    """A running night is said to run; an old night is not called last night; a page notices new runs."""
    _night(here, "old", ago=timedelta(days=3))
    page = here.page("/").text
    assert "The newest finished night" in page
    assert "Last night:" not in page
    before = here.ask("GET", "/api/v1/runs/version").json()["version"]
    assert f'data-version="{before}"' in page
    finished = _night(here, "last")
    running = _night(here, "now", ago=-timedelta(seconds=1), closed=False)
    page = here.page("/").text
    assert f'Last night: <a href="/runs/{finished}">' in page
    assert "A night is being worked on now." in page
    assert f"Run {running}</a> (night)" in page
    assert here.ask("GET", "/api/v1/runs/version").json()["version"] != before


def test_moments_are_those_of_the_time_zone(here: Site) -> None:
    """No page shows UTC to a clerk of another zone; each moment has its exact value for the browser."""
    run_id = _night(here, "last")
    for path in ("/", "/runs", f"/runs/{run_id}", "/models"):
        page = here.page(path).text
        assert "UTC" not in page, path
        assert "All times are those of Asia/Kathmandu." in page
    assert "T02:00:00+05:45" in here.page("/runs").text


def test_the_page_of_models_says_what_runs_use(here: Site) -> None:
    """A change of a model that no run uses is not said to change every run; no roll-back leads nowhere."""
    models_dir, database = here.home.settings.models_dir, here.home.database
    write_stub_bundle(models_dir, "other")
    page = here.page("/models").text
    assert "New runs use <strong>stub/1</strong>" in page
    assert "No run uses the active version of other now" in here.page("/models/other/1/promote").text
    assert "Every run that opens from now on uses stub/1" in here.page("/models/stub/1/promote").text
    models.choose(here.home.settings, database)
    assert "Roll back" not in here.page("/models").text
    write_stub_bundle(models_dir, version=2)
    models.promote(here.home.settings, database, "stub/2", who="ann", force=True)
    assert "/models/stub/rollback" in here.page("/models").text


def test_an_explanation_that_is_not_there_yet_is_waited_for(here: Site) -> None:
    """While the worker loads its model, the page says so, asks again, and has a button: that is no fault."""
    here.processes.start_redis()
    write_images(here.home.settings.incoming_dir, 1)
    context, queue = here.home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    image = next(images.results(here.home.database, run_id))
    page = here.page(f"/images/{image.id}?why=1").text
    assert "Working on it." in page
    assert f'data-wait="/api/v1/images/{image.id}/explanation"' in page
    assert f'href="/images/{image.id}?why=1">Try again</a>' in page
