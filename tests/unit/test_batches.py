"""Photos to batches: each image once and in order, with and without threads, with and without faults."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from returns_pipeline.errors import FaultCode, ImageFault, TransientFault
from returns_pipeline.photos.decoding import batches, bytes_to_pixels
from returns_pipeline.photos.decoding.bounds import Limits
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Decoded, PendingImage
from returns_pipeline.records.models import ImageInput

WANT = ImageInput(8, 8, 1)
LIMITS = Limits(max_bytes=1_000_000, max_pixels=1_000_000)


def _pending(path: Path, number: int = 1, size: int | None = None) -> PendingImage:
    found = path.lstat()
    size = found.st_size if size is None else size
    return PendingImage(number, str(path), size, f"{size}-{found.st_mtime_ns}")


def test_a_file_is_read_only_if_it_is_the_one_that_was_found(tmp_path: Path) -> None:
    """Empty, large, changed, vanished, unreadable and special files each have their fault code."""
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    assert FolderSource().read(_pending(path), 5) == b"12345"
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")

    def code(name: str, size: int | None = None, most: int = 1_000_000) -> FaultCode:
        with pytest.raises(ImageFault) as caught:
            FolderSource().read(_pending(tmp_path / name, size=size), most)
        return caught.value.code

    assert code("a.png", size=4) == FaultCode.CHANGED
    assert code("a.png", most=4) == FaultCode.TOO_LARGE
    assert code("empty") == FaultCode.EMPTY_FILE
    assert code("link") == FaultCode.UNREADABLE
    assert code("pipe") == FaultCode.CHANGED
    with pytest.raises(ImageFault, match="was gone"):
        FolderSource().read(PendingImage(1, str(tmp_path / "never"), 1, "1-1"), 5)


def _photos(folder: Path, count: int) -> list[PendingImage]:
    """Write pictures of brightness 0, 1, 2 …; every fifth file is not an image."""
    images = []
    for number in range(count):
        path = folder / f"{number}.png"
        if number % 5 == 4:
            path.write_bytes(b"not a picture")
        else:
            Image.new("L", (8, 8), number).save(path)
        images.append(_pending(path, number))
    return images


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 23])
def test_every_image_is_in_one_batch_in_its_order(tmp_path: Path, threads: int, count: int) -> None:
    """With or without threads, the batches have each image once: its own pixels, or its failure."""
    images = _photos(tmp_path, count)
    progress: list[None] = []
    decoder = batches.Decoder(FolderSource(), WANT, LIMITS, image_seconds=10)
    good, failed = [], []
    for batch in decoder.batches(images, 4, threads, lambda: progress.append(None)):
        assert len(batch.pixels) == len(batch.images) == len(batch.facts) <= 4
        assert [int(picture.max()) for picture in batch.pixels] == [image.id for image in batch.images]
        good += batch.images
        failed += [(image.id, failure.code) for image, failure in batch.failed]
    assert good == [image for image in images if image.id % 5 != 4]
    assert failed == [(image.id, FaultCode.NOT_AN_IMAGE) for image in images if image.id % 5 == 4]
    assert len(progress) == count


def _slow(seconds: float) -> Decoded:
    """Take `seconds`, like a slow decoder written in Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return Decoded(np.zeros(WANT.shape, np.uint8), None)  # type: ignore[arg-type] # the test does not use the facts


def test_only_the_image_that_takes_too_long_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is per image: several fast images may take longer together."""
    images = _photos(tmp_path, 4)
    seconds = iter((0.15, 0.15, 5.0, 0.15))
    monkeypatch.setattr(bytes_to_pixels, "decode", lambda *_: _slow(next(seconds)))
    decoder = batches.Decoder(FolderSource(), WANT, LIMITS, image_seconds=0.3)
    began = time.monotonic()
    (batch,) = decoder.batches(images, 4, 0, lambda: None)
    assert time.monotonic() - began < 3
    assert [image.id for image in batch.images] == [0, 1, 3]
    assert [(image.id, failure.code) for image, failure in batch.failed] == [(2, FaultCode.TIMED_OUT)]


def test_an_alarm_of_the_program_comes_after_the_images(tmp_path: Path) -> None:
    """The time limit of images keeps the handler and the time of an alarm that the program has set."""
    came = []
    handler, timer = signal.signal(signal.SIGALRM, lambda *_: came.append(time.monotonic())), (0.0, 0.0)
    try:
        timer = signal.setitimer(signal.ITIMER_REAL, 0.2)
        until = time.monotonic() + 0.2
        decoder = batches.Decoder(FolderSource(), WANT, LIMITS, image_seconds=0.1)
        list(decoder.batches(_photos(tmp_path, 4), 4, 0, lambda: None))
        while not came and time.monotonic() < until + 5:
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
    assert len(came) == 1
    assert came[0] > until - 0.01


@pytest.mark.parametrize("threads", [0, 2])
def test_a_fault_of_the_disk_fails_no_image(tmp_path: Path, threads: int) -> None:
    """A fault of the machine ends the batch: no image is recorded as failed for it."""
    images = _photos(tmp_path, 4)

    class BrokenDisk(FolderSource):
        def read(self, image: PendingImage, max_bytes: int) -> bytes:  # noqa: ARG002 - as the real one
            raise TransientFault("The disk does not respond.")

    decoder = batches.Decoder(BrokenDisk(), WANT, LIMITS, image_seconds=10)
    with pytest.raises(TransientFault):
        list(decoder.batches(images, 4, threads, lambda: None))
