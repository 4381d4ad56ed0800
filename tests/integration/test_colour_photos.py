"""Colour photos given to a model for grey pictures are classified, marked for a review, and counted."""

import pytest
from PIL import Image

from returns_pipeline.errors import TransientFault
from returns_pipeline.records.images import ImageState
from returns_pipeline.records.predictions import Decision
from returns_pipeline.records.tasks import Task
from returns_pipeline.report import words
from returns_pipeline.store import images, review_queue, run_statistics, runs
from returns_pipeline.usecases.chunks import COLOUR_DETAIL, classify_chunk
from returns_pipeline.usecases.runs import scan
from tests.support import Installation, write_images


def _write_photos(home: Installation) -> None:
    """Write four grey pictures and three photos of a sky, each of them one that the stub is sure of."""
    write_images(home.settings.incoming_dir, 4)
    for number in range(3):
        photo = Image.new("RGB", (64, 48), (30, 120, 250 - number))
        photo.save(home.settings.incoming_dir / f"sky_{number}.jpg")


def test_colour_photos_wait_for_a_person_and_are_counted(home: Installation) -> None:
    """Whatever the probability, a colour photo is for a review; run, report and REST count them."""
    _write_photos(home)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    found = {image.name: image for image in images.results(home.database, run_id)}
    assert {image.state for image in found.values()} == {ImageState.CLASSIFIED}
    for name, image in found.items():
        is_photo = name.startswith("sky")
        assert image.detail == (COLOUR_DETAIL if is_photo else None)
        assert image.code is None
        if is_photo:
            assert (image.decision, image.label) == (Decision.REVIEW, image.final_label)
    run = runs.existing(home.database, run_id)
    assert run.coloured == 3
    assert run.report is not None
    assert words.coloured(3, 7, run.model) in run.report.read_text()
    assert review_queue.waiting(home.database) >= 3
    # The count is no stage: neither metrics nor the size of the next chunks may take it for time.
    assert set(run_statistics.totals(home.database)[2]) == {"read", "decode", "predict", "store", "archive"}


def test_the_count_survives_an_interruption(home: Installation) -> None:
    """A worker that ends between storing and moving loses no count: it is stored with the predictions."""
    _write_photos(home)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    chunk_id = queue.take(Task.CLASSIFY_CHUNK)
    home.settings.archive_dir.parent.mkdir(exist_ok=True)
    home.settings.archive_dir.write_text("a file where the folder should be")
    with pytest.raises(TransientFault, match="cannot be moved"):
        classify_chunk(context, chunk_id, "message")
    assert runs.existing(home.database, run_id).coloured == 3
    home.settings.archive_dir.unlink()
    classify_chunk(context, chunk_id, "message")
    queue.deliver(context)
    run = runs.existing(home.database, run_id)
    assert (run.state, run.coloured) == ("closed", 3)


def test_a_run_without_colours_says_nothing(home: Installation) -> None:
    """Grey pictures are what the model knows: no count, no warning."""
    write_images(home.settings.incoming_dir, 4)
    context, queue = home.in_process()
    run_id = scan(context, "request")
    queue.deliver(context)
    run = runs.existing(home.database, run_id)
    assert run.coloured == 0
    assert run.report is not None
    assert "RETURNS_MODEL" not in run.report.read_text()
