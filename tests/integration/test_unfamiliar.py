"""A photo that is unlike anything the model was trained on is reviewed, and found again."""

import csv
import shutil
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.classify import familiarity
from returns_pipeline.classify.bundle import Bundle, find_bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.records.images import Filter, ImageResult
from returns_pipeline.records.predictions import UNFAMILIAR_DETAIL, Decision, Scores
from returns_pipeline.settings import PROJECT_ROOT
from returns_pipeline.store import browsing, images, review_queue, runs
from returns_pipeline.store.browsing import Order
from returns_pipeline.usecases import search
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.results import results
from returns_pipeline.usecases.reviews import next_task
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, needs_fashion_mnist, write_images

_COUNT = 40


class _Familiar(StubClassifier):
    """Is sure of every image, and knows how familiar each is: the dark ones are not."""

    def predict(self, pixels: NDArray[np.uint8]) -> Scores:
        scores = super().predict(pixels)
        mean = pixels.reshape(len(pixels), -1).mean(axis=1) if len(pixels) else np.zeros(0)
        return Scores(scores.probabilities, scores.features, np.where(mean < 64, 0.004, 0.5))


def _night(home: Installation, **settings: object) -> Sequence[ImageResult]:
    """Classify some images; return them."""
    write_images(home.settings.incoming_dir, _COUNT)
    queue = InProcessQueue()
    context = Context(home.settings.model_copy(update=settings), home.database, queue, _Familiar)
    run_id = scan(context, "night")
    queue.deliver(context)
    return list(images.results(home.database, run_id))


def test_unfamiliar_photos_are_reviewed_first_and_found(home: Installation) -> None:
    """Its probability does not count; pages, search, filter, report and API tell it from the others."""
    found = _night(home, review_threshold=0.5, audit_share=0.0)
    strange = {image.id for image in found if image.familiarity == 0.004}
    assert 0 < len(strange) < _COUNT
    for image in found:
        is_strange = image.id in strange
        assert image.decision == (Decision.REVIEW if is_strange else Decision.AUTO)
        assert image.detail == (UNFAMILIAR_DETAIL if is_strange else None)
    assert review_queue.waiting(home.database) == len(strange)
    task = next_task(home.database, lambda _: _bundle(home), "ada")
    assert task is not None
    assert task.unfamiliar

    settings, database = home.settings, home.database
    by_word = search.find_images(database, settings, "unfamiliar", 100)[1]
    also = Filter(unfamiliar=True)
    by_filter = search.find_images(database, settings, "", 100, also=also)[1]
    assert {image.id for image in by_word.images} == {image.id for image in by_filter.images} == strange
    page, _ = browsing.page(database, Filter(run_id=found[0].run_id, unfamiliar=False), Order.ID, None, 100)
    assert {image.id for image in page} == {image.id for image in found} - strange
    assert {each.id for each in results(database, found[0].run_id) if each.familiarity == 0.004} == strange
    report = runs.existing(database, found[0].run_id).csv
    assert report is not None
    with report.open(encoding="utf-8", newline="") as stream:
        assert sum(row["familiarity"] == "0.004000" for row in csv.DictReader(stream)) == len(strange)


def test_the_least_familiarity_is_a_setting(sqlite_home: Installation) -> None:
    """With 0 nothing is unfamiliar; the command lists the images that are, and their familiarity."""
    assert {image.decision for image in _night(sqlite_home, review_threshold=0.5, familiarity=0.0)} == {
        "auto"
    }
    assert sqlite_home.json("images", "list", "--unfamiliar") == []
    (listed,) = {each["familiarity"] for each in sqlite_home.json("images", "list", "--search", "label_0")}
    assert listed == 0.004


def _bundle(home: Installation) -> Bundle:
    return find_bundle(home.settings.models_dir, home.settings.model)


@needs_fashion_mnist
def test_the_command_gives_a_shipped_model_what_it_is_shipped_with(sqlite_home: Installation) -> None:
    """`models familiarity` learns again, from the data of the training, what the shipped file has."""
    models = sqlite_home.settings.home / "models"
    shutil.copytree(PROJECT_ROOT / "models" / "fashion-mnist", models / "fashion-mnist")
    (models / "fashion-mnist" / "2" / "familiarity.bin").unlink()
    arguments = ("models", "familiarity", "fashion-mnist/2")
    done = sqlite_home.run(*arguments, RETURNS_MODELS_DIR=str(models))
    assert done.returncode == 0, done.stderr
    learned = familiarity.load(find_bundle(models, "fashion-mnist/2"))
    shipped = familiarity.load(find_bundle(PROJECT_ROOT / "models", "fashion-mnist/2"))
    assert learned is not None
    assert shipped is not None
    np.testing.assert_allclose(learned.strangeness, shipped.strangeness, rtol=0.05)
