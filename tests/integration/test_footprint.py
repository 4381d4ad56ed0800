"""The memory of the parts of the real system stays within its limits. No time is asserted here."""

from pathlib import Path

from benchmarks import redis_memory, worker_start
from benchmarks.measuring import Job
from returns_pipeline.settings import PROJECT_ROOT
from tests.support import SAMPLES


def _job(module: str, images: Path, count: int, work: Path) -> Job:
    bundle = PROJECT_ROOT / "models" / "fashion-mnist" / "1"
    return Job(module, images, count, rounds=1, processes=1, bundle=bundle, work=work)


def test_redis_holds_less_than_300_bytes_for_a_chunk_that_waits(tmp_path: Path) -> None:
    """A million photos in chunks of 1,000 wait in less than a megabyte, whatever the messages look like."""
    detail = redis_memory.measure(_job(redis_memory.__name__, tmp_path, 0, tmp_path)).detail

    # The lower limit shows that the messages were there.
    assert 50 < detail["bytes_per_chunk"] < 300
    assert detail["bytes_for_a_million_images"] < 1_000_000


def test_a_worker_process_takes_less_than_250_mb_with_its_model(tmp_path: Path) -> None:
    """A process that replaced another and has classified an image has loaded everything, and stays small."""
    images = tmp_path / "images"
    images.mkdir()
    source = next(SAMPLES.glob("*_label_9.png"))
    (images / source.name).write_bytes(source.read_bytes())

    measured = worker_start.measure(_job(worker_start.__name__, images, 1, tmp_path))

    assert measured.rows == 1
    assert 50 < measured.detail["rss_mb"] < 250
