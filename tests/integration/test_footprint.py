"""Memory of the real processes. No time is asserted here."""

from pathlib import Path

from benchmarks import redis_memory, worker_start
from benchmarks.measuring import Job
from returns_pipeline.settings import PROJECT_ROOT
from tests.support import SAMPLES

_BUNDLE = PROJECT_ROOT / "models" / "fashion-mnist" / "1"


def test_redis_uses_less_than_300_bytes_for_a_waiting_chunk(tmp_path: Path) -> None:
    """The messages for a million photos in chunks of 1,000 take less than a megabyte."""
    detail = redis_memory.measure(Job(tmp_path, 0, 1, _BUNDLE, tmp_path)).detail

    # Fewer bytes would mean that the messages were not there.
    assert 50 < detail["bytes_per_chunk"] < 300
    assert detail["bytes_for_a_million_images"] < 1_000_000


def test_a_worker_process_uses_less_than_250_mb_with_its_model(tmp_path: Path) -> None:
    """A replacement process that has classified a photo has everything loaded, and stays below the limit."""
    images = tmp_path / "images"
    images.mkdir()
    source = next(SAMPLES.glob("*_label_9.png"))
    (images / source.name).write_bytes(source.read_bytes())

    measured = worker_start.measure(Job(images, 1, 1, _BUNDLE, tmp_path))

    assert measured.rows == 1
    assert 50 < measured.detail["rss_mb"] < 250
