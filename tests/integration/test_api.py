"""The public API sends, waits and reads as the command line does."""

from pathlib import Path

import pytest

import returns_pipeline as rp
from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.records.reviews import Word
from returns_pipeline.store import review_queue, reviews
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.context import Context
from tests.support import Installation, write_images, write_stub_bundle


@pytest.fixture
def pipeline(home: Installation) -> rp.Pipeline:
    """Give the API of an installation whose messages the twin of the broker keeps."""
    return rp.Pipeline(home.settings, home.database, InProcessQueue())


def deliver(pipeline: rp.Pipeline, home: Installation) -> None:
    """Do the work of every message that the API has sent."""
    context, _ = home.in_process()
    queue = pipeline._queue
    assert isinstance(queue, InProcessQueue)
    queue.deliver(Context(context.settings, context.db, queue, context.load_classifier))


def test_what_is_classified_comes_out_as_frozen_values(
    pipeline: rp.Pipeline, home: Installation, tmp_path: Path
) -> None:
    """Each file of a request has one result, with its label, or with the code of what is wrong with it."""
    good = write_images(tmp_path / "photos", 2)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    request = pipeline.classify([tmp_path / "photos", str(bad)])
    deliver(pipeline, home)

    run = pipeline.wait(request)
    found = {image.name: image for image in pipeline.results(run)}

    assert (run.kind, run.state, run.counts.seen) == (rp.RunKind.ADHOC, rp.RunState.CLOSED, 3)
    assert set(found) == {*(path.name for path in good), "bad.png"}
    for path in good:
        assert found[path.name].state is rp.ImageState.CLASSIFIED
        assert found[path.name].final_label == found[path.name].label
    assert (found["bad.png"].state, found["bad.png"].code) == ("quarantined", rp.FaultCode.NOT_AN_IMAGE)
    assert found["bad.png"].final_label is None
    with pytest.raises(AttributeError):
        found["bad.png"].label = "white"  # type: ignore[misc]  # it is frozen
    assert [each.id for each in pipeline.results(run.id, rp.ImageState.QUARANTINED)] == [found["bad.png"].id]
    assert all(path.exists() for path in (*good, bad))


def test_a_single_path_is_a_file_and_not_its_letters(
    pipeline: rp.Pipeline, home: Installation, tmp_path: Path
) -> None:
    """One path may stand alone, as text or as a path."""
    (path,) = write_images(tmp_path / "photos", 1)
    requests = [pipeline.classify(path), pipeline.classify(str(path))]
    deliver(pipeline, home)
    assert [pipeline.wait(request).counts.seen for request in requests] == [1, 1]


def test_the_final_label_is_the_review_where_there_is_one(pipeline: rp.Pipeline, home: Installation) -> None:
    """A reviewed image has the reviewer's label, every other one the model's; the prediction is kept."""
    write_images(home.settings.incoming_dir, 4)
    (request,) = pipeline.scan()
    deliver(pipeline, home)
    run = pipeline.wait(request)
    review_queue.enqueue(home.database, run.id, 1.0)
    item = review_queue.take(home.database, "ada", 60)
    assert item is not None
    other = "white" if item.label != "white" else "dark"
    reviews.decide(home.database, "ada", item.image_id, Word("label", other, other))

    found = {image.id: image for image in pipeline.results(run)}

    corrected = found.pop(item.image_id)
    assert (corrected.final_label, corrected.reviewer, corrected.label) == (other, "ada", item.label)
    assert len(found) == 3
    assert all(image.final_label == image.label and image.reviewer is None for image in found.values())


def test_a_scan_has_one_request_for_each_intake(home: Installation, tmp_path: Path) -> None:
    """With several intakes one message opens a run for each, and each can be waited for."""
    write_stub_bundle(home.settings.models_dir, "other")
    folders = {"stub": tmp_path / "a", "other": tmp_path / "b"}
    for number, folder in enumerate(folders.values(), start=1):
        write_images(folder, number)
    intakes = ",".join(f"{model}={folder}" for model, folder in folders.items())
    settings = rp.load_settings(**{**dict(home.settings), "intakes": intakes})
    queue = InProcessQueue()
    pipeline = rp.Pipeline(settings, home.database, queue)

    requests = pipeline.scan()
    context, _ = home.in_process()
    queue.deliver(Context(settings, home.database, queue, context.load_classifier))

    closed = [pipeline.wait(request) for request in requests]
    assert [(run.model.name, run.counts.seen) for run in closed] == [("stub", 1), ("other", 2)]
    assert [run.id for run in pipeline.runs()] == sorted((run.id for run in closed), reverse=True)


def test_waiting_ends_at_the_timeout_and_can_go_on(
    pipeline: rp.Pipeline, home: Installation, tmp_path: Path
) -> None:
    """A request that nothing has worked on yet is a TransientFault; afterwards the same one gives its run."""
    request = pipeline.classify(write_images(tmp_path / "photos", 1))
    with pytest.raises(rp.TransientFault, match=rf"{request.id} was not closed in time"):
        pipeline.wait(request, timeout=0.1)
    deliver(pipeline, home)
    seen: list[rp.Progress] = []
    assert pipeline.wait(request, timeout=60, on_progress=seen.append).counts.classified == 1
    assert (seen[-1].done, seen[-1].total) == (1, 1)


def test_models_are_listed_promoted_and_rolled_back(pipeline: rp.Pipeline, home: Installation) -> None:
    """The active version changes with who and why; going back needs a version that was active before."""
    write_stub_bundle(home.settings.models_dir, version=2)
    broken = home.settings.models_dir / "stub" / "3"
    broken.mkdir()
    assert {str(each.ref): each.stage for each in pipeline.models()} == dict.fromkeys(
        ("stub/1", "stub/2", "stub/3"), rp.ModelStage.CANDIDATE
    )
    assert [bool(each.fault) for each in pipeline.models("stub")] == [False, False, True]

    pipeline.promote("stub/1", who="ada", reason="the first")
    done = pipeline.promote("stub/2", who="ada")
    assert (str(done.ref), done.replaced) == ("stub/2", 1)
    stages = {each.ref.version: each.stage for each in pipeline.models("stub")}
    assert stages == {1: "archived", 2: "active", 3: "candidate"}

    assert str(pipeline.roll_back("stub").ref) == "stub/1"
    with pytest.raises(rp.ConflictError):
        pipeline.roll_back("stub")
    with pytest.raises(rp.RefusedError, match="has no version"):
        pipeline.promote("stub")
    with pytest.raises(rp.ConfigFault):
        pipeline.promote("stub/3")


def test_what_does_not_exist_is_refused_before_anything_is_sent(
    pipeline: rp.Pipeline, tmp_path: Path
) -> None:
    """A missing file, folder or run is named in the error, and no message is sent."""
    with pytest.raises(rp.NotFoundError, match=r"gone\.png does not exist"):
        pipeline.classify([tmp_path / "gone.png"])
    with pytest.raises(rp.ConfigFault, match="gone does not exist"):
        pipeline.scan(tmp_path / "gone")
    for read in (pipeline.run, pipeline.results):
        with pytest.raises(rp.NotFoundError, match="no run 7"):
            read(7)
    assert isinstance(pipeline._queue, InProcessQueue)
    assert not pipeline._queue.messages


def test_no_broker_is_a_fault_within_seconds(sqlite_home: Installation, tmp_path: Path) -> None:
    """Without a broker a request raises TransientFault; reading needs none."""
    with rp.open_pipeline(sqlite_home.settings) as pipeline:
        with pytest.raises(rp.TransientFault, match="broker"):
            pipeline.classify(write_images(tmp_path / "photos", 1))
        assert pipeline.runs() == []


def test_a_database_of_another_version_is_refused(sqlite_home: Installation) -> None:
    """A pipeline opens only with the tables of this version, and says how to get them."""
    Database(sqlite_home.settings.database_url).downgrade("base")
    with pytest.raises(rp.ConfigFault, match="db upgrade"):
        rp.open_pipeline(sqlite_home.settings)
