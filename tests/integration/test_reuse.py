"""The same photo again: found on both databases, once, whatever is interrupted or repeated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageOps

from returns_pipeline.broker.in_process import USE_CASES, InProcessQueue
from returns_pipeline.records.likeness import MatchKind
from returns_pipeline.records.runs import RunKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import images, likeness, tables
from returns_pipeline.usecases import reuse
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.runs import replay, scan
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, write_stub_bundle


@pytest.fixture
def open_home(home: Installation) -> tuple[Installation, Context, InProcessQueue]:
    """Give an installation whose model takes pictures that are large enough to compare."""
    write_stub_bundle(home.settings.models_dir, "wide", side=96)
    settings = home.settings.model_copy(update={"model": "wide"})
    context, queue = home.in_process()
    return home, replace(context, settings=settings), queue


def _picture(seed: int) -> Image.Image:
    """Return a picture of random soft shapes."""
    levels = np.random.default_rng(seed).integers(20, 235, (12, 9, 3), np.uint8)
    return Image.fromarray(levels).resize((300, 400), Image.Resampling.BICUBIC)


def _come_in(home: Installation, **pictures: Image.Image) -> None:
    folder = home.settings.incoming_dir
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.jpg", quality=90)


def _night(context: Context, queue: InProcessQueue, name: str) -> int:
    run_id = scan(context, name)
    queue.deliver(context)
    return run_id


def _matches(home: Installation) -> dict[str, tuple[str, str]]:
    """Return (name of the earlier photo, kind) of each photo that has a match, by its name."""
    with home.database.read() as connection:
        names = {
            row.id: Path(row.source_path).stem
            for row in connection.execute(sa.select(tables.images.c.id, tables.images.c.source_path))
        }
        rows = connection.execute(sa.select(tables.image_matches)).all()
    return {names[row.image_id]: (names[row.earlier_id], row.kind) for row in rows}


def _ids(home: Installation, run_id: int) -> dict[str, int]:
    return {Path(image.path).stem: image.id for image in images.results(home.database, run_id)}


def test_a_copy_is_found_with_the_earliest_photo(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """Equal files, turned, mirrored, cropped and framed copies are found; other photos are not."""
    home, context, queue = open_home
    _come_in(home, first=_picture(1), other=_picture(2))
    _night(context, queue, "one")
    assert _matches(home) == {}
    first = _picture(1)
    _come_in(
        home,
        again=first,
        small=first.resize((150, 200)),
        turned=first.transpose(Image.Transpose.ROTATE_90),
        mirrored=ImageOps.mirror(first),
        cropped=first.crop((8, 10, 292, 390)),
        framed=ImageOps.expand(first, 15, "white"),
        new=_picture(3),
    )
    _night(context, queue, "two")
    near = dict.fromkeys(("small", "turned", "mirrored", "cropped", "framed"), ("first", "near"))
    assert _matches(home) == {"again": ("first", "exact"), **near}


def test_comparing_twice_and_interrupted_stores_a_match_once(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """A message that is lost is sent again by the sweep; one that comes twice changes nothing."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"resend_seconds": 0.001}))
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, again=_picture(1))
    scan(context, "two")
    while queue.messages[0].task is not Task.MATCH_PHOTOS:
        message = queue.messages.popleft()
        one = InProcessQueue()
        one.messages.append(message)
        one_context = replace(context, queue=queue)
        USE_CASES[message.task](one_context, "message", *message.arguments)
    (chunk_id,) = likeness.waiting(home.database, 10)
    # The worker is killed after it has committed the keys, and the message is lost.
    waiting = likeness.read(home.database, chunk_id)
    assert waiting is not None
    queue.lose_everything()
    assert _matches(home) == {}
    sweep(context)
    assert queue.waiting(Task.MATCH_PHOTOS) == [None]
    queue.deliver(context)
    reuse.match_photos(context)
    with home.database.write() as connection:
        likeness.keep(connection, chunk_id, waiting[0])
    reuse.match_photos(context)
    assert _matches(home) == {"again": ("first", "exact")}
    assert likeness.waiting(home.database, 10) == []


def test_of_two_copies_at_the_same_moment_the_later_is_the_copy(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """In whatever order two chunks are compared, the photo with the higher id has the match."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"chunk_size": 1}))
    _come_in(home, a=_picture(1), b=_picture(1).resize((200, 260)), c=_picture(5))
    run_id = scan(context, "one")
    matching = replace(context, queue=InProcessQueue())
    queue.deliver(matching)
    chunks = likeness.waiting(home.database, 10)
    assert len(chunks) == 3
    for chunk_id in reversed(chunks):
        reuse.match_chunk(context, chunk_id)
    ids = _ids(home, run_id)
    first, second = sorted(("a", "b"), key=lambda name: ids[name])
    assert _matches(home) == {second: (first, "near")}


def test_a_dismissed_match_stays_dismissed(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """A person dismisses a match once; comparing again does not bring it back."""
    home, context, queue = open_home
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, again=_picture(1))
    image_id = _ids(home, _night(context, queue, "two"))["again"]
    assert likeness.dismiss(home.database, image_id, "ada")
    assert not likeness.dismiss(home.database, image_id, "grace")
    stored = likeness.match_of(home.database, image_id)
    assert stored is not None
    likeness.end(home.database, 0, [stored.match])
    again = likeness.match_of(home.database, image_id)
    assert again is not None
    assert (again.dismissed_by, again.match.kind) == ("ada", MatchKind.EXACT)


def test_photos_of_one_return_and_replays_are_no_matches(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """A retake of the same return is no alarm, and a replay or a switched-off comparison keeps nothing."""
    home, context, queue = open_home
    context = replace(context, queue=InProcessQueue())
    _come_in(home, first=_picture(1), again=_picture(1))
    run_id = scan(replace(context, queue=queue), "one")
    queue.deliver(context)
    (chunk_id,) = likeness.waiting(home.database, 10)
    reuse.match_chunk(context, chunk_id, dict.fromkeys(_ids(home, run_id).values(), 7))
    assert _matches(home) == {}
    _come_in(home, third=_picture(1))
    off = replace(context, settings=context.settings.model_copy(update={"reuse_days": 0}))
    scan(replace(off, queue=queue), "two")
    queue.deliver(off)
    assert likeness.waiting(home.database, 10) == []
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(state="closed"))
    replay(replace(context, queue=queue), "three", run_id, "wide/1")
    queue.deliver(context)
    assert likeness.waiting(home.database, 10) == []
    assert RunKind.ADHOC.is_of_intake is False


def test_a_small_model_finds_equal_files_only(home: Installation) -> None:
    """Pictures of 8 x 8 pixels are all alike, so only their files are compared."""
    context, queue = home.in_process()
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, again=_picture(1), mirrored=ImageOps.mirror(_picture(1)))
    _night(context, queue, "two")
    assert _matches(home) == {"again": ("first", "exact")}
