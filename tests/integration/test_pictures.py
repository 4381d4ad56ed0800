"""Pictures of photos: drawn once, in two processes with a limit of memory, and kept on the disk in bounds."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.records.images import Picture
from returns_pipeline.web.errors import BusyError
from returns_pipeline.web.render import pictures as module
from returns_pipeline.web.render.orders import Heat, Reply
from returns_pipeline.web.render.picture_cache import PictureCache
from returns_pipeline.web.render.pictures import Pictures
from returns_pipeline.web.render.placeholder import placeholder
from tests.support import Installation

#: A picture that takes 170 MB to decode.
_SIDE = 6500


class CountingSource(FolderSource):
    """Photos of a folder, which counts how often one is read."""

    def __init__(self) -> None:
        """Begin with none."""
        self.reads = 0

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        """Count, then read."""
        self.reads += 1
        return super().read_classified(picture, max_bytes)


@contextlib.contextmanager
def drawing(home: Installation, **overrides: Any) -> Iterator[tuple[Pictures, CountingSource]]:
    """Give what a web process with these settings has."""
    context, _ = home.in_process()
    source = CountingSource()
    settings = context.settings.model_copy(update=overrides)
    found = Pictures(replace(context, settings=settings, photos=source))
    yield found, source
    found.close()


def _photo(path: Path, side: int = 300, colour: str = "red") -> Picture:
    Image.new("RGB", (side, side), colour).save(path, compress_level=1)
    return Picture(str(path), path.stat().st_size, side, side)


def _draw(pictures: Pictures, *photos: Picture, size: int = 64) -> list[bytes | None]:
    async def draw() -> list[bytes | None]:
        return list(await asyncio.gather(*(pictures.draw(pictures.wanted(photo, size)) for photo in photos)))

    return asyncio.run(draw())


def _processes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "drawing_process" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_a_picture_is_drawn_once(sqlite_home: Installation, tmp_path: Path) -> None:
    """Requests at the same time and later requests share one decoding; another size or heat map does not."""
    photo = _photo(tmp_path / "a.png")
    with drawing(sqlite_home) as (pictures, source):
        first = _draw(pictures, *[photo] * 12)
        assert len(set(first)) == 1
        assert first[0] is not None
        assert first[0][8:12] == b"WEBP"
        assert _draw(pictures, photo) == first[:1]
        assert source.reads == 1
        assert len(_processes()) == 1
        heat = Heat(2, 2, bytes([0, 255, 0, 255]))
        assert asyncio.run(pictures.draw(pictures.wanted(photo, 64, heat))) not in {None, first[0]}
        _draw(pictures, photo, size=65)
        assert source.reads == 3
    with drawing(sqlite_home) as (pictures, source):
        assert _draw(pictures, photo) == first[:1]
        assert (source.reads, _processes()) == (0, [])


def test_a_changed_photo_has_a_new_picture(sqlite_home: Installation, tmp_path: Path) -> None:
    """The key of a picture changes when its file does, also if size and place are the same."""
    photo = _photo(tmp_path / "a.bmp")
    with drawing(sqlite_home) as (pictures, _):
        before = (pictures.wanted(photo, 64).key, _draw(pictures, photo))
        time.sleep(0.01)
        assert _photo(tmp_path / "a.bmp", colour="blue").size == photo.size
        after = (pictures.wanted(photo, 64).key, _draw(pictures, photo))
        assert before[0] != after[0]
        assert before[1] != after[1]
        Path(photo.path).unlink()
        assert pictures.wanted(photo, 64).key == ""
        assert _draw(pictures, photo) == [None]


def test_a_hostile_photo_has_no_picture_and_harms_no_other(sqlite_home: Installation, tmp_path: Path) -> None:
    """Too much memory or time, damaged bytes, a killed process: the next photo is drawn all the same."""
    large, small = _photo(tmp_path / "large.png", _SIDE), _photo(tmp_path / "small.png")
    (tmp_path / "damaged.png").write_bytes(Path(small.path).read_bytes()[:100])
    damaged = Picture(str(tmp_path / "damaged.png"), 100, None, None)
    with drawing(sqlite_home, thumbnail_memory_mb=256) as (pictures, source):
        assert _draw(pictures, large, damaged) == [None, None]
        assert _draw(pictures, large, damaged) == [None, None]
        assert source.reads == 2
        assert _draw(pictures, small) != [None]
        for process in _processes():
            process.kill()
            process.wait()
        assert _draw(pictures, small, size=63) != [None]
    with drawing(sqlite_home, image_seconds=0.01) as (pictures, _):
        assert _draw(pictures, large, large, size=62) == [None, None]
        assert _processes() == []
    with drawing(sqlite_home) as (pictures, _):
        assert _draw(pictures, small, size=62) != [None]
    assert _processes() == []


def test_too_many_waiting_pictures_are_refused(
    sqlite_home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request beyond those that wait is refused in time, and so is one whose picture takes too long."""
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    photo = _photo(tmp_path / "a.png")

    async def draw(pictures: Pictures, sizes: range) -> list[bytes | BaseException | None]:
        wanted = [pictures.draw(pictures.wanted(photo, size)) for size in sizes]
        return await asyncio.gather(*wanted, return_exceptions=True)

    with drawing(sqlite_home) as (pictures, _):
        found = asyncio.run(draw(pictures, range(16, 26)))
        assert [type(each) for each in found].count(BusyError) == 7
        assert [type(each) for each in found].count(bytes) == 3
        monkeypatch.setattr(module, "_WAIT_SECONDS", 0.0)
        assert [type(each) for each in asyncio.run(draw(pictures, range(30, 31)))] == [BusyError]


def test_pictures_take_no_more_memory_than_two_decodings(sqlite_home: Installation, tmp_path: Path) -> None:
    """However many large photos are asked for, two processes decode them, and this process holds none."""
    photos = [_photo(tmp_path / f"{number}.png", 3000) for number in range(6)]
    peak = 0
    with drawing(sqlite_home) as (pictures, _), ThreadPoolExecutor(1) as pool:
        before = psutil.Process().memory_info().rss
        drawn = pool.submit(_draw, pictures, *photos)
        while not drawn.done():
            assert len(_processes()) <= 2
            with contextlib.suppress(psutil.Error):
                own = psutil.Process().memory_info().rss - before
                peak = max(peak, own + sum(each.memory_info().rss for each in _processes()))
            time.sleep(0.005)
        assert None not in drawn.result()
    # Two processes of 60 MiB, each with 36 MiB for a photo; six photos at a time would take 216 MiB more.
    assert 60 * 1024 * 1024 < peak < 300 * 1024 * 1024


def test_a_drawing_process_knows_no_secret(
    sqlite_home: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged photos are decoded without the settings of this installation, which hold passwords."""
    monkeypatch.setenv("RETURNS_WEB_SECRET", "secret")
    with drawing(sqlite_home) as (pictures, _):
        _draw(pictures, _photo(tmp_path / "a.png"))
        (process,) = _processes()
        assert not [name for name in process.environ() if name.startswith("RETURNS_")]


def test_the_cache_stays_within_its_bytes(tmp_path: Path) -> None:
    """The pictures that were not used for the longest time go; files and folder are private."""
    cache = PictureCache(tmp_path / "thumbnails", 40 * 4096)
    webp = b"RIFF" + (992).to_bytes(4, "little") + b"x" * 992
    for number in range(100):
        cache.put(f"{number:03}", Reply(webp))
        os.utime(tmp_path / "thumbnails" / f"{number:03}", (number, number))
        assert len(list((tmp_path / "thumbnails").iterdir())) <= 40
    assert cache.get("099") == Reply(webp)
    assert cache.get("000") is None
    assert (tmp_path / "thumbnails").stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "thumbnails").iterdir()} == {0o600}


def test_a_file_of_the_cache_that_is_not_whole_is_not_shown(tmp_path: Path) -> None:
    """What a power failure leaves is drawn again, and without a disk nothing is kept and nothing fails."""
    cache = PictureCache(tmp_path, 1_000_000)
    webp = b"RIFF" + (92).to_bytes(4, "little") + b"x" * 92
    for content in (b"", webp[:-1], bytes(100)):
        (tmp_path / "a").write_bytes(content)
        assert cache.get("a") is None
    (tmp_path / "file").touch()
    nowhere = PictureCache(tmp_path / "file" / "thumbnails", 1_000_000)
    nowhere.put("a", Reply(webp))
    assert nowhere.get("a") is None
    cache.put("b", Reply(None, "truncated"))
    assert cache.get("b") == Reply(None, "truncated")
    os.utime(tmp_path / "b", (0, 0))
    assert cache.get("b") is None


@pytest.mark.parametrize("size", [16, 95, 96, 160, 1024])
def test_a_placeholder_has_the_size_that_was_asked_for(size: int) -> None:
    """The picture in place of one that cannot be drawn is small and can be shown."""
    webp = placeholder(size)
    assert webp[8:12] == b"WEBP"
    assert len(webp) < 20_000
