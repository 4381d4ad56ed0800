"""Lists as a whole: exported, counted, sorted, walked through and labelled, on both databases."""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from openpyxl import load_workbook
from pyarrow import parquet

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import RefusedError
from returns_pipeline.records.images import Filter, ImageResult, LabelSource
from returns_pipeline.records.reviews import BatchCounts, Judgement, Word
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.text import file_name
from returns_pipeline.store import browsing, images, review_queue, reviews, run_lists
from returns_pipeline.store.browsing import Order
from returns_pipeline.store.run_lists import RunFilter
from returns_pipeline.store.views import find_name, save, visible
from returns_pipeline.usecases import image_lists, label_all
from returns_pipeline.usecases.image_lists import ImageQuery
from returns_pipeline.usecases.reviews import undo
from returns_pipeline.web import export
from tests.integration.test_reviews import closed_run
from tests.support import Installation

_READS_ALL = re.compile(
    r"(?:SCAN|Seq Scan on) (?:images|chunks|predictions|review_changes|views)\b(?! USING)"
)
_COUNT = 150


def run_of(home: Installation) -> tuple[int, list[ImageResult]]:
    """Return a closed run, and its images by id; another run is newer."""
    run_id = closed_run(home, count=_COUNT, review_threshold=0.0, audit_share=0.0)
    closed_run(home, count=10, start=1000, review_threshold=0.0, audit_share=0.0)
    return run_id, sorted(images.results(home.database, run_id), key=lambda image: image.id)


@contextmanager
def plans(home: Installation) -> Iterator[list[str]]:
    """Record the plan of each SELECT in the block."""
    found: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if home.database.is_sqlite else "EXPLAIN"
    engine = home.database._engine

    def remember(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            if not home.database.is_sqlite:
                connection.exec_driver_sql("SET enable_seqscan = off")
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
            found.append("\n".join(str(row[-1]) for row in rows))

    sa.event.listen(engine, "before_cursor_execute", remember)
    try:
        yield found
    finally:
        sa.event.remove(engine, "before_cursor_execute", remember)


def test_an_export_has_exactly_the_images_of_the_list(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each format has the rows that filter and words choose, once each, over several steps of ids."""
    monkeypatch.setattr(image_lists, "MOST_COUNTED", 20)
    monkeypatch.setattr(image_lists, "_AT_ONCE", 7)
    run_id, found = run_of(home)
    dark = [file_name(image.path) for image in found if image.label == "dark"]
    assert len(dark) > 20
    settings = home.settings

    def written(kind: str, query: ImageQuery) -> bytes:
        batches = image_lists.batches(home.database, settings, query, oldest_first=True)
        return b"".join(export.FORMATS[kind].write(batches, settings))

    for query in (
        ImageQuery("", Filter(run_id=run_id, label="dark")),
        ImageQuery(f"run {run_id}", Filter(label="dark")),
        ImageQuery(f"image dark run {run_id}"),
    ):
        lines = [json.loads(line) for line in written("jsonl", query).splitlines()]
        assert [line["filename"] for line in lines] == dark
    query = ImageQuery(f"run {run_id} dark")
    assert json.loads(written("json", query)) == lines
    assert [
        row["filename"] for row in parquet.read_table(io.BytesIO(written("parquet", query))).to_pylist()
    ] == dark
    sheet = load_workbook(io.BytesIO(written("xlsx", query)), read_only=True).active
    assert sheet is not None
    header, *rows = sheet.iter_rows(values_only=True)
    assert [row[header.index("filename")] for row in rows] == dark
    assert written("csv", query).count(b"\n") == len(dark) + 1
    newest_first = image_lists.batches(home.database, settings, query)
    assert [file_name(image.path) for batch in newest_first for image in batch] == dark[::-1]
    assert written("jsonl", ImageQuery("no such name")) == b""


def test_a_list_is_counted_sorted_and_walked_through(home: Installation) -> None:
    """Every order has each image once, forwards and backwards, by an index; neighbours follow the order."""
    run_id, found = run_of(home)
    database, settings = home.database, home.settings
    ids = [image.id for image in found]
    sure = sorted(found, key=lambda image: (image.probability, image.id))
    orders = {
        Order.ID: ids[::-1],
        Order.OLDEST: ids,
        Order.DOUBT: [image.id for image in sure],
        Order.SURE: [image.id for image in sure][::-1],
    }
    wanted, query = Filter(run_id=run_id), ImageQuery(f"run {run_id}")
    with plans(home) as seen:
        assert image_lists.count(database, settings, query) == (_COUNT, False)
        for order, right in orders.items():
            walked, after, last = [], None, None
            while True:
                page, following = browsing.page(database, wanted, order, after, 40)
                if last is not None:
                    place = browsing.cursor_of(page[0], order)
                    assert browsing.page_before(database, wanted, order, place, 40)[0] == last
                walked += [image.id for image in page]
                after, last = following, page
                if after is None:
                    break
            assert walked == right
            image = browsing.find(database, right[5])
            assert image is not None
            assert browsing.neighbours(database, wanted, order, image) == (right[4], right[6])
        for order in (Order.ID, Order.OLDEST):
            around = image_lists.neighbours(database, settings, query, order, orders[order][5])
            assert around == (orders[order][4], orders[order][6])
    assert seen
    assert [plan for plan in seen if _READS_ALL.search(plan)] == []
    by_name = image_lists.sorted_ids(database, settings, query, Order.NAME)
    assert by_name == [image.id for image in sorted(found, key=lambda image: image.path)]
    assert image_lists.neighbours(database, settings, query, Order.NAME, by_name[0]) == (None, by_name[1])
    surest = image_lists.sorted_ids(database, settings, query, Order.SURE)
    assert surest is not None
    chances = {image.id: image.probability or 0.0 for image in found}
    assert [chances[each] for each in surest] == sorted(chances.values(), reverse=True)
    assert image_lists.sorted_ids(database, settings, query, Order.DOUBT) == orders[Order.DOUBT]


def test_a_list_that_is_too_long_is_not_sorted(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting reads every image, so its number is bounded."""
    monkeypatch.setattr(image_lists, "MOST_SORTED", 20)
    run_id, found = run_of(home)
    query = ImageQuery(f"run {run_id}")
    assert image_lists.sorted_ids(home.database, home.settings, query, Order.NAME) is None
    assert image_lists.neighbours(home.database, home.settings, query, Order.NAME, found[3].id) == (
        None,
        None,
    )


def test_all_that_match_get_one_label_and_one_undo_takes_it_back(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several transactions are one batch; the word of another reviewer stays; too many are refused."""
    monkeypatch.setattr(label_all, "MOST_TOGETHER", 40)
    _, found = run_of(home)
    database, ids = home.database, [image.id for image in found]
    before = review_queue.counts(database)
    other = found[0]
    reviews.decide_many(database, "bert", [Judgement(other.id, Word("unreadable", None, None), None)])

    def bundle_of(ref: str) -> Bundle:
        return find_bundle(home.settings.models_dir, ref)

    give: Callable[..., label_all.LabelledAll] = label_all.label_all
    done = give(database, bundle_of, "ada", ids, "dark", outcomes=())
    assert done.refused == 1
    assert done.batch is not None
    right = sum(image.label == "dark" for image in found[1:])
    assert reviews.last_batch(database, "ada", done.batch) == BatchCounts(right, _COUNT - 1 - right, 0)
    shown = browsing.listed(database, ids)
    assert {(image.final_label, image.reviewer) for image in shown[1:]} == {("dark", "ada")}
    assert shown[0].reviewer == "bert"
    assert set(undo(database, "ada").image_ids) == set(ids[1:])
    after = browsing.listed(database, ids)
    assert [image.final_label for image in after[1:]] == [image.label for image in found[1:]]
    assert {image.final_source for image in after[1:]} == {LabelSource.MODEL}
    assert review_queue.counts(database).waiting == before.waiting
    with pytest.raises(RefusedError, match="More than"):
        give(database, bundle_of, "ada", range(1, 5002), "dark", outcomes=())


def test_runs_are_filtered_and_read_in_both_directions(home: Installation) -> None:
    """Pages of runs lead on and back, newest or oldest first; the number is that of all pages."""
    ids = [closed_run(home, count=1, start=100 * at) for at in range(7)]
    database = home.database
    for oldest_first, right in ((False, ids[::-1]), (True, ids)):
        first = run_lists.page(database, RunFilter(), 3, oldest_first=oldest_first)
        assert first.previous is None
        assert first.next is not None
        second = run_lists.page(
            database, RunFilter(), 3, oldest_first=oldest_first, **first.next.parameters()
        )
        assert second.next is not None
        third = run_lists.page(
            database, RunFilter(), 3, oldest_first=oldest_first, **second.next.parameters()
        )
        assert third.next is None
        assert [run.id for page in (first, second, third) for run in page.runs] == right
        assert second.previous is not None
        assert third.previous is not None
        back = run_lists.page(
            database, RunFilter(), 3, oldest_first=oldest_first, **third.previous.parameters()
        )
        assert back == second
        assert back.previous is not None
        again = run_lists.page(
            database, RunFilter(), 3, oldest_first=oldest_first, **back.previous.parameters()
        )
        assert [run.id for run in again.runs] == [run.id for run in first.runs]
        assert again.previous is None
    assert run_lists.count(database, RunFilter()) == 7
    assert run_lists.count(database, RunFilter(is_closed=False)) == 0
    assert run_lists.page(database, RunFilter(RunKind.CATCH_UP), 3) == ([], None, None)


def test_views_belong_to_their_owners(home: Installation) -> None:
    """A person sees their own views and those that others share, each found by an index."""
    database = home.database
    mine = save(database, "ada", "Bags", "/search", "q=bag", shared=False)
    theirs = save(database, "bert", "Bags", "/search", "q=bag+yesterday", shared=True)
    save(database, "bert", "Private", "/runs", "", shared=False)
    with pytest.raises(RefusedError, match="already"):
        save(database, "ada", "Bags", "/runs", "", shared=False)
    with plans(home) as seen:
        assert visible(database, "ada") == [mine, theirs]
        assert visible(database, "carl") == [theirs]
    assert [plan for plan in seen if _READS_ALL.search(plan)] == []
    again = save(database, "ada", "Bags", "/runs", "order=oldest", shared=True, overwrite=True)
    assert (again.id, again.path) == (mine.id, "/runs")
    assert find_name(database, "ada", "Bags") == again
