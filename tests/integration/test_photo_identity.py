"""A photo's identity is written, and rows without one are read as those of files."""

import pytest
import sqlalchemy as sa

from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.store import chunks, images, resending
from returns_pipeline.store.database import Database
from returns_pipeline.store.tables import images as rows
from returns_pipeline.usecases.runs import retry, scan
from tests.support import Installation, assert_promise_kept, digests, states, write_images

_OLD_ROWS = (
    "INSERT INTO model_versions (id, name, version, sha256, metrics, created_at) "
    "VALUES (1, 'm', 1, 'x', '{}', CURRENT_TIMESTAMP)",
    "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
    "VALUES (1, 'r', 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
    "INSERT INTO chunks (id, run_id, state, size, sent_at) VALUES (1, 1, 'open', 1, CURRENT_TIMESTAMP)",
    "INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
    "VALUES (1, 1, 1, '/a.png', true, 700, 1700000000000000001, 'pending')",
)


def test_rows_survive_the_new_column_both_ways(database_url: str) -> None:
    """0008 goes up, down and up again: rows of before keep their values and have no identity."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0006")
    with database.write() as connection:
        for statement in _OLD_ROWS:
            connection.exec_driver_sql(statement)
    for migrate, revision, has_identity in (
        (database.upgrade, "0008", True),
        (database.downgrade, "0006", False),
        (database.upgrade, "0008", True),
    ):
        migrate(revision)
        with database.read() as connection:
            columns = {column["name"] for column in sa.inspect(connection).get_columns("images")}
            assert ("identity" in columns) == has_identity
            kept = connection.exec_driver_sql("SELECT source_path, size, mtime_ns FROM images").all()
            assert [tuple(row) for row in kept] == [("/a.png", 700, 1700000000000000001)]
            if has_identity:
                assert connection.exec_driver_sql("SELECT identity FROM images").scalar_one() is None
    database.upgrade()
    claim = chunks.claim(database, 1, "owner", "worker", 60)
    assert claim is not None
    assert [image.identity for image in claim.images] == ["700-1700000000000000001"]
    database.downgrade("base")
    database.close()


def test_a_row_has_what_this_release_and_the_one_before_compare(home: Installation) -> None:
    """A scan writes the source's identity, and size and time beside it for workers of the release before."""
    (path,) = write_images(home.settings.incoming_dir, 1)
    found = FolderSource().describe(str(path))
    scan(home.in_process()[0], "request")
    with home.database.read() as connection:
        row = connection.execute(sa.select(rows.c.identity, rows.c.size, rows.c.mtime_ns)).one()
    assert tuple(row) == (found.identity, found.size, found.mtime_ns)


def test_rows_of_the_release_before_are_classified_and_moved(home: Installation) -> None:
    """Rows without an identity are claimed, read and archived like any other, also after an interruption."""
    write_images(home.settings.incoming_dir, 5)
    came_in = digests(home.settings.incoming_dir)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    with home.database.write() as connection:
        connection.execute(sa.update(rows).values(identity=None))
    first = next(images.results(home.database, run_id))
    in_the_way = home.settings.archive_dir / f"run-{run_id}" / "1" / f"{first.id}-{first.name}"
    in_the_way.mkdir(parents=True)
    with pytest.raises(ConfigFault):
        queue.deliver(context)
    assert set(states(home, run_id).values()) == {"classified"}
    assert digests(home.settings.incoming_dir).total() == 1
    in_the_way.rmdir()
    for chunk_id, kind, _ in resending.lost(home.database, 0, 10):
        context.send_chunks([chunk_id], kind)
    queue.deliver(context)
    assert_promise_kept(home, run_id, came_in)


def test_a_changed_photo_is_detected_without_an_identity(home: Installation) -> None:
    """Rows without an identity are compared too: a file replaced since the scan is not classified."""
    first, second = write_images(home.settings.incoming_dir, 2)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    with home.database.write() as connection:
        connection.execute(sa.update(rows).values(identity=None))
    first.write_bytes(b"another content, of another size")
    queue.deliver(context)
    assert states(home, run_id) == {first.name: "quarantined", second.name: "classified"}
    assert first.exists()
    assert {image.code for image in images.results(home.database, run_id)} == {"changed", None}


def test_only_photos_that_exist_are_retried(home: Installation) -> None:
    """A photo that was set aside and has disappeared from there gets no new row; the others do."""
    for name in ("a.png", "b.png"):
        (home.settings.incoming_dir / name).write_bytes(b"no picture")
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    gone, kept = images.paths_to_retry(home.database, run_id)
    context.photos.remove(gone)
    retried = retry(context, "again", run_id)
    assert [image.path for image in images.results(home.database, retried)] == [kept]
