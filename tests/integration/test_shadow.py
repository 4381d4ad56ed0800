"""A shadow predicts beside the model of the night, and cannot harm the night."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from returns_pipeline.classify.bundle import Bundle
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import ConflictError, NotFoundError, RefusedError
from returns_pipeline.records.models import ModelRef, ModelStage
from returns_pipeline.records.predictions import Scores
from returns_pipeline.report.changes import Changes, count_changes
from returns_pipeline.store import images, runs, tables
from returns_pipeline.store.models import all_versions, history, shadow_predictions
from returns_pipeline.usecases import models
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import classify_paths, scan
from returns_pipeline.usecases.shadow import is_in_sample
from tests.support import (
    Audit,
    Installation,
    assert_promise_kept,
    audit,
    digests,
    write_images,
    write_stub_bundle,
)

OTHERS = ("dark", "dim", "bright", "snow")
SECOND = ModelRef("stub", 2)


def _candidate(home: Installation) -> None:
    """Promote stub/1 and write stub/2, of another size, which calls white photos snow."""
    models.promote(home.settings, home.database, "stub/1", who="a person")
    bundle = write_stub_bundle(home.settings.models_dir, version=2, side=16)
    replace(bundle, labels=OTHERS, main_categories=OTHERS).save()


def _shadow(home: Installation, share: float) -> None:
    models.shadow(home.settings, home.database, "stub/2", share, "a person")


def _beside(home: Installation) -> Changes:
    return count_changes(shadow_predictions(home.database, SECOND))


def _a_night(
    home: Installation, photos: int, load: Callable[[Bundle], StubClassifier] = StubClassifier
) -> int:
    """Take one night from its scan to its report; return its run."""
    write_images(home.settings.incoming_dir, photos)
    context, queue = home.in_process()
    context = replace(context, load_classifier=load)
    run_id = scan(context, "night")
    queue.deliver(context)
    return run_id


def test_a_shadow_predicts_and_the_night_is_unchanged(home: Installation) -> None:
    """Table and report have the active version's predictions; those of the shadow are stored beside them."""
    _candidate(home)
    _shadow(home, 1)
    run_id = _a_night(home, 25)
    results = list(images.results(home.database, run_id))
    assert len(results) == 25
    assert {image.label for image in results} == {"dark", "dim", "bright", "white"}
    run = runs.find(home.database, run_id)
    assert run is not None
    assert run.csv is not None
    assert "snow" not in run.csv.read_text(encoding="utf-8")
    changes = _beside(home)
    white = sum(image.label == "white" for image in results)
    assert (changes.both, changes.changed, changes.unanswered) == (25, white, 0)
    assert changes.transitions == [("white", "snow", white)]


def test_a_share_always_selects_the_same_images(home: Installation) -> None:
    """The sample depends only on the image ids, and its size is the requested share."""
    _candidate(home)
    _shadow(home, 0.3)
    _a_night(home, 40)
    with home.database.read() as connection:
        ids = set(connection.execute(sa.select(tables.images.c.id)).scalars())
        second = sa.select(tables.model_versions.c.id).where(tables.model_versions.c.version == 2)
        answered = set(
            connection.execute(
                sa.select(tables.predictions.c.image_id).where(
                    tables.predictions.c.model_version_id == second.scalar_subquery()
                )
            ).scalars()
        )
    assert answered == {image_id for image_id in ids if is_in_sample(image_id, 0.3)}
    for share in (0.01, 0.1, 0.5, 1):
        chosen = sum(is_in_sample(image_id, share) for image_id in range(10**9, 10**9 + 100_000))
        assert chosen == pytest.approx(share * 100_000, rel=0.02)


def _gone(home: Installation) -> None:
    shutil.rmtree(home.settings.models_dir / "stub" / "2")


def _replaced(home: Installation) -> None:
    (home.settings.models_dir / "stub" / "2" / "bundle.json").write_text("{")


@pytest.mark.parametrize("spoil", [_gone, _replaced])
def test_a_missing_or_broken_shadow_does_no_harm(
    home: Installation, spoil: Callable[[Installation], None]
) -> None:
    """The night is complete without it."""
    _candidate(home)
    _shadow(home, 1)
    spoil(home)
    write_images(home.settings.incoming_dir, 12)
    came_in = digests(home.settings.incoming_dir)
    run_id = _a_night(home, 12)
    assert_promise_kept(home, run_id, came_in)
    assert _beside(home).both == 0


def test_a_shadow_that_fails_or_ends_its_process_does_no_harm(home: Installation) -> None:
    """The shadow runs after the chunk is done, so neither an error nor the end of the process reopens it."""

    class Failing(StubClassifier):
        def __init__(self, bundle: Bundle) -> None:
            super().__init__(bundle)
            self._fails = bundle.version == 2

        def predict(self, pixels: NDArray[np.uint8]) -> Scores:
            if self._fails:
                raise error
            return super().predict(pixels)

    _candidate(home)
    _shadow(home, 1)
    write_images(home.settings.incoming_dir, 5)
    came_in = digests(home.settings.incoming_dir)
    error: BaseException = ZeroDivisionError("a defect")
    assert_promise_kept(home, _a_night(home, 5, Failing), came_in)
    error = SystemExit("the process ends")
    context, queue = home.in_process()
    context = replace(context, load_classifier=Failing)
    write_images(home.settings.incoming_dir, 5, start=100)
    came_in += digests(home.settings.incoming_dir)
    scan(context, "another night")
    with pytest.raises(SystemExit):
        queue.deliver(context)
    queue.deliver(context)
    assert audit(home, came_in) == Audit(10, 0, 0, [])


def test_a_slow_shadow_stops_before_the_chunks_time_is_up(sqlite_home: Installation) -> None:
    """Its predictions until then are kept, and the process is not killed."""
    home = sqlite_home
    _candidate(home)
    _shadow(home, 1)
    write_images(home.settings.incoming_dir, 10)
    context, queue = home.in_process()

    class Slow(StubClassifier):
        batch = 1

        def predict(self, pixels: NDArray[np.uint8]) -> Scores:
            if pixels.shape[1] == 16:
                time.sleep(0.12)
            return super().predict(pixels)

    settings = home.settings.model_copy(update={"chunk_seconds": 1})
    context = Context(settings, home.database, queue, Slow)
    run_id = scan(context, "night")
    queue.deliver(context)
    run = runs.find(home.database, run_id)
    assert run is not None
    assert run.counts.classified == 10
    assert 0 < _beside(home).both < 10


def test_ad_hoc_runs_have_no_shadow(home: Installation) -> None:
    """A person waits for an ad hoc run, so it is classified by its own model only."""
    _candidate(home)
    _shadow(home, 1)
    context, queue = home.in_process()
    paths = write_images(home.settings.home / "photos", 3)
    classify_paths(context, "request", map(str, paths))
    queue.deliver(context)
    with home.database.read() as connection:
        count = sa.select(sa.func.count()).select_from(tables.predictions)
        assert connection.execute(count).scalar_one() == 3


def test_one_version_of_a_name_is_the_shadow_until_it_is_promoted(home: Installation) -> None:
    """A second shadow replaces the first; promotion ends it; each change is recorded."""
    _candidate(home)
    write_stub_bundle(home.settings.models_dir, version=3)
    with pytest.raises(ConflictError, match="is active"):
        models.shadow(home.settings, home.database, "stub/1", 0.1, "a person")
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(RefusedError, match="not a share of a night"):
            _shadow(home, share)
    with pytest.raises(NotFoundError, match="No version of stub is a shadow"):
        models.end_shadow(home.database, "stub", "a person")
    _shadow(home, 0.1)
    models.shadow(home.settings, home.database, "stub/3", 0.2, "a person")
    models.promote(home.settings, home.database, "stub/3", who="a person")
    _shadow(home, 0.1)
    assert models.end_shadow(home.database, "stub", "a person") == SECOND
    rows = all_versions(home.database)
    assert [row.shadow_share for row in rows] == [None] * 3
    assert rows[2].stage is ModelStage.ACTIVE
    moves = [(change.action, change.before, change.after) for change in history(home.database)]
    assert moves == [
        ("promote", None, 1),
        ("shadow", None, 2),
        ("shadow", 2, 3),
        ("promote", 1, 3),
        ("shadow", None, 2),
        ("shadow", 2, None),
    ]
    assert models.rollback(home.settings, home.database, "stub", who="a person").ref.version == 1


@pytest.mark.slow
def test_the_command_line_compares_a_shadow_with_the_nights(sqlite_home: Installation) -> None:
    """`models shadow` starts and ends a shadow; `compare --shadow` counts what it would have changed."""
    home = sqlite_home
    _candidate(home)
    assert (
        "stub/2 predicts 100% of each night" in home.run("models", "shadow", "stub/2", "--share", "1").stdout
    )
    _a_night(home, 8)
    report = home.json("models", "compare", "stub/2", "--shadow")
    assert report["both"] == 8
    assert report["changed"] == len(report["files"]) == report["transitions"][0]["images"] > 0
    assert "Both predicted 8 images" in home.run("models", "compare", "stub/2", "--shadow").stdout
    assert "shadow 100%" in home.run("models", "list").stdout
    assert "not a shadow any more" in home.run("models", "shadow", "stub", "--off").stdout
