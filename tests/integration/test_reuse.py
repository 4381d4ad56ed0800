"""The same photo again: found on both databases, once, whatever is interrupted or repeated."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageEnhance, ImageOps

from returns_pipeline.broker.in_process import InProcessQueue
from returns_pipeline.errors import ConflictError, NotFoundError, TransientFault
from returns_pipeline.records.likeness import ComparedImage, Match, MatchDecision, Uncompared
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import held_comparisons, images, likeness, match_decisions, photo_matches, tables
from returns_pipeline.store.database import Database, utc_now
from returns_pipeline.usecases import judging, reuse, uploads
from returns_pipeline.usecases.closing import close_run
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.deletion import delete
from returns_pipeline.usecases.runs import replay, scan
from returns_pipeline.usecases.sweep import sweep
from tests.returns import announce, verdicts
from tests.support import Installation, sent, write_stub_bundle


@pytest.fixture
def open_home(home: Installation) -> tuple[Installation, Context, InProcessQueue]:
    """Give an installation whose model takes pictures that are large enough to compare."""
    write_stub_bundle(home.settings.models_dir, "wide", side=96)
    changed = {"model": "wide", "file_pattern": "^(RMA-[0-9]+)_"}
    settings = home.settings.model_copy(update=changed)
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


def _night_before_matching(context: Context, queue: InProcessQueue, name: str) -> int:
    """Process a night until its photos wait for their comparison; the message for it is lost."""
    elsewhere = replace(context, queue=InProcessQueue())
    run_id = scan(context, name)
    queue.deliver(elsewhere)
    close_run(elsewhere, run_id)
    return run_id


def _upload(context: Context, queue: InProcessQueue, number: str | None) -> None:
    """Send the first picture over HTTP, with the number of a return or without one."""
    data = io.BytesIO()
    _picture(1).save(data, "JPEG", quality=90)
    sent(context, uploads.write_spool(context, [("sent.jpg", data.getvalue())]), number=number)
    queue.deliver(context)


def _matches(home: Installation) -> dict[str, tuple[str, str]]:
    """Return (name of the earlier photo, kind) of each photo that has a match, by its name."""
    with home.database.read() as connection:
        names = {
            row.id: Path(row.source_path).stem
            for row in connection.execute(sa.select(tables.images.c.id, tables.images.c.source_path))
        }
        rows = connection.execute(sa.select(tables.image_matches)).all()
    return {names[row.image_id]: (names[row.earlier_id], row.kind) for row in rows}


def _changes(home: Installation) -> dict[str, str]:
    """Return how each photo that has a match differs from the earlier one, by its name."""
    with home.database.read() as connection:
        rows = connection.execute(
            sa.select(tables.images.c.source_path, tables.image_matches.c.changes).join_from(
                tables.image_matches, tables.images, tables.images.c.id == tables.image_matches.c.image_id
            )
        )
        return {Path(row.source_path).stem: row.changes for row in rows}


def _pairs(home: Installation) -> dict[int, int]:
    """Return the earlier photo of each photo that has a match."""
    columns = tables.image_matches.c.image_id, tables.image_matches.c.earlier_id
    with home.database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.select(*columns))}


def _count(home: Installation, table: sa.Table) -> int:
    with home.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _wait_again(home: Installation, image_id: int) -> None:
    """Let a photo wait for its comparison again."""
    query = sa.select(tables.images.c.chunk_id).where(tables.images.c.id == image_id)
    with home.database.write() as connection:
        chunk_id = connection.execute(query).scalar_one()
        ids = np.array([image_id], "<i8").tobytes()
        likeness.keep(connection, chunk_id, Uncompared(ids, b""))


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
        darker=ImageEnhance.Brightness(first).enhance(0.8),
        new=_picture(3),
    )
    _night(context, queue, "two")
    near = dict.fromkeys(("small", "turned", "mirrored", "cropped", "framed", "darker"), ("first", "near"))
    assert _matches(home) == {"again": ("first", "exact"), **near}
    assert _changes(home) == {
        "again": "",
        "small": "",
        "turned": "turned",
        "mirrored": "mirrored",
        "cropped": "cropped",
        "framed": "framed",
        "darker": "darker",
    }


def test_comparing_twice_and_interrupted_stores_a_match_once(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """A message that is lost is sent again by the sweep; one that comes twice changes nothing."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"resend_seconds": 0.001}))
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, again=_picture(1))
    _night_before_matching(context, queue, "two")
    (chunk_id,) = likeness.waiting(home.database, 10)
    waiting = likeness.read(home.database, chunk_id)
    assert waiting is not None
    assert _matches(home) == {}
    sweep(context)
    assert queue.waiting(Task.MATCH_PHOTOS) == [None]
    queue.deliver(context)
    reuse.match_photos(context)
    with home.database.write() as connection:
        likeness.keep(connection, chunk_id, waiting.photos)
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
    run_id = _night_before_matching(context, queue, "one")
    chunks = likeness.waiting(home.database, 10)
    assert len(chunks) == 3
    for chunk_id in reversed(chunks):
        reuse.match_chunk(context, chunk_id)
    ids = _ids(home, run_id)
    first, second = sorted(("a", "b"), key=lambda name: ids[name])
    assert _matches(home) == {second: (first, "near")}


def test_a_match_is_the_verdict_until_a_person_dismisses_it(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """A copy with another return is reused, a retake is not; a dismissal stays, and two people are told."""
    home, context, queue = open_home
    announce(home.database, {"RMA-1": None, "RMA-2": None, "RMA-3": None})
    one, two = _picture(1), _picture(2)
    _come_in(home, **{"RMA-1_a": one, "RMA-1_b": ImageOps.mirror(one), "RMA-2_c": two})
    _night(context, queue, "one")
    _come_in(home, **{"RMA-1_d": one, "RMA-3_e": two})
    ids = _ids(home, _night(context, queue, "two"))
    assert _matches(home) == {"RMA-3_e": ("RMA-2_c", "exact")}
    assert verdicts(home.database) == {"RMA-1": "unsure", "RMA-2": "unsure", "RMA-3": "reused photo"}
    image_id = ids["RMA-3_e"]
    dismissed, confirmed = MatchDecision.DISMISSED, MatchDecision.CONFIRMED
    match_decisions.decide(home.database, image_id, dismissed, "ada")
    judging.judge_queued(context)
    assert verdicts(home.database)["RMA-3"] == "unsure"
    with pytest.raises(ConflictError, match="ada has decided"):
        match_decisions.decide(home.database, image_id, confirmed, "grace")
    with pytest.raises(NotFoundError):
        match_decisions.decide(home.database, ids["RMA-1_d"], confirmed, "grace")
    stored = photo_matches.match_of(home.database, image_id)
    assert stored is not None
    _wait_again(home, image_id)
    reuse.match_photos(context)
    assert photo_matches.match_of(home.database, image_id) == stored
    assert stored.decision is dismissed
    match_decisions.decide(home.database, image_id, confirmed, "grace", seen=dismissed)
    judging.judge_queued(context)
    assert verdicts(home.database)["RMA-3"] == "reused photo"


def test_what_is_never_compared(open_home: tuple[Installation, Context, InProcessQueue]) -> None:
    """A replay, a photo of a client without a return, and a night with the comparison off keep nothing."""
    home, context, queue = open_home
    _come_in(home, first=_picture(1))
    run_id = _night(context, queue, "one")
    off = replace(context, settings=context.settings.model_copy(update={"reuse_days": 0}))
    _come_in(home, third=_picture(1))
    _night(off, queue, "two")
    replay(context, "three", run_id, "wide/1")
    queue.deliver(context)
    bare = replace(context, settings=context.settings.model_copy(update={"file_pattern": ""}))
    _upload(bare, queue, None)
    assert _matches(home) == {}
    assert _count(home, tables.uncompared_chunks) == 0
    assert _count(home, tables.compared_images) == 1
    _upload(bare, queue, "RMA-9")
    assert list(_matches(home).values()) == [("first", "exact")]


def test_plain_and_tiny_pictures_are_no_matches(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """White photos, uneven light on a wall and pictures of a few pixels say too little to be the same."""
    home, context, queue = open_home
    across = np.linspace(60, 200, 300).astype(np.uint8)
    for name, size in (("one", (300, 400)), ("two", (360, 420))):
        light = Image.fromarray(np.tile(across, (400, 1))).resize(size).convert("RGB")
        _come_in(
            home,
            **{
                f"white-{name}": Image.new("RGB", size, (255, 255, 255)),
                f"black-{name}": Image.new("RGB", size, (3, 3, 3)),
                f"wall-{name}": light,
                f"dot-{name}": Image.new("RGB", (1, 1 if name == "one" else 2), (90, 20, 20)),
            },
        )
        _night(context, queue, name)
    assert _count(home, tables.compared_images) == 8
    assert _matches(home) == {}


def test_a_deleted_photo_leaves_nothing(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """Keys, thumbnail and matches go; a third copy is then compared with the second; verdicts follow."""
    home, context, queue = open_home
    announce(home.database, {"RMA-1": None, "RMA-2": None, "RMA-3": None})
    ids: dict[str, int] = {}
    for number in (1, 2, 3):
        _come_in(home, **{f"RMA-{number}_x": _picture(1).resize((300 + number, 400))})
        ids |= _ids(home, _night(context, queue, f"night-{number}"))
    first, second, third = (ids[f"RMA-{number}_x"] for number in (1, 2, 3))
    assert _pairs(home) == {second: first, third: first}
    delete(home.settings, home.database, first, "ada")
    assert _count(home, tables.compared_images) == 2
    with home.database.read() as connection:
        assert first not in connection.execute(sa.select(tables.image_keys.c.image_id)).scalars().all()
    sweep(replace(context, settings=context.settings.model_copy(update={"resend_seconds": -1})))
    queue.deliver(context)
    assert _pairs(home) == {third: second}
    assert verdicts(home.database) == {"RMA-1": None, "RMA-2": "unsure", "RMA-3": "reused photo"}


def test_a_photo_that_is_deleted_while_it_is_compared(
    open_home: tuple[Installation, Context, InProcessQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion between the steps of a comparison wins: nothing of the photo is written after it."""
    home, context, queue = open_home
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, second=_picture(1), third=ImageOps.mirror(_picture(1)))
    ids = _ids(home, _night_before_matching(context, queue, "two"))
    (chunk_id,) = likeness.waiting(home.database, 10)
    read, compare = likeness.read, reuse.near_matches

    def deleted_after_reading(db: Database, chunk: int) -> likeness.Waiting | None:
        found = read(db, chunk)
        delete(home.settings, db, ids["second"], "ada")
        return found

    def deleted_after_comparing(db: Database, photos: Sequence[ComparedImage], since: int) -> list[Match]:
        found = compare(db, photos, since)
        assert found, "the third photo repeats the first one"
        delete(home.settings, db, ids["third"], "ada")
        return found

    monkeypatch.setattr(likeness, "read", deleted_after_reading)
    monkeypatch.setattr(reuse, "near_matches", deleted_after_comparing)
    reuse.match_chunk(context, chunk_id)
    assert _pairs(home) == {}
    assert _count(home, tables.compared_images) == 1
    with home.database.read() as connection:
        owners = set(connection.execute(sa.select(tables.image_keys.c.image_id)).scalars())
    assert owners.isdisjoint({ids["second"], ids["third"]})


def test_two_tasks_at_once_store_a_match_once(
    open_home: tuple[Installation, Context, InProcessQueue],
) -> None:
    """Four tasks compare the same chunks at the same moment; each copy has one match, the earliest."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"chunk_size": 2}))
    copies = {f"copy{number}": _picture(1).resize((300, 400 + number)) for number in range(6)}
    _come_in(home, **copies, other=_picture(2))
    run_id = _night_before_matching(context, queue, "one")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reuse.match_photos(context), range(4)))
    # A task ends after a second; a busy machine may need more than one for all chunks.
    reuse.match_photos(context)
    ids = _ids(home, run_id)
    ordered = sorted(number for name, number in ids.items() if name != "other")
    assert _pairs(home) == dict.fromkeys(ordered[1:], ordered[0])
    assert likeness.waiting(home.database, 10) == []


def test_photos_of_long_ago_go(open_home: tuple[Installation, Context, InProcessQueue]) -> None:
    """After RETURNS_REUSE_DAYS a photo is not found, and the sweep removes what it was compared by."""
    home, context, queue = open_home
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    day = {"received_day": tables.compared_images.c.received_day - 91}
    with home.database.write() as connection:
        connection.execute(sa.update(tables.compared_images).values(day))
    _come_in(home, again=_picture(1), mirrored=ImageOps.mirror(_picture(1)))
    ids = _ids(home, _night(context, queue, "two"))
    assert _pairs(home) == {max(ids.values()): min(ids.values())}
    sweep(context)
    assert _count(home, tables.compared_images) == 2
    with home.database.read() as connection:
        owners = set(connection.execute(sa.select(tables.image_keys.c.image_id)).scalars())
    assert owners == set(ids.values())


def test_a_small_model_finds_equal_files_only(home: Installation) -> None:
    """Pictures of 8 x 8 pixels are all alike, so only their files are compared."""
    context, queue = home.in_process()
    _come_in(home, first=_picture(1))
    _night(context, queue, "one")
    _come_in(home, again=_picture(1), mirrored=ImageOps.mirror(_picture(1)))
    _night(context, queue, "two")
    assert _matches(home) == {"again": ("first", "exact")}


def test_tasks_divide_the_chunks(open_home: tuple[Installation, Context, InProcessQueue]) -> None:
    """Each chunk is held by one task, until it is compared, it is released, or its time has passed."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"chunk_size": 1}))
    _come_in(home, a=_picture(1), b=_picture(2), c=_picture(3))
    _night_before_matching(context, queue, "one")
    chunks = likeness.waiting(home.database, 10)
    with ThreadPoolExecutor(4) as pool:
        held = list(pool.map(lambda _: held_comparisons.hold(home.database, 60), range(4)))
    assert sorted(each or 0 for each in held) == [0, *chunks]
    held_comparisons.release(home.database, chunks[1])
    assert held_comparisons.hold(home.database, 60) == chunks[1]
    reuse.match_chunk(context, chunks[0])
    assert held_comparisons.hold(home.database, 60) is None
    with home.database.write() as connection:
        passed = utc_now() - timedelta(seconds=1)
        connection.execute(sa.update(tables.held_comparisons).values(held_until=passed))
    assert [held_comparisons.hold(home.database, 60) for _ in range(3)] == [chunks[1], chunks[2], None]


def test_a_task_calls_one_more_if_its_queue_is_empty(
    open_home: tuple[Installation, Context, InProcessQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It calls another when it finds a chunk, and itself at its end, but not if many messages wait."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"chunk_size": 1}))
    _come_in(home, a=_picture(1), b=_picture(2), c=_picture(3))
    _night_before_matching(context, queue, "one")
    queue.messages.clear()
    with monkeypatch.context() as late:
        late.setattr(reuse, "_TASK_SECONDS", -1)
        for expected in range(1, reuse.MOST_WAITING + 1):
            reuse.match_photos(context)
            assert len(queue.waiting(Task.MATCH_PHOTOS)) == expected
        reuse.match_photos(context)
        old = context.settings.model_copy(update={"resend_seconds": -1})
        reuse.send_if_lost(replace(context, settings=old))
        assert len(queue.messages) == reuse.MOST_WAITING
    queue.messages.clear()
    reuse.match_photos(context)
    assert queue.waiting(Task.MATCH_PHOTOS) == [None]
    queue.deliver(context)
    assert likeness.waiting(home.database, 10) == []
    assert _count(home, tables.held_comparisons) == 0


def test_a_comparison_that_fails_gives_its_chunk_back(
    open_home: tuple[Installation, Context, InProcessQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that comes again compares the chunk; nothing waits for the end of a hold."""
    home, context, queue = open_home
    _come_in(home, a=_picture(1))
    _night_before_matching(context, queue, "one")
    with monkeypatch.context() as away:
        away.setattr(reuse, "near_matches", _raises_transient)
        with pytest.raises(TransientFault):
            reuse.match_photos(context)
    reuse.match_photos(context)
    assert likeness.waiting(home.database, 10) == []


def _raises_transient(*_: object) -> list[Match]:
    raise TransientFault("The database does not answer.")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0), (1, 0, 2)], ids=str)
def test_copies_have_the_same_matches_in_any_order(
    open_home: tuple[Installation, Context, InProcessQueue], order: tuple[int, int, int]
) -> None:
    """Of three equal files the later two repeat the first one, also if its chunk is compared last."""
    home, context, queue = open_home
    context = replace(context, settings=context.settings.model_copy(update={"chunk_size": 1}))
    announce(home.database, {"RMA-1": None, "RMA-2": None})
    _come_in(home, **{"RMA-1_a": _picture(1)})
    _night_before_matching(context, queue, "one")
    _come_in(home, **{"RMA-2_b": _picture(1), "RMA-2_c": _picture(1)})
    _night_before_matching(context, queue, "two")
    chunks = likeness.waiting(home.database, 10)
    for place in order:
        reuse.match_chunk(context, chunks[place])
    assert _matches(home) == {"RMA-2_b": ("RMA-1_a", "exact"), "RMA-2_c": ("RMA-1_a", "exact")}
