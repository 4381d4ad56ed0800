"""Reviews: no two reviewers get the same image, and no review is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import PipelineError
from returns_pipeline.records.reviews import ReviewAction, ReviewItem, ReviewOutcome, Undone, Word
from returns_pipeline.store import review_queue, reviews
from returns_pipeline.usecases.reviews import next_task
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images


def closed_run(home: Installation, count: int = 60, start: int = 0, **settings: object) -> int:
    """Scan and classify some images, numbered from `start`; return the closed run."""
    write_images(home.settings.incoming_dir, count, start)
    context, queue = home.in_process()
    changed = context.settings.model_copy(update=settings)
    object.__setattr__(context, "settings", changed)
    run_id = scan(context, f"night {start}")
    queue.deliver(context)
    return run_id


def accept(home: Installation, who: str, item: ReviewItem) -> ReviewAction:
    """Accept the prediction of an image."""
    word = Word(ReviewOutcome.LABEL, item.label, item.main_label)
    return reviews.decide(home.database, who, item.image_id, word)


def test_unsure_predictions_and_a_sample_of_the_sure_ones_wait(home: Installation) -> None:
    """A run queues its unsure predictions and a share of the sure ones, once, however often it closes."""
    run_id = closed_run(home, review_threshold=0.0, audit_share=1.0)
    assert review_queue.counts(home.database).waiting == 60
    review_queue.enqueue(home.database, run_id, 1.0)
    assert review_queue.counts(home.database).waiting == 60


def test_two_reviewers_never_get_the_same_image(home: Installation) -> None:
    """An image that one reviewer holds is not given to another; together they see each image once."""
    closed_run(home, review_threshold=0.0, audit_share=1.0)

    def work(who: str) -> list[int]:
        seen = []
        while (item := review_queue.take(home.database, who, 60)) is not None:
            seen.append(item.image_id)
            accept(home, who, item)
        return seen

    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(work, ("ada", "bob", "cyn")))
    everything = [image for each in seen for image in each]
    assert len(everything) == len(set(everything)) == 60
    found = review_queue.counts(home.database)
    assert (found.waiting, found.audits, found.audits_right) == (0, 60, 60)


def test_what_waits_and_what_is_done_are_counted_up_to_a_limit(home: Installation) -> None:
    """The share of right predictions is that of the newest reviews; no more rows than the limit count."""
    closed_run(home, count=12, review_threshold=0.0, audit_share=1.0)
    for number in range(8):
        item = review_queue.take(home.database, "ada", 60)
        assert item is not None
        if number < 5:
            accept(home, "ada", item)
        else:
            word = Word(ReviewOutcome.UNREADABLE, None, None)
            reviews.decide(home.database, "ada", item.image_id, word)
    assert review_queue.counts(home.database) == (4, 0, 0, 8, 5)
    assert review_queue.counts(home.database, most=3, newest=4) == (3, 0, 0, 4, 1)


def test_a_held_image_is_reserved_and_a_review_can_be_undone(home: Installation) -> None:
    """Each undo takes back the reviewer's newest review, and never another reviewer's."""
    closed_run(home, count=4, review_threshold=0.0, audit_share=1.0)
    database = home.database
    first = review_queue.take(database, "ada", 60)
    assert first is not None
    assert review_queue.take(database, "ada", 60) == first
    other = review_queue.take(database, "bob", 60)
    assert other is not None
    assert other.image_id != first.image_id
    with pytest.raises(PipelineError, match="Another reviewer"):
        accept(home, "bob", first)
    assert first.label != "white"
    assert (
        reviews.decide(database, "ada", first.image_id, Word("label", "white", "white"))
        is ReviewAction.CORRECT
    )
    assert reviews.undo(database, "bob", 60) is None
    second = review_queue.take(database, "ada", 60)
    assert second is not None
    assert accept(home, "ada", second) is ReviewAction.ACCEPT
    for item in (second, first):
        assert reviews.undo(database, "ada", 60) == Undone((item.image_id,), item)
    assert reviews.undo(database, "ada", 60) is None
    assert review_queue.counts(database).waiting == 4


def test_a_bundle_that_lost_labels_still_gives_a_review(sqlite_home: Installation) -> None:
    """If a bundle was replaced by one with fewer labels, a review shows the stored prediction."""
    closed_run(sqlite_home, count=4, review_threshold=0.0, audit_share=1.0)
    bundle = find_bundle(sqlite_home.settings.models_dir, "stub/1")
    fewer = replace(bundle, labels=bundle.labels[:1], main_categories=bundle.labels[:1])
    task = next_task(sqlite_home.database, lambda _: fewer, "ada")
    assert task is not None
    assert task.top == ((task.label, task.probability),)


def test_a_skipped_image_comes_last(home: Installation) -> None:
    """A skipped image is not dropped: it comes after all others."""
    closed_run(home, count=3, review_threshold=0.0, audit_share=1.0)
    first = review_queue.take(home.database, "ada", 60)
    assert first is not None
    reviews.skip(home.database, "ada", first.image_id)
    order = []
    while (item := review_queue.take(home.database, "ada", 60)) is not None:
        order.append(item.image_id)
        accept(home, "ada", item)
    assert order[-1] == first.image_id
    assert len(order) == 3
