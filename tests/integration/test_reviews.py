"""Reviews: no two reviewers get the same image, and no review is lost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.errors import PipelineError
from returns_pipeline.records.reviews import ReviewAction
from returns_pipeline.store import reviews
from returns_pipeline.usecases.reviews import next_task
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images


def closed_run(home: Installation, count: int = 60, **settings: object) -> int:
    """Scan and classify some images; return the closed run."""
    write_images(home.settings.incoming_dir, count)
    context, queue = home.in_process()
    changed = context.settings.model_copy(update=settings)
    object.__setattr__(context, "settings", changed)
    run_id = scan(context, "night")
    queue.deliver(context)
    return run_id


def test_unsure_predictions_and_a_sample_of_the_sure_ones_wait(home: Installation) -> None:
    """A run queues its unsure predictions and a share of the sure ones, once, however often it closes."""
    run_id = closed_run(home, review_threshold=0.0, audit_share=1.0)
    assert reviews.counts(home.database).waiting == 60
    reviews.enqueue(home.database, run_id, 1.0)
    assert reviews.counts(home.database).waiting == 60


def test_two_reviewers_never_get_the_same_image(home: Installation) -> None:
    """An image that one reviewer holds is not given to another; together they see each image once."""
    closed_run(home, review_threshold=0.0, audit_share=1.0)

    def work(who: str) -> list[int]:
        seen = []
        while (item := reviews.take(home.database, who, 60)) is not None:
            seen.append(item.image_id)
            reviews.decide(home.database, who, item.image_id, item.label, item.main_label)
        return seen

    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(work, ("ada", "bob", "cyn")))
    everything = [image for each in seen for image in each]
    assert len(everything) == len(set(everything)) == 60
    found = reviews.counts(home.database)
    assert (found.waiting, found.audits, found.audits_right) == (0, 60, 60)


def test_a_held_image_is_reserved_and_a_review_can_be_undone(home: Installation) -> None:
    """Each undo takes back the reviewer's newest review, and never another reviewer's."""
    closed_run(home, count=4, review_threshold=0.0, audit_share=1.0)
    database = home.database
    first = reviews.take(database, "ada", 60)
    assert first is not None
    assert reviews.take(database, "ada", 60) == first
    other = reviews.take(database, "bob", 60)
    assert other is not None
    assert other.image_id != first.image_id
    with pytest.raises(PipelineError, match="Another reviewer"):
        reviews.decide(database, "bob", first.image_id, first.label, first.main_label)
    assert first.label != "white"
    assert reviews.decide(database, "ada", first.image_id, "white", "white") is ReviewAction.CORRECT
    assert reviews.undo(database, "bob", 60) is None
    second = reviews.take(database, "ada", 60)
    assert second is not None
    assert (
        reviews.decide(database, "ada", second.image_id, second.label, second.main_label)
        is ReviewAction.ACCEPT
    )
    assert reviews.undo(database, "ada", 60) == second
    assert reviews.undo(database, "ada", 60) == first
    assert reviews.undo(database, "ada", 60) is None
    assert reviews.counts(database).waiting == 4


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
    first = reviews.take(home.database, "ada", 60)
    assert first is not None
    reviews.skip(home.database, "ada", first.image_id)
    order = []
    while (item := reviews.take(home.database, "ada", 60)) is not None:
        order.append(item.image_id)
        reviews.decide(home.database, "ada", item.image_id, item.label, item.main_label)
    assert order[-1] == first.image_id
    assert len(order) == 3
