"""The rows of old runs leave in small transactions; counts stay, and a night meanwhile loses nothing."""

import threading
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from openpyxl import load_workbook

from returns_pipeline.errors import ConfigFault
from returns_pipeline.records.removal import KeptRun, OldRunCounts
from returns_pipeline.settings import load_settings
from returns_pipeline.store import old_runs as old_run_rows
from returns_pipeline.store import run_statistics, runs, search_index, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import retention
from returns_pipeline.usecases.closing import update_report
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.old_runs import preview, remove_all, remove_some
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.search import find_images, roots_of
from tests.integration.test_reviews import closed_run
from tests.support import Installation, write_images
from tests.web import site

#: Images of a block of the index of names, here.
_BLOCK = 16
#: Tables that may have a row of an image or of a chunk's images.
_OF_IMAGES = (
    *(tables.images, tables.predictions, tables.image_fingerprints, tables.reviews, tables.review_changes),
    *(tables.compared_images, tables.image_keys, tables.image_matches, tables.embeddings),
    *(tables.uncompared_chunks, tables.search_grams),
)


def _aged(home: Installation, run_id: int) -> Context:
    """Let a run be 100 days old, and remove its photos; return the pipeline, which keeps rows for 60 days.

    A newer run has one photo.
    """
    closed_run(home, count=1, start=9000, audit_share=0.0)
    context, _ = home.in_process()
    kept = {"keep_days": 30, "keep_rows_days": 60}
    object.__setattr__(context, "settings", context.settings.model_copy(update=kept))
    old = utc_now() - timedelta(days=100)
    with home.database.write() as connection:
        this = tables.chunks.c.run_id == run_id
        connection.execute(sa.update(tables.chunks).where(this).values(received_at=old))
        this = tables.runs.c.id == run_id
        connection.execute(sa.update(tables.runs).where(this).values(opened_at=old, closed_at=old))
    retention.remove_all(context.settings, home.database, context.photos)
    update_report(context, run_id)
    return context


def _count(home: Installation, table: sa.Table) -> int:
    with home.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _left(home: Installation, last: int) -> dict[str, int]:
    """Return how many rows of images before `last`, and of their chunks, are left, by table."""
    found = {}
    with home.database.read() as connection:
        chunk_id = sa.select(tables.images.c.chunk_id).where(tables.images.c.id == last).scalar_subquery()
        ends = {"id": last, "image_id": last, "chunk_id": chunk_id, "block": last // _BLOCK}
        for table in _OF_IMAGES:
            names = ("id",) if table is tables.images else ("image_id", "chunk_id", "block")
            column = next(table.c[name] for name in names if name in table.c)
            query = sa.select(sa.func.count()).select_from(table).where(column < ends[column.name])
            found[table.name] = int(connection.execute(query).scalar_one())
    return {name: count for name, count in found.items() if count}


def test_the_rows_of_an_old_run_leave_and_its_counts_stay(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of an image is left in any table; run, categories, seconds and report are as before."""
    monkeypatch.setattr(search_index, "BLOCK", _BLOCK)
    monkeypatch.setattr(old_run_rows, "BLOCK", _BLOCK)
    monkeypatch.setattr(old_run_rows, "AT_ONCE", 7)
    run_id = closed_run(home, count=40, audit_share=0.0)
    for _ in range(2):
        search_index.index(home.database, roots_of(home.settings), 5)
    context = _aged(home, run_id)
    with home.database.read() as connection:
        last = connection.execute(sa.select(sa.func.max(tables.images.c.id))).scalar_one()
    before = runs.existing(home.database, run_id)
    labels = run_statistics.labels(home.database, [run_id])
    report = (home.settings.report_dir / f"run-{run_id}" / "results.csv").read_bytes()
    assert _count(home, tables.search_grams) > 0
    assert preview(context.settings, home.database) == OldRunCounts(1, 40, {})
    assert _count(home, tables.images) == 41
    remove_some(context)
    assert _left(home, last) == {}
    after = runs.existing(home.database, run_id)
    assert (after.counts, after.coloured, after.rows_removed_at is not None) == (
        before.counts,
        before.coloured,
        True,
    )
    assert run_statistics.labels(home.database, [run_id]) == labels
    assert (home.settings.report_dir / f"run-{run_id}" / "results.csv").read_bytes() == report
    assert find_images(home.database, home.settings, "image_3", 10)[1].images == []
    assert remove_all(context.settings, home.database) == OldRunCounts(0, 0, {})


def test_a_night_runs_while_old_rows_leave(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan, its chunks and its closing work between the transactions; each photo is classified."""
    monkeypatch.setattr(old_run_rows, "AT_ONCE", 3)
    run_id = closed_run(home, count=120, audit_share=0.0)
    context = _aged(home, run_id)
    write_images(home.settings.incoming_dir, 60, start=1000)
    night, queue = home.in_process()
    done: list[OldRunCounts] = []
    leaving = threading.Thread(target=lambda: done.append(remove_all(context.settings, home.database)))
    leaving.start()
    new_id = scan(night, "meanwhile")
    queue.deliver(night)
    leaving.join()
    assert done == [OldRunCounts(1, 120, {})]
    counts = runs.existing(home.database, new_id).counts
    assert (counts.seen, counts.classified) == (60, 60)
    assert _count(home, tables.images) == 61


def test_what_waits_for_a_person_keeps_its_run(home: Installation) -> None:
    """A review that waits keeps the whole run, and the preview says why; a pass ends among kept runs too."""
    run_id = closed_run(home, count=5, audit_share=0.0)
    context = _aged(home, run_id)
    with home.database.write() as connection:
        image_id = connection.execute(sa.select(sa.func.min(tables.images.c.id))).scalar_one()
        connection.execute(
            sa.insert(tables.reviews).values(image_id=image_id, run_id=run_id, kind="audit", rank=0.5)
        )
    kept = OldRunCounts(0, 0, {KeptRun.WAITS_FOR_REVIEW: 1})
    assert preview(context.settings, home.database) == kept
    assert remove_all(context.settings, home.database) == kept
    with home.database.write() as connection:
        connection.execute(sa.delete(tables.reviews))
        connection.execute(sa.update(tables.images).values(in_intake=True))
    assert remove_all(context.settings, home.database).kept == {KeptRun.STAYS_IN_INTAKE: 1}
    with home.database.write() as connection:
        connection.execute(sa.update(tables.images).values(in_intake=False))
        connection.execute(sa.update(tables.chunks).values(photos_removed_at=None))
    assert remove_all(context.settings, home.database).kept == {KeptRun.HAS_PHOTOS: 1}
    assert _count(home, tables.images) == 6
    with home.database.write() as connection:
        old = utc_now() - timedelta(days=100)
        connection.execute(sa.update(tables.runs).values(opened_at=old, closed_at=old))
    assert remove_all(context.settings, home.database).kept == {KeptRun.HAS_PHOTOS: 2}
    assert remove_all(context.settings, home.database, lambda: True).kept == {KeptRun.HAS_PHOTOS: 1}


def test_a_report_is_not_written_from_the_rows_that_are_left(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction while rows leave changes neither the report nor the counts of the run."""
    monkeypatch.setattr(old_run_rows, "AT_ONCE", 2)
    run_id = closed_run(home, count=6, audit_share=0.0)
    context = _aged(home, run_id)
    labels = run_statistics.labels(home.database, [run_id])
    remove_all(context.settings, home.database, lambda: True)
    assert _count(home, tables.images) == 5
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(corrected_at=utc_now()))
    update_report(context, run_id)
    assert run_statistics.labels(home.database, [run_id]) == labels
    assert sum(labels[run_id].values()) == runs.existing(home.database, run_id).counts.classified == 6
    # What was begun is ended.
    assert remove_all(context.settings, home.database) == OldRunCounts(1, 4, {})


def test_rows_are_kept_at_least_as_long_as_photos() -> None:
    """The row says where the photo is, so a shorter time for rows is refused."""
    with pytest.raises(ConfigFault, match="RETURNS_KEEP_ROWS_DAYS needs RETURNS_KEEP_DAYS"):
        load_settings(keep_rows_days=30, keep_days=60)
    with pytest.raises(ConfigFault, match="RETURNS_KEEP_ROWS_DAYS needs RETURNS_KEEP_DAYS"):
        load_settings(keep_rows_days=30)


def test_the_web_says_that_rows_were_removed(tmp_path: Path) -> None:
    """A removed photo's page links its run's report; a workbook of some days names the runs without rows."""
    with site(tmp_path / "site", with_workers=False) as here:
        run_id = closed_run(here.home, count=3, audit_share=0.0)
        context = _aged(here.home, run_id)
        days = f"from={utc_now().date() - timedelta(days=120)}&to=today"
        whole = here.ask("GET", f"/api/v1/export?{days}&format=xlsx")
        assert "X-Runs-Without-Rows" not in whole.headers
        assert load_workbook(BytesIO(whole.content)).sheetnames == ["Returns"]
        remove_some(context)
        page = here.page("/images/2")
        assert page.status_code == 404
        assert "were removed" in page.text
        assert f'href="/runs/{run_id}/report"' in page.text
        assert here.page(f"/runs/{run_id}/report").ok
        assert "There is no image 900" in here.page("/images/900").text
        assert "were removed" in here.ask("GET", "/api/v1/images/2").json()["error"]
        left = here.ask("GET", f"/api/v1/export?{days}&format=xlsx")
        assert left.headers["X-Runs-Without-Rows"] == str(run_id)
        book = load_workbook(BytesIO(left.content))
        assert book.sheetnames == ["Left out", "Returns"]
        assert f"run {run_id} were removed" in str(book["Left out"]["A1"].value)
        assert book["Returns"].max_row == 2
