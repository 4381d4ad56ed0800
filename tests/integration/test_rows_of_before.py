"""Rows of before a migration keep their meaning after it, on both databases."""

import pytest
import sqlalchemy as sa

from returns_pipeline.records.access import Role
from returns_pipeline.store import access
from returns_pipeline.store.database import Database

#: The rows of a model, a run and a chunk of two images, on which those of images depend.
_RUN_WITH_A_CHUNK = (
    "INSERT INTO model_versions (id, name, version, sha256, metrics, stage, created_at) "
    "VALUES (1, 'm', 1, 'x', '{}', 'candidate', CURRENT_TIMESTAMP)",
    "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
    "VALUES (1, 'r', 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
    "INSERT INTO chunks (id, run_id, state, size, sent_at) VALUES (1, 1, 'done', 2, CURRENT_TIMESTAMP)",
)


def test_models_and_runs_from_before_the_stages_are_kept(database_url: str) -> None:
    """Rows of revision 0001 survive 0002 both ways; their versions become candidates."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0001")
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO model_versions (id, name, version, sha256, metrics, created_at) "
            "VALUES (1, 'm', 1, 'x', '{}', CURRENT_TIMESTAMP)"
        )
        connection.exec_driver_sql(
            "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
            "VALUES (1, 'r', 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
        )
    database.upgrade()
    kept = sa.text("SELECT stage, shadow_share FROM model_versions JOIN runs ON model_version_id = 1")
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(kept)] == [("candidate", None)]
    database.downgrade("0001")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT name, version FROM model_versions").all() == [("m", 1)]
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() == 1
    database.downgrade("base")
    database.close()


def test_requested_scans_get_a_kind_of_their_own(database_url: str) -> None:
    """0006 separates nights from requested scans by their request ids; its downgrade makes both nightly."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0005")
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO model_versions (id, name, version, sha256, metrics, created_at) "
            "VALUES (1, 'm', 1, 'x', '{}', CURRENT_TIMESTAMP)"
        )
        connection.execute(
            sa.text(
                "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
                "VALUES (:id, :request, 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
            ),
            [{"id": 1, "request": "night-2026-05-04T02:00Z"}, {"id": 2, "request": "0b0c"}],
        )
    kinds = "SELECT kind FROM runs ORDER BY id"
    steps = [
        (database.upgrade, "0006", ["nightly", "scan"]),
        (database.downgrade, "0005", ["nightly", "nightly"]),
        (database.upgrade, "0006", ["nightly", "scan"]),
    ]
    for migrate, revision, expected in steps:
        migrate(revision)
        with database.read() as connection:
            assert list(connection.exec_driver_sql(kinds).scalars()) == expected
    database.downgrade("base")
    database.close()


def test_runs_from_before_left_nothing_behind(database_url: str) -> None:
    """Runs of 0008 have counts of 0 and no folder in 0009; a program of 0008 goes on writing runs."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0008")
    insert = (
        "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
        "VALUES ({0}, 'r{0}', 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    )
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO model_versions (id, name, version, sha256, metrics, stage, created_at) "
            "VALUES (1, 'm', 1, 'x', '{}', 'candidate', CURRENT_TIMESTAMP)"
        )
        connection.exec_driver_sql(insert.format(1))
    for _ in range(2):
        database.upgrade()
        with database.write() as connection:
            connection.exec_driver_sql(insert.format(2))
            rows = connection.exec_driver_sql(
                "SELECT still_changing, skipped, unreadable_folders, intake, file_system FROM runs"
            ).all()
            connection.exec_driver_sql("DELETE FROM runs WHERE id = 2")
        assert [tuple(row) for row in rows] == [(0, 0, 0, None, None)] * 2
        database.downgrade("0008")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT id FROM runs").scalars().all() == [1]
    database.downgrade("base")
    database.close()


_OLDER_REVIEWS = """
INSERT INTO model_versions (id, name, version, sha256, metrics, created_at)
    VALUES (1, 'm', 1, 'x', '{}', CURRENT_TIMESTAMP);
INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at)
    VALUES (1, 'r', 'nightly', 'running', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP);
INSERT INTO chunks (id, run_id, state, size, sent_at) VALUES (1, 1, 'done', 4, CURRENT_TIMESTAMP);
INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state, code)
    VALUES (1, 1, 1, '/1', false, 1, 1, 'classified', NULL), (2, 1, 1, '/2', false, 1, 1, 'classified', NULL),
        (3, 1, 1, '/3', false, 1, 1, 'classified', NULL), (4, 1, 1, '/4', false, 1, 1, 'quarantined', 'e');
INSERT INTO predictions (image_id, model_version_id, label_index, label, probability, main_label,
        main_probability, top, decision)
    VALUES (1, 1, 0, 'Coat', 0.4, 'Coat', 0.4, '[]', 'review'),
        (2, 1, 0, 'Coat', 0.4, 'Coat', 0.4, '[]', 'review'),
        (3, 1, 0, 'Coat', 0.9, 'Coat', 0.9, '[]', 'auto');
INSERT INTO reviews (image_id, run_id, kind, rank, reviewed_at, reviewer, label, main_label, was_right)
    VALUES (1, 1, 'doubt', 0.4, '2026-05-04 08:00:00', 'ada', 'Hat', 'Hats', false),
        (2, 1, 'doubt', 0.4, NULL, NULL, NULL, NULL, NULL);
INSERT INTO review_changes (image_id, changed_at, who, action, label)
    VALUES (1, '2026-05-04 08:00:00', 'ada', 'correct', 'Hat'),
        (2, '2026-05-04 08:01:00', 'ada', 'correct', 'Hat'),
        (2, '2026-05-04 08:02:00', 'ada', 'undo', NULL)
"""


def test_images_of_before_get_their_final_labels(database_url: str) -> None:
    """0010 fills the final label of reviewed, taken back, sure and unusable images, both ways and again."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0009")
    with database.write() as connection:
        for statement in _OLDER_REVIEWS.split(";"):
            connection.exec_driver_sql(statement)
    finals = "SELECT final_label, final_source FROM images ORDER BY id"
    expected = [("Hat", "person"), ("Coat", "model"), ("Coat", "model"), (None, None)]
    for _ in range(2):
        database.upgrade("0010")
        with database.read() as connection:
            assert [tuple(row) for row in connection.exec_driver_sql(finals)] == expected
            undo = "SELECT undoes, outcome FROM review_changes ORDER BY id DESC LIMIT 1"
            assert tuple(connection.exec_driver_sql(undo).one()) == (2, "undo")
        database.downgrade("0009")
    with database.read() as connection:
        kept = "SELECT label FROM reviews WHERE reviewed_at IS NOT NULL"
        assert list(connection.exec_driver_sql(kept).scalars()) == ["Hat"]
    database.downgrade("base")
    database.close()


def test_users_and_tokens_of_before_are_no_admins(database_url: str) -> None:
    """0015 makes no admin; a program of 0014 goes on; a token with an owner is revoked on the way back."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0014")
    add_user = (
        "INSERT INTO users (name, password_hash, role, created_at) "
        "VALUES ('u{0}', 'x', 'operator', CURRENT_TIMESTAMP)"
    )
    add_program = (
        "INSERT INTO api_tokens (name, sha256, role, created_at) "
        "VALUES ('t{0}', '{0}', 'operator', CURRENT_TIMESTAMP)"
    )
    with database.write() as connection:
        connection.exec_driver_sql(add_user.format(1))
        connection.exec_driver_sql(add_program.format(1))
    database.upgrade("0015")
    with database.write() as connection:
        connection.exec_driver_sql(add_user.format(2))
        connection.exec_driver_sql(add_program.format(2))
    assert {each.role for each in access.all_users(database)} == {Role.OPERATOR}
    assert {(each.role, each.owner) for each in access.all_tokens(database)} == {(Role.OPERATOR, None)}
    access.change_user(database, "u1", role=Role.ADMIN, by="root")
    access.add_token(database, "u1/till", "3", Role.ADMIN, owner="u1")
    database.downgrade("0014")
    with database.read() as connection:
        roles = connection.exec_driver_sql("SELECT role FROM users").scalars()
        assert list(roles) == ["operator"] * 2
        valid = connection.exec_driver_sql("SELECT name FROM api_tokens WHERE revoked_at IS NULL ORDER BY id")
        assert list(valid.scalars()) == ["t1", "t2"]
    database.upgrade("0015")
    assert {each.role for each in access.all_users(database)} == {Role.OPERATOR}


def test_0016_gives_every_chunk_a_moment_and_its_downgrade_keeps_the_images(database_url: str) -> None:
    """Retention finds chunks of older releases by the moment of their run; images survive up, down, up."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0015")
    with database.write() as connection:
        for statement in (
            "INSERT INTO model_versions (id, name, version, sha256, metrics, created_at, stage) "
            "VALUES (1, 'm', 1, 'x', '{}', CURRENT_TIMESTAMP, 'active')",
            "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
            "VALUES (1, 'r', 'nightly', 'running', 1, '2026-01-02 03:04:05', CURRENT_TIMESTAMP)",
            "INSERT INTO chunks (id, run_id, state, size, sent_at) "
            "VALUES (1, 1, 'done', 1, CURRENT_TIMESTAMP)",
            "INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
            "VALUES (1, 1, 1, '/in/a.png', false, 1, 1, 'pending')",
        ):
            connection.exec_driver_sql(statement)
    for step, revision in (
        (database.upgrade, "0016"),
        (database.downgrade, "0015"),
        (database.upgrade, "0016"),
    ):
        step(revision)
        with database.read() as connection:
            moments = "SELECT count(*) FROM chunks JOIN runs ON received_at = opened_at"
            assert connection.exec_driver_sql(moments).scalar_one() == 1
            assert connection.exec_driver_sql("SELECT source_path FROM images").all() == [("/in/a.png",)]
    database.downgrade("base")
    database.close()


def test_photos_from_before_belong_to_no_return(database_url: str) -> None:
    """0019 keeps images; a program of 0018 goes on writing them; a downgrade drops returns alone."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0018")
    image = (
        "INSERT INTO images (run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
        "VALUES (1, 1, '/in/{0}.png', {1}, 1, 1, 'pending')"
    )
    flag = "1" if database.is_sqlite else "TRUE"
    with database.write() as connection:
        for statement in (
            *_RUN_WITH_A_CHUNK,
            image.format("before", flag),
        ):
            connection.exec_driver_sql(statement)
    for place in range(2):
        database.upgrade()
        with database.write() as connection:
            connection.exec_driver_sql(image.format(f"beside-{place}", flag))
            found = connection.exec_driver_sql("SELECT count(*), count(return_id) FROM images").one()
            assert tuple(found) == (2 + place, 0)
            connection.exec_driver_sql(
                "INSERT INTO returns (id, number, source, created_at, changed_at) "
                "VALUES (1, 'R-1', 'x', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
            )
            connection.exec_driver_sql("UPDATE images SET return_id = 1 WHERE source_path = '/in/before.png'")
        if database.is_sqlite:
            with database.read() as connection:
                keys = connection.exec_driver_sql("PRAGMA foreign_key_list(images)").all()
            assert "returns" in {key[2] for key in keys}
        database.downgrade("0018")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM images").scalar_one() == 2 + place
    database.downgrade("base")
    database.close()


def test_photos_from_before_repeat_nothing(database_url: str) -> None:
    """0020 keeps images; a program of 0019 goes on writing them; a downgrade drops matches and keys alone."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0019")
    flag = "1" if database.is_sqlite else "TRUE"
    image = (
        "INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
        "VALUES ({0}, 1, 1, '/in/{0}.png', {1}, 1, 1, 'pending')"
    )
    with database.write() as connection:
        for statement in (
            *_RUN_WITH_A_CHUNK,
            image.format(1, flag),
        ):
            connection.exec_driver_sql(statement)
    insert = (
        "INSERT INTO image_matches (image_id, earlier_id, kind, decision, distance, changes, matched_at) "
        "VALUES ({}, 0.2, 'mirrored', CURRENT_TIMESTAMP)"
    )
    for place in range(2):
        database.upgrade()
        with database.write() as connection:
            connection.exec_driver_sql(image.format(2 + place, flag))
            connection.exec_driver_sql("INSERT INTO compared_images VALUES (1, 20000, 7, NULL, NULL)")
            connection.exec_driver_sql("INSERT INTO image_keys VALUES (1, 1, 0), (2, 1, 1)")
            connection.exec_driver_sql(insert.format(f"{2 + place}, 1, 'near', 'dismissed'"))
        for values in ("1, 2, 'near', NULL", "1, 0, 'alike', NULL", "1, 0, 'near', 'perhaps'"):
            with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
                connection.exec_driver_sql(insert.format(values))
        database.downgrade("0019")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM images").scalar_one() == 2 + place
            assert not sa.inspect(connection).has_table("image_matches")


def test_a_catalogue_is_dropped_without_the_returns_of_its_products(database_url: str) -> None:
    """0021 keeps returns; a downgrade with products, pictures, vectors and comparisons drops these alone."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0020")
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO returns (id, number, product, source, created_at, changed_at) "
            "VALUES (1, 'R-1', 'P-1', 'x', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
        )
    for _ in range(2):
        database.upgrade()
        with database.write() as connection:
            for statement in (
                "INSERT INTO catalogue_imports (id, at, who, source, is_complete) "
                "VALUES (1, CURRENT_TIMESTAMP, 'x', 'x', false)",
                "INSERT INTO products "
                "(id, product_id, price, attributes, digest, created_at, changed_at, import_id) "
                "VALUES (1, 'P-1', 1299, '{}', 'x', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 1)",
                "INSERT INTO product_words (word, product) VALUES ('p-1', 1)",
                "INSERT INTO product_images (id, product, position, address, state) "
                "VALUES (1, 1, 0, 'a.jpg', 'new')",
                "INSERT INTO embedding_spaces "
                "(id, name, version, dimensions, metric, digest, state, created_at) "
                "VALUES (1, 's', 1, 2, 'cosine', 'x', 'active', CURRENT_TIMESTAMP)",
                "INSERT INTO product_vectors (space_id, product_image_id, vector) VALUES (1, 1, 'xx')",
                "INSERT INTO photo_looks (id, space_id, asked_at) VALUES (1, 1, CURRENT_TIMESTAMP)",
                "INSERT INTO returns_to_compare (return_id, since) VALUES (1, CURRENT_TIMESTAMP)",
                "INSERT INTO product_comparisons (return_id, product, images, compared_at, space_id) "
                "VALUES (1, 'P-1', '[]', CURRENT_TIMESTAMP, 1)",
                "INSERT INTO product_calibrations (space_id, begun_at) VALUES (1, CURRENT_TIMESTAMP)",
            ):
                connection.exec_driver_sql(statement)
        database.downgrade("0020")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT product FROM returns").all() == [("P-1",)]
    database.downgrade("base")
    database.close()


def test_events_are_dropped_without_the_products_that_they_name(database_url: str) -> None:
    """0023 keeps the catalogue, and a downgrade with events drops these and what was learned alone."""
    database = Database(database_url)
    database.downgrade("base")
    for place in range(2):
        database.upgrade()
        with database.write() as connection:
            if not place:
                connection.exec_driver_sql(
                    "INSERT INTO products (id, product_id, attributes, digest, created_at, changed_at) "
                    "VALUES (1, 'P-1', '{}', 'x', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
                )
            for statement in (
                "INSERT INTO events VALUES ('K-1', CURRENT_TIMESTAMP, 'P-1', 'kept')",
                "INSERT INTO forgotten_customers VALUES ('x', CURRENT_TIMESTAMP)",
                "INSERT INTO product_neighbours VALUES ('P-1', 'P-2', 0.5)",
            ):
                connection.exec_driver_sql(statement)
        database.downgrade("0022")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT product_id FROM products").all() == [("P-1",)]
    database.downgrade("base")
    database.close()


def test_predictions_from_before_have_no_familiarity(database_url: str) -> None:
    """0028 keeps predictions and marks none; a program of 0027 still writes them; a downgrade keeps all."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0027")
    flag = "1" if database.is_sqlite else "TRUE"
    image = (
        "INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
        "VALUES ({0}, 1, 1, '/in/{0}.png', {1}, 1, 1, 'classified')"
    )
    predicted = (
        "INSERT INTO predictions (image_id, model_version_id, label_index, label, probability, main_label, "
        "main_probability, top, decision) VALUES ({}, 1, 0, 'a', 0.9, 'a', 0.9, '[]', 'auto')"
    )
    with database.write() as connection:
        for statement in (
            *_RUN_WITH_A_CHUNK,
            image.format(1, flag),
            image.format(2, flag),
            predicted.format(1),
        ):
            connection.exec_driver_sql(statement)
    database.upgrade()
    with database.write() as connection:
        connection.exec_driver_sql(predicted.format(2))
        found = connection.exec_driver_sql("SELECT familiarity, unfamiliar FROM predictions").all()
        assert [tuple(row) for row in found] == [(None, None)] * 2
        unfamiliar = "SELECT count(*) FROM predictions WHERE unfamiliar"
        assert connection.exec_driver_sql(unfamiliar).scalar_one() == 0
    database.downgrade("0027")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar_one() == 2
