"""Explanations: heat maps and similar earlier returns."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from returns_pipeline.records.explanations import Explanation
from returns_pipeline.records.images import Filter
from returns_pipeline.store import browsing, explanations, images
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.tables import embeddings
from returns_pipeline.store.tables import explanations as rows
from returns_pipeline.usecases.explanations import explain
from returns_pipeline.usecases.runs import classify_paths, scan
from tests.support import Installation, write_images


def night(home: Installation, name: str, count: int, start: int = 0) -> int:
    """Classify `count` new images of the intake; return the run."""
    write_images(home.settings.incoming_dir, count, start)
    context, queue = home.in_process()
    run_id = scan(context, name)
    queue.deliver(context)
    return run_id


def ids(home: Installation, run_id: int) -> dict[str, int]:
    """Return the images of a run by their names."""
    found, _ = browsing.page(home.database, Filter(run_id), browsing.Order.ID, None, 1000)
    return {Path(image.path).name: image.id for image in found}


def explained(home: Installation, image_id: int) -> Explanation | None:
    """Explain an image as a worker does."""
    explain(home.in_process()[0], image_id)
    return explanations.find(home.database, image_id)


def test_similar_images_are_earlier_returns(home: Installation) -> None:
    """Three images of earlier nights, most similar first; neither later images nor the image itself."""
    first = night(home, "first", 30)
    second = night(home, "second", 1, 100)
    night(home, "third", 30, 200)
    (image_id,) = ids(home, second).values()
    found = explained(home, image_id)
    assert found is not None
    assert found.fault is None
    assert len(found.heat) == found.height * found.width == 64
    brightness = {number: (number * 37) % 256 for number in range(30)}
    nearest = sorted(brightness, key=lambda number: abs(brightness[number] - (100 * 37) % 256))[:3]
    named = {image: name for name, image in ids(home, first).items()}
    assert [int(named[image].split("_")[1]) for image, _ in found.similar] == nearest
    similarity = [value for _, value in found.similar]
    assert similarity == sorted(similarity, reverse=True)


def test_only_returned_items_are_compared(home: Installation) -> None:
    """Photos of ad hoc runs are not returns, so no image is similar to them."""
    asked = write_images(home.settings.home / "asked", 5)
    context, queue = home.in_process()
    run_id = classify_paths(context, "asked", [str(path) for path in asked])
    queue.deliver(context)
    with home.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(embeddings)).scalar_one() == 0
    found = explained(home, max(ids(home, run_id).values()))
    assert found is not None
    assert (found.fault, found.similar) == (None, [])


def test_an_explanation_is_computed_once(home: Installation) -> None:
    """A message that is delivered twice changes nothing, even if the file is gone by then."""
    run_id = night(home, "night", 3)
    (image_id, *_) = ids(home, run_id).values()
    first = explained(home, image_id)
    for image in images.results(home.database, run_id):
        Path(image.lies_at).unlink()
    assert explained(home, image_id) == first


def test_a_failed_explanation_has_a_reason(home: Installation) -> None:
    """If the file is gone, the reason is kept for a minute; once the file is back, the image is explained.

    An image without a prediction, or an unknown id, has no explanation.
    """
    (home.settings.incoming_dir / "broken.png").write_bytes(b"no picture")
    run_id = night(home, "night", 1)
    lies_at = {image.name: Path(image.lies_at) for image in images.results(home.database, run_id)}
    away = {path: path.with_suffix(".away") for path in lies_at.values()}
    for path, hidden in away.items():
        path.rename(hidden)
    found = {name: explained(home, image_id) for name, image_id in ids(home, run_id).items()}
    assert found["broken.png"] is None
    gone = found["image_0_label_0.png"]
    assert gone is not None
    assert gone.fault
    assert explained(home, 999_999) is None
    for path, hidden in away.items():
        hidden.rename(path)
    image_id = ids(home, run_id)["image_0_label_0.png"]
    assert explained(home, image_id) == gone
    with home.database.write() as connection:
        connection.execute(sa.update(rows).values(created_at=utc_now() - timedelta(minutes=2)))
    back = explained(home, image_id)
    assert back is not None
    assert back.fault is None


def test_a_file_that_is_being_moved_is_found(home: Installation) -> None:
    """A file that is moved while the image is explained is found after a short wait."""
    run_id = night(home, "night", 1)
    (image,) = images.results(home.database, run_id)
    path = Path(image.lies_at)
    path.rename(path.with_suffix(".moving"))
    back = threading.Timer(0.3, path.with_suffix(".moving").rename, [path])
    back.start()
    found = explained(home, *ids(home, run_id).values())
    back.join()
    assert found is not None
    assert found.fault is None


def test_a_replaced_photo_is_not_explained(home: Installation) -> None:
    """A file that was overwritten with another content of the same size has no explanation."""
    photo, other = write_images(home.settings.home / "asked", 2)
    context, queue = home.in_process()
    run_id = classify_paths(context, "asked", [str(photo)])
    queue.deliver(context)
    content = other.read_bytes()
    photo.write_bytes(content[: photo.stat().st_size].ljust(photo.stat().st_size, b"x"))
    found = explained(home, *ids(home, run_id).values())
    assert found is not None
    assert found.fault


def test_old_images_are_compared_with_older_ones(home: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is compared with the images just before it, chunk by chunk, however many came later."""
    monkeypatch.setattr("returns_pipeline.usecases.explanations._COMPARED", 15)
    monkeypatch.setattr(explanations, "_AT_ONCE", 1)
    first = night(home, "first", 40)
    night(home, "second", 60, 100)
    of_first = sorted(ids(home, first).values())
    found = explained(home, of_first[29])
    assert found is not None
    assert len(found.similar) == 3
    assert all(of_first[10] <= image < of_first[29] for image, _ in found.similar)
