"""No statement in the processing of a photo reads a whole table."""

# ruff: noqa: S608 - every value in these statements is a number of this file

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import NotFoundError
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.likeness import thumbnails
from returns_pipeline.records.images import Filter, ImageResult
from returns_pipeline.records.likeness import ComparedImage, Match, MatchDecision, MatchKind
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.reviews import Judgement, ReviewAction, ReviewScope, Word
from returns_pipeline.records.runs import RunKind, RunRequest
from returns_pipeline.records.tasks import BULK, Task
from returns_pipeline.store import (
    browsing,
    chunks,
    codes,
    costs,
    fingerprints,
    held_comparisons,
    image_files,
    image_history,
    images,
    likeness,
    match_decisions,
    match_lists,
    nights,
    photo_matches,
    review_grid,
    review_queue,
    reviews,
    run_closing,
    runs,
)
from returns_pipeline.store.browsing import Order
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import queue_work, reuse
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import scan
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, write_images

_TABLES = "images|chunks|runs|predictions|compared_images|image_keys|image_matches"
_SQLITE_READS_ALL = re.compile(rf"SCAN (?:{_TABLES})\b(?! USING)")
#: There are few runs and models, however many images there are, so reading all of them is cheap.
_POSTGRES_READS_ALL = re.compile(
    r"Seq Scan on (?:images|chunks|predictions|compared_images|image_keys|image_matches)\b"
)
#: Rows that were read and discarded: a sign of a wrong index.
_DISCARDED = re.compile(r"Rows Removed by Filter: (\d+)")

#: Each statement with all parameters that it was executed with.
Statements = dict[str, list[Any]]

#: Ten runs of 100,000 images, with ids from 1001. The first eight are closed, the ninth is complete, and the
#: tenth has chunks in every state.
_RUNS, _CHUNKS_OF_A_RUN, _IMAGES_OF_A_CHUNK = 10, 100, 1000
_COMPLETE, _OPEN = 9, 10
_LOAD = (
    # Without foreign key checks: a million rows are valid by construction.
    "SET LOCAL session_replication_role = replica",
    f"""
    INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at, seen, classified)
    SELECT 1000 + run, 'request ' || run, 'nightly',
        CASE WHEN run < {_COMPLETE} THEN 'closed' ELSE 'running' END,
        (SELECT min(id) FROM model_versions), now() - interval '1 day', now() - interval '1 hour',
        100000, 100000
    FROM generate_series(1, {_RUNS}) AS run
    """,
    f"""
    INSERT INTO chunks (id, run_id, state, size, attempts, lease_token, lease_until, sent_at, finished_at,
        worker, timings)
    SELECT 1000 + number, 1001 + (number - 1) / {_CHUNKS_OF_A_RUN}, state, {_IMAGES_OF_A_CHUNK}, 1,
        CASE WHEN state = 'leased' THEN 'token' END,
        CASE WHEN state = 'leased' THEN now() - interval '1 minute' END,
        now() - interval '1 hour', CASE WHEN state = 'done' THEN now() END, 'some-host:12345',
        '{{"read": 17.1, "decode": 62.2, "predict": 75.3, "store": 26.4, "archive": 22.5}}'
    FROM generate_series(1, {_RUNS * _CHUNKS_OF_A_RUN}) AS number, LATERAL (
        SELECT CASE WHEN number <= {_COMPLETE * _CHUNKS_OF_A_RUN + 60} OR mod(number, 4) = 0 THEN 'done'
            WHEN mod(number, 4) = 2 THEN 'leased' ELSE 'open' END AS state
    ) AS stands
    """,
    f"""
    INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state, sha256, format,
        width, height, archived_path, final_label, final_source)
    SELECT 10000 + number, chunk.run_id, chunk.id, '/data/incoming/image_' || number || '.png',
        chunk.state <> 'done', 700, 1700000000000000000,
        CASE WHEN chunk.state = 'done' THEN 'classified' ELSE 'pending' END,
        repeat('0123456789abcdef', 4), 'PNG', 28, 28,
        '/data/archive/run-' || chunk.run_id || '/' || chunk.id || '/' || number || '-image.png',
        CASE WHEN chunk.state = 'done' THEN 'Trouser' END, CASE WHEN chunk.state = 'done' THEN 'model' END
    FROM generate_series(1, {_RUNS * _CHUNKS_OF_A_RUN * _IMAGES_OF_A_CHUNK}) AS number
    JOIN chunks AS chunk ON chunk.id = 1001 + (number - 1) / {_IMAGES_OF_A_CHUNK}
    """,
    """
    INSERT INTO predictions (image_id, model_version_id, label_index, label, probability, main_label,
        main_probability, top, decision)
    SELECT id, (SELECT min(id) FROM model_versions), 1, 'Trouser', 0.9, 'Trouser', 0.9, '[[1, 0.9]]', 'auto'
    FROM images WHERE id > 10000 AND state = 'classified'
    """,
    # Every hundredth image waits for a review.
    """
    INSERT INTO reviews (image_id, run_id, kind, rank)
    SELECT id, run_id, 'audit', mod(id * 69621, 1000003) / 1000003.0
    FROM images WHERE mod(id, 100) = 0 AND id > 10000 AND state = 'classified'
    """,
    """
    INSERT INTO image_fingerprints (image_id, sha256_head)
    SELECT id, id * 7919 FROM images WHERE id > 10000 AND state = 'classified'
    """,
    # A tenth of the photos is compared with later ones, and each hundredth of them repeats an earlier one.
    """
    INSERT INTO compared_images (image_id, received_day, sha256_head)
    SELECT id, 19000 + mod(id, 1000), id * 7919 FROM images WHERE mod(id, 10) = 0 AND id > 10000
    """,
    """
    INSERT INTO image_keys (key, image_id, view)
    SELECT image_id * 7919 + view, image_id, view FROM compared_images, generate_series(0, 2) AS view
    """,
    """
    INSERT INTO image_matches (image_id, earlier_id, kind, distance, changes, matched_at)
    SELECT id, id - 1, 'exact', 0, '', now() FROM images WHERE mod(id, 100) = 1 AND id > 10000
    """,
    """
    SELECT setval(pg_get_serial_sequence(name, 'id'), 5000000)
    FROM unnest(ARRAY['runs', 'chunks', 'images']) AS name
    """,
    "ANALYZE",
)


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_every_statement_of_a_run_and_of_the_sweep_uses_an_index_of_sqlite(home: Installation) -> None:
    """On SQLite, whose plans do not depend on the number of rows, each step finds its rows by an index."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 30)
    scan(context, "earlier")
    queue.deliver(context)
    image = _newest_photo(home)
    with _remembered(home) as statements:
        _a_night(home, context, queue, photos=3)
        _look_at_a_photo(home, image)
    assert len(statements) > 25
    assert _slow(home, statements) == {}


@pytest.mark.parametrize("home", ["postgresql"], indirect=True)
def test_every_statement_uses_an_index_of_postgresql_among_a_million_images(home: Installation) -> None:
    """Scan, claim, store, move, finish, close, report and sweep never read a whole table of a million photos.

    PostgreSQL's plans depend on the number of rows, so the test inserts ten runs of 100,000 images in chunks
    of 1,000.
    """
    settings = home.settings.model_copy(update={"chunk_size": _IMAGES_OF_A_CHUNK})
    context, queue = replace(home.in_process()[0], settings=settings), InProcessQueue()
    context = replace(context, queue=queue)
    write_images(settings.incoming_dir, 3)
    scan(context, "earlier")
    queue.deliver(context)
    with home.database.write() as connection:
        for statement in _LOAD:
            connection.exec_driver_sql(statement)
    image = _newest_photo(home)
    with _remembered(home) as statements:
        _repair(home, context)
        costs.of_night(home.database, ModelRef("stub", 1))
        _a_night(home, context, queue, photos=_IMAGES_OF_A_CHUNK)
        _look_at_a_photo(home, image)
        _close(home, 1000 + _COMPLETE)
        runs.progress(home.database, 1000 + _OPEN)
        _review(home, ReviewScope(1000 + _COMPLETE, "Trouser"))
    assert len(statements) > 35
    assert _slow(home, statements) == {}


def _newest_photo(home: Installation) -> ImageResult:
    (image, *_), _ = browsing.page(home.database, Filter(), Order.ID, None, 1)
    return image


def _look_at_a_photo(home: Installation, image: ImageResult) -> None:
    """Read what the page of a photo and an upload of it read."""
    browsing.neighbours(home.database, Filter(run_id=image.run_id), Order.ID, image)
    image_files.find(home.database, image.id)
    image_history.history(home.database, image.id)
    assert fingerprints.known(home.database, ["0" * 64]) == {}
    assert codes.of_images(home.database, [image.id]) == {}
    assert codes.images_with(home.database, "RMA-1") == []
    _look_for_matches(home, image)


def _look_for_matches(home: Installation, image: ImageResult) -> None:
    """Compare a photo with earlier ones, decide about its match, judge by it, and remove it."""
    photos = [ComparedImage(number, 20_000, number, bytes(thumbnails.BYTES)) for number in (1, image.id)]
    likeness.add_present(home.database, reuse.with_keys(photos))
    reuse.near_matches(home.database, photos, 0)
    likeness.equal_files(home.database, [image.id], 0)
    likeness.end(home.database, 0, [Match(image.id, 1, MatchKind.NEAR, 0.1)])
    photo_matches.match_of(home.database, image.id)
    match_lists.of_images(home.database, [image.id])
    match_lists.undecided(home.database)
    match_lists.is_waiting(home.database)
    with pytest.raises(NotFoundError):
        match_decisions.decide(home.database, 0, MatchDecision.CONFIRMED, "ada")
    with home.database.write() as connection:
        photo_matches.earlier_photos(connection, [image.id])
        likeness.forget(connection, [image.id])
    likeness.remove_old(home.database, 20_001, 10)
    likeness.waiting(home.database, 10)
    held_comparisons.hold(home.database, 60)
    likeness.lost(home.database, 60)


def _a_night(home: Installation, context: Context, queue: InProcessQueue, photos: int) -> None:
    """Process one run from its scan to its report, and sweep."""
    write_images(home.settings.incoming_dir, photos, start=1_000_000)
    run_id = scan(context, "request")
    assert queue_work.seconds_left(home.database)[BULK] > 0
    nights.state(home.database, "request")
    mine = [message for message in queue.messages if message.task is Task.CLASSIFY_CHUNK]
    # The queue has lost its messages: the sweep searches for chunks without a message.
    queue.lose_everything()
    sweep(context)
    # The chunks that the sweep has sent again are not processed, because their files do not exist.
    queue.lose_everything()
    queue.messages.extend(mine)
    queue.deliver(context)
    list(images.results(home.database, run_id))
    runs.progress(home.database, run_id)


def _repair(home: Installation, context: Context) -> None:
    """Do what happens only after an error: a file is gone, a chunk is released, split and finished."""
    database, settings = home.database, context.settings
    model = ModelRef("other", 1)
    run_id = runs.open_run(database, RunRequest("gone", RunKind.NIGHTLY, None, model, "0" * 64, {}))
    write_images(settings.incoming_dir, 10)
    found = list(FolderSource().find(str(settings.incoming_dir)))
    assert runs.add_chunks(database, run_id, [found], lambda files: [False] * len(files)) == []
    (chunk_id,) = runs.add_chunks(
        database, run_id, [found], lambda files: [file is not found[0] for file in files]
    )
    runs.end_scan(database, run_id)
    held = _claimed(home, chunk_id)
    chunks.renew(database, held, 60)
    chunks.release(database, held, "a fault", counts=True)
    for each in chunks.split(database, _claimed(home, chunk_id)):
        held = _claimed(home, each)
        chunks.store(database, held, [])
        chunks.moves(database, each)
        chunks.finish(database, held, [held.images[0].id], {}, {held.images[1].id: "It cannot be moved."})
    run_id = runs.open_run(database, RunRequest("again", RunKind.NIGHTLY, None, model, "0" * 64, {}))
    changed = [file._replace(identity="another") for file in found]
    (chunk_id,) = runs.add_chunks(database, run_id, [changed], lambda files: [True] * len(files))
    runs.end_scan(database, run_id)
    chunks.finish(database, _claimed(home, chunk_id), [], {})
    for file in found:
        (settings.incoming_dir / str(file.path)).unlink()


def _claimed(home: Installation, chunk_id: int) -> Any:
    held = chunks.claim(home.database, chunk_id, "message", "host:1", 60)
    assert held is not None
    return held


def _close(home: Installation, run_id: int) -> None:
    """Close a large run, and read all of its results."""
    database = home.database
    assert run_closing.is_complete(database, run_id)
    token = run_closing.begin_closing(database, run_id, 60)
    assert token is not None
    summary = run_closing.closing_summary(database, run_id, utc_now())
    assert summary.counts.classified == _CHUNKS_OF_A_RUN * _IMAGES_OF_A_CHUNK
    assert sum(1 for _ in images.results(database, run_id)) == summary.counts.seen
    run_closing.abandon_closing(database, run_id, token)
    token = run_closing.begin_closing(database, run_id, 60)
    assert token is not None
    assert run_closing.close(database, summary, token)


def _review(home: Installation, scope: ReviewScope) -> None:
    """Review a part of the queue, one image at a time and many."""
    database = home.database
    assert review_queue.take(database, "ada", 60, scope) is not None
    assert review_grid.waiting_by_label(database, "ada", scope) == [("Trouser", 1000)]
    found = review_grid.waiting(database, "ada", scope, 40)
    assert len(found) == 40
    ids = [image.image_id for image in found]
    assert review_grid.hold(database, "ada", ids, 60) == set()
    word = Word("label", "Trouser", "Trouser")
    assert set(reviews.decide_many(database, "ada", [Judgement(each, word) for each in ids], "batch")) == {
        ReviewAction.ACCEPT
    }
    assert reviews.undo(database, "ada", 60) is not None


@contextmanager
def _remembered(home: Installation) -> Iterator[Statements]:
    """Record the statements that are executed in the block."""
    found: Statements = {}

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if re.match(r"(SELECT|INSERT|UPDATE|DELETE|CREATE TEMPORARY)", statement):
            found.setdefault(statement, []).append(parameters[0] if many else parameters)

    sa.event.listen(home.database._engine, "before_cursor_execute", remember)
    try:
        yield found
    finally:
        sa.event.remove(home.database._engine, "before_cursor_execute", remember)


def _slow(home: Installation, statements: Statements) -> dict[str, str]:
    """Return the statements that read more than they need, with their plans."""
    slow = {}
    with home.database.read() as connection:
        for statement, sent in statements.items():
            if statement.startswith("CREATE"):
                # Another connection may have made it.
                connection.exec_driver_sql(statement)
                continue
            for parameters in sent:
                plan = _plan(connection, statement, parameters)
                discarded = sum(map(int, _DISCARDED.findall(plan)))
                reads_all = _SQLITE_READS_ALL if home.database.is_sqlite else _POSTGRES_READS_ALL
                if reads_all.search(plan) or discarded > _IMAGES_OF_A_CHUNK:
                    slow[statement] = plan
    return slow


def _plan(connection: sa.Connection, statement: str, parameters: Any) -> str:
    """Return the plan of a statement. A SELECT is executed, so that its plan shows the rows it read."""
    if connection.dialect.name == "sqlite":
        explain = "EXPLAIN QUERY PLAN"
    else:
        explain = "EXPLAIN (ANALYZE, TIMING OFF)" if statement.startswith("SELECT") else "EXPLAIN"
    rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
    return "\n".join(str(row[-1]) for row in rows)
