"""The use cases touch photos through PhotoSource only: they work with photos that are on no disk."""

import asyncio
import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import BinaryIO

import pytest

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import ConfigFault, FaultCode, ImageFault, PipelineError
from returns_pipeline.photos.intake_rules import is_skipped
from returns_pipeline.photos.source import PhotoSource, Reader
from returns_pipeline.records.images import FoundFile, ImageFile, Move, PendingImage, Picture
from returns_pipeline.records.removal import StoredFile
from returns_pipeline.store import browsing, explanations, images, runs, uploads
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.explanations import explain
from returns_pipeline.usecases.runs import classify_paths, replay, retry, scan
from returns_pipeline.usecases.uploads import discard, write_spool
from returns_pipeline.web.render.pictures import Pictures
from tests.support import Installation, sent, states, write_images


class MemorySource:
    """Photos in memory. An identity is the content's digest, as in many object stores."""

    def __init__(self) -> None:
        self.photos: dict[str, bytes] = {}

    def require_folder(self, root: str) -> None:
        if not self.has_folder(root):
            raise ConfigFault("There is no folder {root}.", root=root)

    def has_folder(self, root: str) -> bool:
        return any(place.startswith(f"{root}/") for place in self.photos)

    def find(
        self,
        root: str,
        is_skipped: Callable[[str], bool] = is_skipped,
        *,
        unreadable: Callable[[str], None] | None = None,  # noqa: ARG002 - every folder can be listed
        with_clock: bool = False,  # noqa: ARG002 - settling is not used
    ) -> Iterator[FoundFile]:
        for place in list(self.photos):
            if place.startswith(f"{root}/") and not is_skipped(place.rpartition("/")[2]):
                yield self.describe(place)

    def file_system(self, root: str) -> str:
        return f"memory of {root}"

    def describe(self, place: str) -> FoundFile:
        content = self.photos.get(place)
        if content is None:
            return FoundFile(place, 0, 0, 0, "")
        now = time.time_ns()
        return FoundFile(place, len(content), now, now, hashlib.sha256(content).hexdigest())

    def unchanged(self, files: Sequence[FoundFile]) -> list[bool]:
        return [self.describe(file.path).identity == file.identity for file in files]

    def reading(self, images: Sequence[PendingImage], max_bytes: int) -> AbstractContextManager[Reader]:  # noqa: ARG002
        return nullcontext(self)

    def read(self, image: PendingImage, max_bytes: int) -> bytes:
        if image.path not in self.photos:
            raise ImageFault(FaultCode.VANISHED)
        if self.describe(image.path).identity != image.identity:
            raise ImageFault(FaultCode.CHANGED)
        if image.size > max_bytes:
            raise ImageFault(FaultCode.TOO_LARGE)
        return self.photos[image.path]

    def read_classified(self, picture: Picture, max_bytes: int) -> bytes:
        identity = self.describe(picture.path).identity
        return self.read(PendingImage(0, picture.path, picture.size, identity), max_bytes)

    def open(self, file: ImageFile) -> BinaryIO:
        return io.BytesIO(
            self.read(PendingImage(0, file.path, file.size, self.describe(file.path).identity), 10**9)
        )

    def move(self, moves: Iterable[Move], progress: Callable[[], None]) -> list[int]:
        gone = []
        for each in moves:
            progress()
            if self.describe(each.source).identity == each.identity:
                self.photos[each.destination] = self.photos.pop(each.source)
            elif each.destination not in self.photos:
                gone.append(each.image_id)
        return gone

    def put_all(self, folder: str, photos: Iterable[tuple[str, bytes]]) -> list[FoundFile]:
        return [self.put(f"{folder}/{name}", content) for name, content in photos]

    def put(self, place: str, content: bytes) -> FoundFile:
        """Keep one photo."""
        self.photos[place] = content
        return self.describe(place)

    def remove_originals(self, files: Sequence[StoredFile]) -> Mapping[int, bool | PipelineError]:
        return {file.image_id: self.photos.pop(file.path, None) is not None for file in files}

    def requests(self) -> int:
        """Return 0."""
        return 0

    def remove_empty(self, folders: Iterable[str], root: str) -> None:
        """Do nothing: there are no folders."""

    def remove(self, place: str) -> None:
        self.photos.pop(place, None)


@pytest.fixture
def memory(home: Installation) -> MemorySource:
    """Return a source with ten photos and a broken one in the intake, which are on no disk."""
    source = MemorySource()
    for path in write_images(home.settings.home / "drawn", 10):
        source.put(f"{home.settings.incoming_dir}/{path.name}", path.read_bytes())
        path.unlink()
    source.put(f"{home.settings.incoming_dir}/broken.png", b"not an image")
    source.put(f"{home.settings.incoming_dir}/unfinished.png.part", b"not complete")
    return source


def _context(home: Installation, source: PhotoSource) -> tuple[Context, InProcessQueue]:
    context, queue = home.in_process()
    return replace(context, photos=source), queue


def test_a_night_works_without_a_file_system(home: Installation, memory: MemorySource) -> None:
    """Scan, classify, archive, explain, show, replay and retry: every photo is found, moved and read."""
    context, queue = _context(home, memory)
    run_id = scan(context, "night")
    queue.deliver(context)
    found = states(home, run_id)
    assert sorted(found.values()) == ["classified"] * 10 + ["quarantined"]
    assert found["broken.png"] == "quarantined"
    assert set(memory.photos) == {image.lies_at for image in images.results(home.database, run_id)} | {
        f"{home.settings.incoming_dir}/unfinished.png.part"
    }
    assert not home.settings.archive_dir.exists()
    summary = runs.find(home.database, run_id)
    assert summary is not None
    assert (summary.state, summary.counts.seen) == ("closed", 11)
    classified = [image.id for image in images.results(home.database, run_id) if image.label is not None]
    explain(context, classified[0])
    explanation = explanations.find(home.database, classified[0])
    assert explanation is not None
    assert explanation.fault is None
    picture = browsing.picture(home.database, classified[0])
    assert picture is not None
    pictures = Pictures(context)
    webp = asyncio.run(pictures.draw(pictures.wanted(picture, 64)))
    pictures.close()
    assert webp is not None
    assert webp[8:12] == b"WEBP"
    again = [replay(context, "replay", run_id, "stub/1"), retry(context, "retry", run_id)]
    queue.deliver(context)
    assert set(states(home, again[0]).values()) == {"classified"}
    assert states(home, again[1]).popitem()[1] == "quarantined"


def test_uploads_work_without_a_file_system(home: Installation, memory: MemorySource) -> None:
    """Uploads are written to the spool, classified and archived; discarded ones leave nothing."""
    context, queue = _context(home, memory)
    place, content = next(iter(memory.photos.items()))
    files = write_spool(context, [(place, content), ("broken.png", b"not an image")])
    accepted = sent(context, files)
    queue.deliver(context)
    outcomes = uploads.outcomes(home.database, accepted.images)
    assert [outcomes[image].state for image in accepted.images] == ["classified", "quarantined"]
    spool = f"{home.settings.spool_dir}/"
    assert not [place for place in memory.photos if place.startswith(spool)]
    discard(context, [file.path for file in write_spool(context, [("a.png", content)])])
    assert not [place for place in memory.photos if place.startswith(spool)]
    assert not home.settings.spool_dir.exists()


def test_photos_named_by_hand_stay_where_they_are(home: Installation, memory: MemorySource) -> None:
    """A named photo is classified in place; one that does not exist gets a row that says so."""
    context, queue = _context(home, memory)
    place = f"{home.settings.incoming_dir}/image_0_label_0.png"
    run_id = classify_paths(context, "named", [place, "/no/such.png"])
    queue.deliver(context)
    assert [(image.path, image.code) for image in images.results(home.database, run_id)] == [
        (place, None),
        ("/no/such.png", "vanished"),
    ]
    assert place in memory.photos
