"""Photos find their returns, and returns get their verdicts, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from returns_pipeline.classify.bundle import find_bundle
from returns_pipeline.records.notices import NoticeKind
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import images as stored_images
from returns_pipeline.store import (
    outbox,
    return_links,
    return_verdicts,
    returns,
    review_queue,
    run_statistics,
)
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.return_links import NewLink
from returns_pipeline.store.tables import images, returns_to_judge
from returns_pipeline.usecases import judging, linking, reviews, uploads
from returns_pipeline.usecases.chunks import classify_chunk
from returns_pipeline.usecases.deletion import delete
from returns_pipeline.usecases.runs import retry
from returns_pipeline.usecases.sweep import sweep
from tests.returns import (
    CODES,
    actions,
    announce,
    close,
    details,
    links,
    night,
    verdicts,
    with_returns,
    write_item,
    write_slip,
)
from tests.support import Installation, sent


def test_a_night_with_slips(home: Installation) -> None:
    """Photos after a slip are its return's; the slip counts for nothing; each return gets its verdict."""
    desk = home.settings.incoming_dir / "desk"
    announce(home.database, {"RMA-1": "white", "RMA-2": "dim", "RMA-3": "dark"})
    write_slip(desk / "IMG_9.png", "RMA-1")
    write_item(desk / "IMG_10.png", "white")
    write_item(desk / "IMG_11.png", "white", seed=1)
    write_slip(desk / "IMG_12.png", "RMA-2")
    write_item(desk / "IMG_13.png", "dark")
    write_slip(desk / "IMG_14.png", "RMA-4")
    write_item(desk / "IMG_15.png", "dim")
    pipeline = with_returns(home, **CODES, chunk_size=2)
    run_id = night(pipeline)
    assert links(home.database) == {
        "IMG_9.png": ("RMA-1", "the_slip", None),
        "IMG_10.png": ("RMA-1", "slip", None),
        "IMG_11.png": ("RMA-1", "slip", None),
        "IMG_12.png": ("RMA-2", "the_slip", None),
        "IMG_13.png": ("RMA-2", "slip", None),
        "IMG_14.png": ("RMA-4", "the_slip", None),
        "IMG_15.png": ("RMA-4", "slip", None),
    }
    assert verdicts(home.database) == {
        "RMA-1": "match",
        "RMA-2": "mismatch",
        "RMA-3": None,
        "RMA-4": "unexpected",
    }
    assert details(home.database, "RMA-1")["photos"] == 2
    assert details(home.database, "RMA-2") == {
        "expected": "dim",
        "found": "dark",
        "photos": 1,
        "measured": True,
    }
    before = actions(home.database, "RMA-1")
    assert linking.link_run(pipeline[0], run_id) is False, "the same again changes nothing"
    judging.judge_queued(pipeline[0])
    assert actions(home.database, "RMA-1") == before
    close(pipeline[0])


def test_a_slip_has_no_category(home: Installation) -> None:
    """A slip is in no count of categories and is never reviewed; a photo that is no slip any more is."""
    desk = home.settings.incoming_dir / "desk"
    write_slip(desk / "1.png", "RMA-1")
    write_item(desk / "2.png", "white")
    pipeline = with_returns(home, **CODES, audit_share=1.0)
    run_id = night(pipeline)
    close(pipeline[0])
    slip, item = sorted(stored_images.results(home.database, run_id), key=lambda image: image.name)
    assert (slip.final_label, slip.final_source) == (None, "slip")
    assert slip.label is not None, "the prediction is kept"
    assert run_statistics.labels(home.database, [run_id]) == {run_id: {"white": 1}}
    assert review_queue.counts(home.database).waiting == 1
    return_links.write(home.database, [NewLink(slip.id, None, None, None)])
    slip, item = sorted(stored_images.results(home.database, run_id), key=lambda image: image.name)
    assert (slip.final_label, slip.final_source) == (slip.label, "model")
    assert (item.final_label, item.final_source) == ("white", "model")


def test_the_time_of_a_photo_counts_before_its_name(home: Installation) -> None:
    """The camera's time orders a folder, also across chunks."""
    desk = home.settings.incoming_dir
    write_slip(desk / "z.jpg", "RMA-1", taken="2026:05:04 10:00:00")
    write_item(desk / "b.jpg", "white", taken="2026:05:04 10:00:05")
    write_slip(desk / "y.jpg", "RMA-2", taken="2026:05:04 10:01:00")
    write_item(desk / "a.jpg", "dark", taken="2026:05:04 10:01:05")
    pipeline = with_returns(home, **CODES, chunk_size=1)
    night(pipeline)
    found = links(home.database)
    assert found["b.jpg"][:2] == ("RMA-1", "slip")
    assert found["a.jpg"][:2] == ("RMA-2", "slip")
    close(pipeline[0])


def test_a_slip_that_is_lost(home: Installation) -> None:
    """Photos before the first slip, and after a file that may have been a slip, belong to no return."""
    desk = home.settings.incoming_dir
    write_item(desk / "1.png", "white")
    write_slip(desk / "2.png", "RMA-1")
    write_item(desk / "3.png", "white", seed=3)
    (desk / "4.png").write_bytes(b"no picture")
    write_item(desk / "5.png", "dark")
    write_slip(desk / "6.png", "RMA-2")
    write_item(desk / "7.png", "dim")
    pipeline = with_returns(home, **CODES)
    night(pipeline)
    found = links(home.database)
    assert found["1.png"] == found["4.png"] == (None, None, None)
    assert found["3.png"] == ("RMA-1", "slip", None)
    assert found["5.png"] == (None, None, "slip: ?")
    assert found["7.png"] == ("RMA-2", "slip", None)
    close(pipeline[0])


def test_folders_and_names_name_returns(home: Installation) -> None:
    """The folder's name, then the file's; a code is stronger, and what contradicts is flagged."""
    intake = home.settings.incoming_dir
    write_item(intake / "RMA-1" / "a.png", "white")
    write_item(intake / "RMA-1" / "more" / "RMA-2_b.png", "white", seed=1)
    write_item(intake / "RMA-3_c.png", "dark")
    write_slip(intake / "RMA-4" / "d.png", "RMA-5")
    write_item(intake / "plain.png", "dim")
    patterns = {"folder_pattern": "^(RMA-[0-9]+)$", "file_pattern": "^(RMA-[0-9]+)_"}
    pipeline = with_returns(home, **CODES, **patterns, slips="off")
    night(pipeline)
    assert links(home.database) == {
        "a.png": ("RMA-1", "folder", None),
        "RMA-2_b.png": ("RMA-1", "folder", "file_name: RMA-2"),
        "RMA-3_c.png": ("RMA-3", "file_name", None),
        "d.png": ("RMA-5", "code", "folder: RMA-4"),
        "plain.png": (None, None, None),
    }
    close(pipeline[0])


def test_photos_before_their_manifest(home: Installation) -> None:
    """The number is kept: the return is unexpected until it is announced, then it is judged again."""
    write_item(home.settings.incoming_dir / "RMA-1" / "a.png", "white")
    pipeline = with_returns(home, folder_pattern="^(RMA-[0-9]+)$")
    night(pipeline)
    assert verdicts(home.database) == {"RMA-1": "unexpected"}
    announce(home.database, {"RMA-1": "white"})
    sweep(pipeline[0])
    pipeline[1].deliver(pipeline[0])
    assert verdicts(home.database) == {"RMA-1": "match"}
    announce(home.database, {"RMA-1": "dark"})
    sweep(pipeline[0])
    pipeline[1].deliver(pipeline[0])
    assert verdicts(home.database) == {"RMA-1": "mismatch"}, "a corrected manifest changes the verdict"
    assert actions(home.database, "RMA-1").count("verdict") == 3


def test_nothing_came(home: Installation) -> None:
    """`no photo` when the photos are overdue, also if only a slip came; a late photo changes that."""
    context, queue = pipeline = with_returns(home, **CODES, folder_pattern="^(RMA-[0-9]+)$")
    announce(home.database, {"RMA-1": "white", "RMA-2": "dark"}, due_at=utc_now() + timedelta(hours=1))
    desk = home.settings.incoming_dir
    write_slip(desk / "1.png", "RMA-2")
    write_slip(desk / "2.png", "RMA-9")
    write_item(desk / "3.png", "dim")
    night(pipeline)
    assert verdicts(home.database) == {"RMA-1": None, "RMA-2": None, "RMA-9": "unexpected"}
    announce(home.database, {"RMA-1": "white", "RMA-2": "dark"}, due_at=utc_now() - timedelta(seconds=1))
    sweep(context)
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": "no photo", "RMA-2": "no photo", "RMA-9": "unexpected"}
    write_item(desk / "RMA-1" / "a.png", "white", seed=7)
    night(pipeline, "second")
    assert verdicts(home.database)["RMA-1"] == "match"
    close(context)


def test_a_sender_names_the_return(home: Installation) -> None:
    """Two requests at once for one return open it once, and both photos are judged together."""
    context, queue = with_returns(home)
    announce(home.database, {"RMA-2": "white"})
    folder = home.settings.home / "sent"

    def send(number: int, of_return: str) -> tuple[int, ...]:
        path = folder / f"{of_return}-{number}.png"
        write_item(path, "white", seed=number)
        files = uploads.write_spool(context, [(path.name, path.read_bytes())])
        return sent(context, files, number=of_return).images

    with ThreadPoolExecutor(2) as pool:
        stored = list(pool.map(send, range(4), ["RMA-1", "RMA-1", "RMA-2", "RMA-2"]))
    assert len({each for ids in stored for each in ids}) == 4
    found = {name[-len("RMA-1-0.png") :]: link for name, link in links(home.database).items()}
    assert found["RMA-1-0.png"] == found["RMA-1-1.png"] == ("RMA-1", "given", None)
    assert verdicts(home.database) == {"RMA-1": None, "RMA-2": None}, "not judged before it is classified"
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": "unexpected", "RMA-2": "match"}
    assert details(home.database, "RMA-2")["photos"] == 2


def test_a_code_in_an_uploaded_photo(home: Installation) -> None:
    """A photo over HTTP is linked when its chunk is done; a number that its sender named is stronger."""
    context, queue = with_returns(home, **CODES)
    path = home.settings.home / "sent" / "a.png"
    write_slip(path, "RMA-1")
    for number in (None, "RMA-2"):
        files = uploads.write_spool(context, [(path.name, path.read_bytes())])
        sent(context, files, number=number)
        queue.deliver(context)
    assert sorted(links(home.database).values(), key=str) == [
        ("RMA-1", "code", None),
        ("RMA-2", "given", "code: RMA-1"),
    ]
    sweep(context)
    assert verdicts(home.database) == {"RMA-1": "unexpected", "RMA-2": "unexpected"}
    close(context)


def test_a_process_that_dies_before_the_verdict_loses_none(home: Installation) -> None:
    """What is stored is queued in the same transaction: the sweep has it judged, and once."""
    context, queue = with_returns(home)
    announce(home.database, {"RMA-1": "white"})
    path = home.settings.home / "sent" / "a.png"
    write_item(path, "white")
    files = uploads.write_spool(context, [(path.name, path.read_bytes())])
    sent(context, files, number="RMA-1")
    classify_chunk(context, queue.take(Task.CLASSIFY_CHUNK), "message")
    queue.lose_everything()
    assert verdicts(home.database) == {"RMA-1": None}
    sweep(context)
    queue.send(Task.JUDGE_RETURNS)
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": "match"}
    assert actions(home.database, "RMA-1") == ["verdict"]
    with home.database.read() as connection:
        assert connection.execute(sa.select(returns_to_judge)).all() == []


def test_a_correction_changes_the_verdict_in_the_same_request(home: Installation) -> None:
    """A person's label decides; the undo brings the model's verdict back. Both are told."""
    write_item(home.settings.incoming_dir / "RMA-1" / "a.png", "white")
    context, _ = pipeline = with_returns(home, folder_pattern="^(RMA-[0-9]+)$")
    announce(home.database, {"RMA-1": "white"})
    night(pipeline)
    found = returns.find(home.database, "RMA-1")
    assert found is not None
    (photo,) = return_links.photos_of_return(home.database, found.id)

    def bundle_of(name: str) -> Any:
        return find_bundle(home.settings.models_dir, name)

    reviews.decide(home.database, bundle_of, "ann", photo.id, "dark")
    judging.judge_now(context, bundle_of)
    assert verdicts(home.database) == {"RMA-1": "mismatch"}
    assert details(home.database, "RMA-1")["found"] == "dark"
    reviews.undo(home.database, "ann")
    judging.judge_now(context, bundle_of)
    assert verdicts(home.database) == {"RMA-1": "match"}
    told = [
        notice.data["verdict"]
        for notice, _ in outbox.latest(home.database, 50)
        if notice.kind is NoticeKind.RETURN_VERDICT
    ]
    assert told == ["match", "mismatch"], "a first match is not told"


def test_a_deleted_photo_says_nothing_of_its_return(home: Installation) -> None:
    """Deleting it takes its verdict back."""
    write_item(home.settings.incoming_dir / "RMA-1" / "a.png", "white")
    context, queue = pipeline = with_returns(home, folder_pattern="^(RMA-[0-9]+)$")
    announce(home.database, {"RMA-1": "white"})
    night(pipeline)
    with home.database.read() as connection:
        image_id = connection.execute(sa.select(images.c.id)).scalar_one()
    delete(home.settings, home.database, image_id, "ann")
    sweep(context)
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": None}


def test_a_retried_photo_stays_with_its_return(home: Installation) -> None:
    """A file that could not be read belongs to its return, and so does the same file tried again."""
    folder = home.settings.incoming_dir / "RMA-1"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    context, queue = pipeline = with_returns(home, folder_pattern="^(RMA-[0-9]+)$")
    announce(home.database, {"RMA-1": "white"})
    night(pipeline)
    assert verdicts(home.database) == {"RMA-1": "empty or unreadable"}
    retry(context, "again", None)
    queue.deliver(context)
    assert {link[:2] for link in links(home.database).values()} == {("RMA-1", "folder")}
    assert details(home.database, "RMA-1")["photos"] == 2


def test_a_missing_model_delays_its_returns_only(home: Installation) -> None:
    """Returns of other models are judged; the others wait until the model is there again."""
    write_item(home.settings.incoming_dir / "RMA-1" / "a.png", "white")
    context, queue = pipeline = with_returns(home, folder_pattern="^(RMA-[0-9]+)$")
    announce(home.database, {"RMA-1": "white"})
    night(pipeline)
    announce(home.database, {"RMA-1": "dark", "RMA-2": "dark"}, due_at=utc_now() - timedelta(seconds=1))
    models = home.settings.models_dir
    models.rename(models.parent / "away")
    models.mkdir()
    sweep(context)
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": "match", "RMA-2": "no photo"}
    models.rmdir()
    (models.parent / "away").rename(models)
    sweep(context)
    queue.deliver(context)
    assert verdicts(home.database) == {"RMA-1": "mismatch", "RMA-2": "no photo"}


def test_a_night_without_returns_asks_once(home: Installation) -> None:
    """Without codes, patterns and returns, linking reads one empty table and writes nothing."""
    write_item(home.settings.incoming_dir / "RMA-1" / "a.png", "white")
    pipeline = with_returns(home)
    run_id = night(pipeline)
    statements: list[str] = []
    with home.database.read() as connection:
        sa.event.listen(connection.engine, "before_cursor_execute", lambda *each: statements.append(each[2]))
    assert linking.link_run(pipeline[0], run_id) is False
    selects = [each for each in statements if each.startswith("SELECT")]
    assert len(selects) == 1
    assert return_verdicts.counts(home.database) == []
