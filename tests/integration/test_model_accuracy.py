"""How often a model is right: counted when a run closes and after reviews, and shown everywhere."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from returns_pipeline.records.accuracy import BANDS, ModelAccuracy
from returns_pipeline.records.reviews import Judgement, Word
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import review_queue, reviews, run_predictions, tables
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import accuracy, sweep
from tests.integration.test_reviews import accept, closed_run
from tests.support import Installation

WRONG = Word("none_of_these")


def inclusions(database: Database) -> dict[int, tuple[str, float | None]]:
    """Return why each image of the queue is in it, and the probability with which it was drawn."""
    query = sa.select(tables.reviews.c.image_id, tables.reviews.c.kind, tables.reviews.c.inclusion)
    with database.read() as connection:
        return {row.image_id: (row.kind, row.inclusion) for row in connection.execute(query)}


def estimated(database: Database) -> ModelAccuracy:
    """Return the estimate of the only model."""
    (found,) = accuracy.recent(database, utc_now())
    return found


def review(home: Installation, wrong: int) -> None:
    """Review everything that waits; the first `wrong` predictions are wrong."""
    for number in range(1000):
        item = review_queue.take(home.database, "ada", 60)
        if item is None:
            break
        if number < wrong:
            reviews.decide(home.database, "ada", item.image_id, WRONG)
        else:
            accept(home, "ada", item)
    update_reports(home)


def update_reports(home: Installation) -> None:
    """Do what the next sweep does."""
    context, queue = home.in_process()
    sweep.sweep(context)
    assert Task.UPDATE_REPORT in {message.task for message in queue.messages}
    queue.deliver(context)


def test_the_probability_of_being_drawn_is_stored(home: Installation) -> None:
    """A doubt has 1 and a sure photo the share; a second closing with a larger share draws all with it."""
    run_id = closed_run(home, audit_share=0.25)
    found = inclusions(home.database)
    assert {value for value in found.values() if value[0] == "doubt"} <= {("doubt", 1.0)}
    drawn = [share for kind, share in found.values() if kind == "audit"]
    assert drawn
    assert all(share is not None and abs(share - 0.25) < 1e-5 for share in drawn)
    for share in (1.0, 0.1):
        review_queue.enqueue(home.database, run_id, share)
        assert {share for _, share in inclusions(home.database).values()} == {1.0}


def test_a_photo_that_a_person_put_aside_before_is_in_the_sample_too(home: Installation) -> None:
    """Errors are what people put aside: a sample without them would make the model look better."""
    run_id = closed_run(home, count=6, review_threshold=0.0, audit_share=0.0)
    first = 1 + min(inclusions(home.database), default=0)
    reviews.decide_many(home.database, "ada", [Judgement(first, None)])
    assert inclusions(home.database) == {first: ("marked", None)}
    review_queue.enqueue(home.database, run_id, 1.0)
    assert inclusions(home.database)[first] == ("marked", 1.0)
    assert len(inclusions(home.database)) == 6


def test_reviews_and_an_undo_change_the_estimate(home: Installation) -> None:
    """Every photo is drawn: the share of right labels is exact, and an undo makes it uncertain again."""
    closed_run(home, review_threshold=0.0, audit_share=1.0)
    before = estimated(home.database).recent
    assert before is not None
    assert (before.photos, before.reviewed, before.right, before.more) == (60, 0, None, before.more)
    assert before.more > 0
    review(home, wrong=3)
    found = estimated(home.database)
    assert found.recent is not None
    assert found.recent == (60, 60, 0.95, 0.95, 0.95, 0)
    assert sum(each.estimate.photos for each in found.categories) == 60
    reviews.undo(home.database, "ada", 60)
    update_reports(home)
    after = estimated(home.database).recent
    assert after is not None
    assert (after.photos, after.reviewed) == (60, 59)
    assert after.low < after.high


def test_a_run_whose_photos_were_drawn_in_an_unknown_way_is_left_out(home: Installation) -> None:
    """A run of an older program, or without a sample, says nothing; the number of such runs is stated."""
    run_id = closed_run(home, review_threshold=0.0, audit_share=1.0)
    of_run = accuracy.of_run(home.database, utc_now(), run_id)
    assert of_run == estimated(home.database)._replace(categories=())
    assert accuracy.left_out(home.database, utc_now()) == {}
    for share in (None, 0.0):
        with home.database.write() as connection:
            connection.execute(sa.update(tables.runs).values(audit_share=share))
        assert accuracy.recent(home.database, utc_now()) == []
        assert accuracy.of_run(home.database, utc_now(), run_id) is None
        assert accuracy.left_out(home.database, utc_now()) == {"stub": 1}


def test_counting_twice_counts_once(home: Installation) -> None:
    """The counts of a run replace those of before; they are as many as its classified photos."""
    run_id = closed_run(home, audit_share=0.5)
    query = sa.select(tables.run_predictions).order_by(*tables.run_predictions.primary_key)
    found = []
    for _ in range(2):
        run_predictions.count(home.database, run_id)
        with home.database.read() as connection:
            found.append(connection.execute(query).all())
    assert found[0] == found[1]
    assert sum(row.photos for row in found[0]) == 60


def write_counts(database: Database, models: int, labels: int, nights: int) -> None:
    """Write the counts of closed nights of some models: each label has photos in each band."""
    counts = {"photos": 40, "probability": 30.0, "reviewed": 4, "right_count": 3}
    weights = {"weight": 40.0, "right_weight": 30.0, "square_weight": 400.0}
    now = utc_now()
    with database.write() as connection:
        for number in range(models * nights):
            model, night = divmod(number, nights)
            if not night:
                facts = {
                    "name": f"model{model}",
                    "version": 1,
                    "sha256": "",
                    "metrics": {},
                    "created_at": now,
                }
                connection.execute(sa.insert(tables.model_versions).values(id=model + 1, **facts))
            opened = {
                "opened_at": now - timedelta(days=night, hours=1),
                "touched_at": now,
                "intake": "/intake",
            }
            closed = {"state": "closed", "audit_share": 0.1, "kind": "nightly", "model_version_id": model + 1}
            connection.execute(
                sa.insert(tables.runs).values(id=number + 1, request_id=str(number), **opened, **closed)
            )
            keys = [(f"label {label}", band) for label in range(labels) for band in range(-1, len(BANDS))]
            rows = [
                {"run_id": number + 1, "label": label, "is_sure": band > 4, "band": band, **counts, **weights}
                for label, band in keys
            ]
            connection.execute(sa.insert(tables.run_predictions), rows)


def test_many_labels_and_models_need_no_more_queries(home: Installation) -> None:
    """All models, categories and weeks need two queries, and two that tell whether anything has changed."""
    database = home.database
    write_counts(database, models=3, labels=60, nights=20)
    statements: list[str] = []

    def remember(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(database._engine, "before_cursor_execute", remember)
    now = utc_now()
    found = accuracy.over_time(database, now, ZoneInfo("Europe/Berlin"))
    assert len(statements) == 4
    assert [(each.model.name, len(each.categories)) for each in found] == [
        (f"model{number}", 60) for number in range(3)
    ]
    rows = 1 + len(BANDS)
    for each in found:
        assert each.recent is not None
        assert each.recent.photos == sum(week.estimate.photos for week in each.weeks) == 20 * 60 * rows * 40
        assert {of_label.estimate.photos for of_label in each.categories} == {20 * rows * 40}
        assert 3 <= len(each.weeks) <= 4
        # Each estimate is that of its group alone.
        assert len({of_label.estimate for of_label in each.categories}) == 1
    (alone,) = accuracy.over_time(database, now, ZoneInfo("Europe/Berlin"), "model1")
    assert alone == found[1]
    assert len(statements) == 6
    run_predictions.count(database, 1)  # without images, nothing remains of the newest night
    assert accuracy.of_run(database, now, 1) == accuracy.recent(database, now)[0]._replace(categories=())
    again = accuracy.over_time(database, now, ZoneInfo("Europe/Berlin"))
    assert again[1:] == found[1:]
    newest = again[0].recent
    assert newest is not None
    assert newest.photos == 19 * 60 * rows * 40


def test_the_command_tells_the_same(sqlite_home: Installation) -> None:
    """JSON has the estimate, its categories and weeks; the text has the sentence of the pages."""
    closed_run(sqlite_home, review_threshold=0.0, audit_share=1.0)
    review(sqlite_home, wrong=3)
    found = sqlite_home.json("models", "accuracy", "stub")
    (version,) = found["versions"]
    assert (version["model"], version["intake"]) == ("stub/1", sqlite_home.settings.incoming_dir.name)
    assert version["recent"]["right"] == version["weeks"][0]["right"] == 0.95
    assert {each["label"] for each in version["categories"]} == {"dark", "dim", "bright", "white"}
    printed = sqlite_home.run("models", "accuracy", "stub").stdout
    assert "Right labels: 95.0 % (95.0 to 95.0) (last 28 days)" in printed
    missing = sqlite_home.run("models", "accuracy", "nothing")
    assert missing.returncode == 3
    assert "There is no model nothing." in missing.stderr


def test_what_was_drawn_before_0030_is_unknown(database_url: str) -> None:
    """0030 keeps reviews and runs; a program of 0027 goes on writing them, without what it does not know."""
    database = Database(database_url)
    database.downgrade("base")
    database.upgrade("0027")
    flag = "1" if database.is_sqlite else "TRUE"
    image = (
        "INSERT INTO images (id, run_id, chunk_id, source_path, in_intake, size, mtime_ns, state) "
        "VALUES ({0}, 1, 1, '/in/{0}.png', {1}, 1, 1, 'pending')"
    )
    review = "INSERT INTO reviews (image_id, run_id, kind, rank) VALUES ({0}, 1, 'audit', 0.5)"
    with database.write() as connection:
        for statement in (
            "INSERT INTO model_versions (id, name, version, sha256, metrics, stage, created_at) "
            "VALUES (1, 'm', 1, 'x', '{}', 'candidate', CURRENT_TIMESTAMP)",
            "INSERT INTO runs (id, request_id, kind, state, model_version_id, opened_at, touched_at) "
            "VALUES (1, 'r', 'nightly', 'closed', 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
            "INSERT INTO chunks (id, run_id, state, size, sent_at) "
            "VALUES (1, 1, 'done', 2, CURRENT_TIMESTAMP)",
            image.format(1, flag),
            review.format(1),
        ):
            connection.exec_driver_sql(statement)
    for place in range(2):
        database.upgrade()
        with database.write() as connection:
            connection.exec_driver_sql(image.format(2 + place, flag))
            connection.exec_driver_sql(review.format(2 + place))
            found = connection.exec_driver_sql("SELECT count(*), count(inclusion) FROM reviews").one()
            assert tuple(found) == (2 + place, 0)
        assert accuracy.recent(database, utc_now()) == []
        database.downgrade("0027")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM reviews").scalar_one() == 2 + place
    database.downgrade("base")
    database.close()
