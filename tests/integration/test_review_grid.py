"""Reviewing many images: the scope, one transaction, one undo, and the order of the grid."""

import re
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.reviews import (
    BatchCounts,
    Judgement,
    ReviewAction,
    ReviewKind,
    ReviewScope,
    Word,
)
from returns_pipeline.store import browsing, images, review_grid, review_queue, reviews, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import review_grid as grid
from returns_pipeline.usecases.review_grid import Sent
from tests.integration.test_reviews import closed_run
from tests.support import Installation

HAT = Word("label", "Hat", "Hat")


def ids_by_label(home: Installation, run_id: int) -> dict[str, list[int]]:
    """Return the images of a run by their predicted label."""
    found: dict[str, list[int]] = {}
    for image in images.results(home.database, run_id):
        found.setdefault(str(image.label), []).append(image.id)
    return found


def final(home: Installation, image_id: int) -> tuple[str | None, str | None]:
    """Return the final label of an image and its source."""
    image = browsing.find(home.database, image_id)
    assert image is not None
    return image.final_label, image.final_source


def decide(home: Installation, who: str, sent: list[Sent]) -> tuple[str | None, list[object]]:
    """Send what a person says of many images."""

    def bundle_of(ref: str) -> Bundle:
        return find_bundle(home.settings.models_dir, ref)

    batch, results = grid.decide_many(home.database, bundle_of, who, sent, ())
    return batch, list(results)


def shown(home: Installation, who: str, label: str = "dark", run_id: int | None = None) -> list[int]:
    """Return the images of a page: those that wait, or with `run_id` all of a run."""
    page = grid.page(home.database, who, ReviewScope(run_id), label, with_sure=run_id is not None)
    return [image.image_id for image in page.images]


def test_a_scope_gives_only_its_images(home: Installation) -> None:
    """Run, predicted label, intake, reason and time each narrow the queue, alone and together."""
    first = closed_run(home, count=12, review_threshold=0.0, audit_share=1.0)
    second = closed_run(home, count=12, start=100, review_threshold=1.0, audit_share=0.0)
    database, folder = home.database, str(home.settings.incoming_dir.resolve())
    now = utc_now()

    def taken(**scope: object) -> set[tuple[int, str | None, ReviewKind | None]]:
        found = set()
        for number in range(30):
            item = review_queue.take(database, f"person {number}", 60, ReviewScope(**scope))  # type: ignore[arg-type]
            if item is None:
                break
            found.add((item.run_id, item.label, item.kind))
        with database.write() as connection:
            connection.execute(sa.update(tables.reviews).values(held_by=None, held_until=None))
        return found

    assert {run for run, _, _ in taken()} == {first, second}
    assert {run for run, _, _ in taken(run_id=second)} == {second}
    assert {(label, kind) for _, label, kind in taken(predicted="dark", kind=ReviewKind.AUDIT)} == {
        ("dark", ReviewKind.AUDIT)
    }
    assert {run for run, _, _ in taken(intake=folder)} == {first, second}
    assert taken(intake="/elsewhere") == set()
    assert {run for run, _, _ in taken(since=now - timedelta(hours=1), until=now)} == {first, second}
    assert taken(since=now) == taken(until=now - timedelta(hours=1)) == set()
    assert [(run.id, run.waiting) for run in review_queue.waiting_runs(database, 9)] == [
        (second, 12),
        (first, 12),
    ]


def test_a_page_is_accepted_and_taken_back_together(home: Installation) -> None:
    """The unmarked get their label, the marked wait for a review one by one; one undo restores everything."""
    run_id = closed_run(home, count=40, review_threshold=0.0, audit_share=0.0)
    database = home.database
    dark = ids_by_label(home, run_id)["dark"]
    assert sorted(shown(home, "ada", run_id=run_id)) == dark
    right, wrong = dark[:-2], dark[-2:]
    sent = [Sent(each, "dark") for each in right] + [Sent(each, aside=True) for each in wrong]
    batch, results = decide(home, "ada", sent)
    assert batch is not None
    assert results == [ReviewAction.ACCEPT] * len(right) + [ReviewAction.SKIP] * 2
    assert {final(home, each) for each in right} == {("dark", "person")}
    assert {final(home, each) for each in wrong} == {("dark", "model")}
    assert shown(home, "ada", run_id=run_id) == []
    assert reviews.last_batch(database, "ada", batch) == BatchCounts(len(right), 0, 2)
    one_by_one = review_queue.take(database, "ada", 60)
    assert one_by_one is not None
    assert (one_by_one.image_id, one_by_one.kind) in [(each, ReviewKind.MARKED) for each in wrong]
    assert review_queue.take(database, "bob", 60) is None
    reviews.decide(database, "ada", one_by_one.image_id, HAT)
    counted = review_queue.counts(database)
    assert (counted.doubts, counted.audits, counted.waiting) == (0, 0, 1)
    for _ in range(2):
        undone = reviews.undo(database, "ada", 60)
    assert undone is not None
    assert sorted(undone.image_ids) == dark
    assert {final(home, each) for each in dark} == {("dark", "model")}
    assert review_queue.counts(database).waiting == 0
    assert sorted(shown(home, "ada", run_id=run_id)) == dark
    assert reviews.last_batch(database, "ada", batch) is None
    assert reviews.undo(database, "ada", 60) is None


def test_a_queued_image_that_is_put_aside_keeps_its_place_after_an_undo(home: Installation) -> None:
    """Putting aside leaves it in the queue and out of the grid; an undo gives its rank back."""
    closed_run(home, count=12, review_threshold=0.0, audit_share=1.0)
    database = home.database

    def ranks() -> dict[int, float]:
        with database.read() as connection:
            return dict(connection.execute(sa.select(tables.reviews.c.image_id, tables.reviews.c.rank)).all())

    before, first = ranks(), shown(home, "ada")
    assert len(first) > 1
    decide(home, "ada", [Sent(first[0], aside=True), Sent(first[1], "dim")])
    assert set(shown(home, "ada")) == set(first[2:])
    assert review_queue.waiting(database) == 11
    reviews.undo(database, "ada", 60)
    assert ranks() == pytest.approx(before)
    assert set(shown(home, "ada")) == set(first)


def test_two_reviewers_never_see_the_same_waiting_image(home: Installation) -> None:
    """What one page shows is held: another reviewer's page and queue leave it out, and say how many."""
    closed_run(home, count=40, review_threshold=0.0, audit_share=1.0)
    ada = shown(home, "ada")
    assert ada
    page = grid.page(home.database, "bob", ReviewScope(), "dark")
    assert (page.images, page.held) == ([], len(ada))
    assert dict(review_grid.waiting_by_label(home.database, "bob", ReviewScope())).get("dark") is None
    assert shown(home, "ada") == ada
    _, results = decide(home, "bob", [Sent(ada[0], "dark")])
    assert [type(each) for each in results] == [ConflictError]


def test_each_image_has_its_own_result(home: Installation) -> None:
    """A refusal of one image stops no other; nothing is stored for it."""
    run_id = closed_run(home, count=12, audit_share=0.0)
    (one, two, three, four, *_) = (image.id for image in images.results(home.database, run_id))
    label = str(final(home, one)[0])
    reviews.decide(home.database, "bob", three, HAT)
    _, results = decide(
        home,
        "ada",
        [
            Sent(one, label),
            Sent(two, None, "retake"),
            Sent(10**9, label),
            Sent(three, label),
            Sent(four, "Hat"),
            Sent(one, label),
        ],
    )
    assert results[:2] == [ReviewAction.ACCEPT, ReviewAction.CORRECT]
    assert [type(each) for each in results[2:]] == [
        NotFoundError,
        ConflictError,
        RefusedError,
        ConflictError,
    ]
    assert final(home, three) == ("Hat", "person")
    assert final(home, four)[1] == "model"
    undone = reviews.undo(home.database, "ada", 60)
    assert undone is not None
    assert set(undone.image_ids) == {one, two}
    assert decide(home, "ada", [Sent(10**9, label)])[0] is None


def test_the_most_alike_come_first_and_the_odd_one_last(home: Installation) -> None:
    """The order is that of the embeddings; images without one come after, most probable first."""
    run_id = closed_run(home, count=40, chunk_size=100, review_threshold=0.0, audit_share=0.0)
    database = home.database
    dark = ids_by_label(home, run_id)["dark"]
    candidates = review_grid.unreviewed(database, "ada", run_id, "dark", 100)
    chunk = candidates[0].chunk_id
    of_chunk = dark[2:6]
    assert 2 < len(of_chunk) < len(dark)
    vectors = np.full((len(of_chunk), 64), 100, np.int8)
    vectors[0] = [100] * 16 + [-100] * 48
    with database.write() as connection:
        connection.execute(sa.delete(tables.embeddings))
        connection.execute(
            sa.insert(tables.embeddings).values(
                model_version_id=candidates[0].model_version_id,
                chunk_id=chunk,
                image_ids=np.array(of_chunk, "<i8").tobytes(),
                vectors=vectors.tobytes(),
            )
        )
    order = shown(home, "ada", run_id=run_id)
    assert order[: len(of_chunk)] == [*of_chunk[1:], of_chunk[0]]
    assert set(order[len(of_chunk) :]) == set(dark) - set(of_chunk)


_READS_ALL = re.compile(r"SCAN (?:images|reviews|predictions|review_changes)\b(?! USING)")


def test_no_query_of_a_scope_or_of_the_grid_reads_a_whole_table(sqlite_home: Installation) -> None:
    """On SQLite every statement finds its images by an index; a run's part of the queue has its own."""
    home = sqlite_home
    run_id = closed_run(home, count=40, review_threshold=0.0, audit_share=1.0)
    sent: list[tuple[str, object]] = []

    def remember(_c: object, _cursor: object, statement: str, values: object, _x: object, many: bool) -> None:
        sent.append((statement, values[0] if many else values))  # type: ignore[index]

    sa.event.listen(home.database._engine, "before_cursor_execute", remember)
    for scope in (
        ReviewScope(run_id),
        ReviewScope(run_id, "dark", kind=ReviewKind.AUDIT),
        ReviewScope(intake="/in", since=utc_now()),
    ):
        review_queue.take(home.database, "ada", 60, scope)
        review_grid.waiting_by_label(home.database, "ada", scope)
    review_queue.waiting_runs(home.database, 9)
    found = shown(home, "ada") + shown(home, "ada", run_id=run_id)
    decide(home, "ada", [Sent(found[0], "dark"), Sent(found[1], aside=True)])
    reviews.undo(home.database, "ada", 60)
    sa.event.remove(home.database._engine, "before_cursor_execute", remember)
    plans = {}
    with home.database.read() as connection:
        for statement, values in sent:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
                plans[statement] = "\n".join(str(row[-1]) for row in rows)
    assert len(plans) > 20
    assert {statement: plan for statement, plan in plans.items() if _READS_ALL.search(plan)} == {}
    assert "ix_reviews_run_waiting" in next(plan for text, plan in plans.items() if "LIMIT" in text)


def test_two_hundred_images_are_one_short_transaction(home: Installation) -> None:
    """The number of statements does not grow with the number of images."""
    run_id = closed_run(home, count=60, audit_share=0.0)
    ids = [image.id for image in images.results(home.database, run_id)]
    counts = []
    for some in (ids[:2], ids[2:]):
        sent = 0

        def count(*_: object) -> None:
            nonlocal sent
            sent += 1

        sa.event.listen(home.database._engine, "before_cursor_execute", count)
        reviews.decide_many(home.database, "ada", [Judgement(each, HAT) for each in some], "batch")
        sa.event.remove(home.database._engine, "before_cursor_execute", count)
        counts.append(sent)
    assert counts[0] == counts[1]
