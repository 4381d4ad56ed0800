"""The final label: a person's word on any image counts, is shown everywhere, and can be taken back."""

import csv
import io
import json
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

import returns_pipeline as rp
from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.images import Filter, ImageResult
from returns_pipeline.records.reviews import ReviewAction, Word
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import (
    browsing,
    final_labels,
    image_history,
    images,
    review_queue,
    reviews,
    run_closing,
    run_statistics,
    runs,
    tables,
)
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import closing, sweep
from returns_pipeline.usecases.reviews import decide
from returns_pipeline.web import export
from tests.integration.test_reviews import closed_run
from tests.support import Installation

NONE = Word("none_of_these")


def label(name: str) -> Word:
    """Return the word of a person who chose a category."""
    return Word("label", name, name)


def image_of(database: Database, image_id: int) -> ImageResult:
    """Return an image as pages show it."""
    found = browsing.find(database, image_id)
    assert found is not None
    return found


def first_of(home: Installation, run_id: int) -> ImageResult:
    """Return the first image of a run."""
    return next(images.results(home.database, run_id))


def test_a_sure_but_wrong_prediction_can_be_corrected(home: Installation) -> None:
    """An image that is not in the queue takes a person's word; the prediction stays beside it."""
    run_id = closed_run(home, count=6, audit_share=0.0)
    assert review_queue.waiting(home.database) == 0
    before = first_of(home, run_id)
    assert (before.final_label, before.final_source, before.reviewer) == (before.label, "model", None)
    assert reviews.decide(home.database, "ada", before.id, label("Hat")) is ReviewAction.CORRECT
    after = image_of(home.database, before.id)
    assert (after.final_label, after.final_source, after.reviewer) == ("Hat", "person", "ada")
    assert (after.label, after.probability) == (before.label, before.probability)
    assert after.reviewed_at is not None
    assert timedelta() <= after.reviewed_at - after.received_at < timedelta(minutes=5)


def test_an_outcome_without_a_label_leaves_no_final_label(home: Installation) -> None:
    """`none of these` is a person's word: it is not the prediction that counts then."""
    image = first_of(home, closed_run(home, count=3))
    reviews.decide(home.database, "ada", image.id, NONE)
    after = image_of(home.database, image.id)
    assert (after.final_label, after.final_source, after.review_outcome) == (None, "person", "none_of_these")


def test_the_newest_word_counts_and_an_undo_brings_back_the_one_before(home: Installation) -> None:
    """After a second review by another person, and after its undo, the newest standing word counts."""
    database = home.database
    image = first_of(home, closed_run(home, count=3))
    reviews.decide(database, "ada", image.id, label("Hat"))
    with pytest.raises(ConflictError, match="Another reviewer"):
        reviews.decide(database, "bob", image.id, NONE)
    seen = review_queue.find(database, image.id)
    assert seen is not None
    reviews.decide(database, "bob", image.id, NONE, replaces=seen.review_id)
    assert image_of(database, image.id).review_outcome == "none_of_these"
    undone = reviews.undo(database, "bob", 60)
    assert undone is not None
    assert undone.image_ids == (image.id,)
    assert image_of(database, image.id).final_label == "Hat"
    reviews.undo(database, "ada", 60)
    after = image_of(database, image.id)
    assert (after.final_label, after.final_source, after.reviewer) == (image.label, "model", None)
    assert [(event.what, event.who) for event in image_history.history(database, image.id)][-4:] == [
        ("correct", "ada"),
        ("correct", "bob"),
        ("undo", "bob"),
        ("undo", "ada"),
    ]


def test_an_undo_takes_back_exactly_the_last_action(home: Installation) -> None:
    """Skip, accept and correct are taken back one by one, newest first; a skipped image keeps its place."""
    database = home.database
    closed_run(home, count=3, review_threshold=0.0, audit_share=1.0)
    first = review_queue.take(database, "ada", 60)
    assert first is not None
    reviews.skip(database, "ada", first.image_id)
    second = review_queue.take(database, "ada", 60)
    assert second is not None
    reviews.decide(database, "ada", second.image_id, label("Hat"))
    undone = [reviews.undo(database, "ada", 60) for _ in range(2)]
    assert [each and each.image_ids for each in undone] == [(second.image_id,), (first.image_id,)]
    assert reviews.undo(database, "ada", 60) is None
    assert review_queue.waiting(database) == 3
    with database.read() as connection:
        ranks = dict(connection.execute(sa.select(tables.reviews.c.image_id, tables.reviews.c.rank)).all())
    assert max(ranks.values()) < 1


def test_the_same_word_twice_is_one_review(home: Installation) -> None:
    """A second Enter, or a repeated request, adds nothing that an undo would have to take back twice."""
    image = first_of(home, closed_run(home, count=3))
    for _ in range(2):
        assert reviews.decide(home.database, "ada", image.id, label("Hat")) is ReviewAction.CORRECT
    assert reviews.undo(home.database, "ada", 60) is not None
    assert reviews.undo(home.database, "ada", 60) is None


def test_an_unusable_photo_can_be_labelled(home: Installation) -> None:
    """A person can name what a quarantined file shows; it stays quarantined."""
    home.settings.incoming_dir.mkdir(parents=True, exist_ok=True)
    (home.settings.incoming_dir / "broken.jpg").write_bytes(b"")
    run_id = closed_run(home, count=2)
    broken = next(image for image in images.results(home.database, run_id) if image.state == "quarantined")
    assert (broken.final_label, broken.final_source) == (None, None)
    reviews.decide(home.database, "ada", broken.id, label("Hat"))
    after = image_of(home.database, broken.id)
    assert (after.final_label, after.final_source, after.state) == ("Hat", "person", "quarantined")
    reviews.undo(home.database, "ada", 60)
    assert image_of(home.database, broken.id).final_source is None


def test_wrong_words_are_refused(home: Installation) -> None:
    """A label that the model lacks, an unknown outcome, an unknown image: a sentence, and nothing changes."""
    image = first_of(home, closed_run(home, count=3))

    def said(label: str | None, outcome: str = "label", image_id: int = image.id) -> ReviewAction:
        def bundle_of(ref: str) -> Bundle:
            return find_bundle(home.settings.models_dir, ref)

        return decide(home.database, bundle_of, "ada", image_id, label, outcome)

    with pytest.raises(RefusedError, match="has no label 'Hat'"):
        said("Hat")
    with pytest.raises(RefusedError, match="There is no outcome 'maybe'"):
        said(None, "maybe")
    with pytest.raises(RefusedError, match="has no label"):
        said(image.label, "retake")
    with pytest.raises(NotFoundError, match="no image"):
        said(image.label, image_id=10**9)
    assert image_of(home.database, image.id) == image_of(home.database, image.id)._replace(reviewer=None)
    assert said(image.label) is ReviewAction.ACCEPT


def test_every_output_follows_a_correction(home: Installation) -> None:
    """After the next sweep, the CSV, the exports, the counts, the list and the API show the new label."""
    database = home.database
    run_id = closed_run(home, count=8, audit_share=0.0)
    image = first_of(home, run_id)
    reviews.decide(database, "ada", image.id, label("Hat"))
    context, queue = home.in_process()
    sweep.sweep(context)
    assert queue.waiting(Task.UPDATE_REPORT) == [run_id]
    queue.deliver(context)
    summary = runs.existing(database, run_id)
    assert summary.csv is not None
    expected = Counter(each.final_label for each in images.results(database, run_id))
    assert expected["Hat"] == 1
    of_csv = list(csv.DictReader(io.StringIO(summary.csv.read_text())))
    exported = b"".join(export.FORMATS["json"].write(export.batches(database, [run_id]), home.settings))
    for rows in (of_csv, json.loads(exported)):
        assert Counter(row["final_label"] for row in rows) == expected
        changed = next(row for row in rows if row["final_label"] == "Hat")
        assert (changed["label"], changed["final_source"], changed["reviewed_by"]) == (
            image.label,
            "person",
            "ada",
        )
        assert changed["reviewed_at"].endswith("Z")
    assert run_statistics.labels(database, [run_id])[run_id] == expected
    listed, _ = browsing.page(database, Filter(run_id=run_id, label="Hat"), browsing.Order.ID, None, 10)
    assert [each.id for each in listed] == [image.id]
    with rp.open_pipeline(home.settings) as pipeline:
        found = {each.id: each for each in pipeline.results(run_id)}
    assert (found[image.id].final_label, found[image.id].reviewer) == ("Hat", "ada")
    sweep.sweep(context)
    assert queue.waiting(Task.UPDATE_REPORT) == []


def test_a_review_during_an_update_of_the_report_is_not_lost(home: Installation) -> None:
    """A report that was read before a review stays due: the next sweep writes it again."""
    database = home.database
    run_id = closed_run(home, count=3)
    context, _ = home.in_process()
    image = first_of(home, run_id)
    reviews.decide(database, "ada", image.id, label("Hat"))
    with database.write() as connection:
        connection.execute(sa.update(tables.runs).values(corrected_at=utc_now() + timedelta(milliseconds=1)))
    run_closing.end_correction(database, run_id, utc_now() - timedelta(seconds=1))
    assert run_closing.corrected(database) == [run_id]
    closing.update_report(context, run_id)
    assert run_closing.corrected(database) == []


def test_rows_of_the_release_before_are_completed(home: Installation) -> None:
    """What an older program classifies and reviews beside this one gets its final label from the sweep."""
    database = home.database
    run_id = closed_run(home, count=4, review_threshold=0.0, audit_share=1.0)
    all_images = list(images.results(database, run_id))
    moment = utc_now()
    reviewed, undone = all_images[0], all_images[1]
    with database.write() as connection:
        connection.execute(
            sa.update(tables.images).values(final_label=None, final_source=None, review_id=None)
        )
        older = {"who": "ada", "changed_at": moment}
        connection.execute(
            sa.insert(tables.review_changes),
            [
                {"image_id": reviewed.id, "action": "correct", "label": "Hat", **older},
                {"image_id": undone.id, "action": "correct", "label": "Hat", **older},
                {"image_id": undone.id, "action": "undo", "label": None, **older},
            ],
        )
        connection.execute(
            sa.update(tables.reviews)
            .where(tables.reviews.c.image_id == reviewed.id)
            .values(reviewed_at=moment, reviewer="ada", label="Hat", main_label="Hats", was_right=False)
        )
    assert final_labels.complete_older(database, 100) == 4 + 2
    assert final_labels.complete_older(database, 100) == 0
    found = {image.id: image for image in images.results(database, run_id)}
    assert (found[reviewed.id].final_label, found[reviewed.id].reviewer) == ("Hat", "ada")
    assert (found[undone.id].final_label, found[undone.id].final_source) == (undone.label, "model")
    assert all(image.final_label == image.label for image in all_images[2:])
