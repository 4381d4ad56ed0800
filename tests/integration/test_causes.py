"""What happens to runs, nights, intakes and images is told: once, and in the transaction that makes it so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.errors import TransientFault
from returns_pipeline.records.notices import NoticeKind, StoredNotice
from returns_pipeline.records.reviews import ReviewOutcome, Word
from returns_pipeline.records.runs import RunKind
from returns_pipeline.settings import load_settings
from returns_pipeline.store import outbox, reviews, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases import causes, reports, schedule
from returns_pipeline.usecases.runs import classify_paths, scan, scan_night
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, write_images

NIGHT = datetime(2026, 5, 4, 2, 0, tzinfo=UTC)


def told(home: Installation, *kinds: NoticeKind) -> list[StoredNotice]:
    """Return the notices of some kinds, oldest first."""
    return [notice for notice, _ in outbox.latest(home.database, 200)[::-1] if notice.kind in kinds]


def finished_run(home: Installation, count: int = 5, **context_values: Any) -> int:
    """Scan and classify some images; return the run."""
    write_images(home.settings.incoming_dir, count)
    context, queue = home.in_process()
    context = replace(context, **context_values)
    run_id = scan(context, "night")
    queue.deliver(context)
    return run_id


class Failing(StubClassifier):
    """A program that has an error with every image."""

    def predict(self, pixels: NDArray[Any]) -> Any:
        """Raise an error that is not the image's."""
        raise ZeroDivisionError(len(pixels))


def test_failed_images_are_told_beside_the_finished_run(home: Installation) -> None:
    """A run whose images failed is finished and failed; an ad hoc run is neither."""
    run_id = finished_run(home, 2, load_classifier=Failing)
    finished, failed = told(home, NoticeKind.RUN_FINISHED, NoticeKind.RUN_FAILED)
    assert (finished.data["run"], finished.data["failed"]) == (run_id, 2)
    assert (failed.kind, failed.data["failed"]) == (NoticeKind.RUN_FAILED, 2)
    context, queue = home.in_process()
    (photo,) = write_images(home.settings.home / "elsewhere", 1)
    classify_paths(context, "by hand", [str(photo)])
    queue.deliver(context)
    assert len(outbox.latest(home.database, 10)) == 2


def test_a_run_that_cannot_close_is_told_once(
    sqlite_home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the sweep tries, there is one notice; a fault that passes, like a full disk, has none."""
    home = sqlite_home
    context, queue = home.in_process()
    run_id = scan(context, "night")
    for error in (
        TransientFault("The disk is full."),
        ZeroDivisionError("a bug"),
        ZeroDivisionError("a bug"),
    ):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(reports, "write_report", fail)
            with pytest.raises(type(error)):
                queue.deliver(context)
        sweep(context)
    (notice,) = told(home, NoticeKind.RUN_FAILED)
    assert notice.text == f"Run {run_id} cannot be closed: a bug"
    queue.deliver(context)
    assert [each.data["run"] for each in told(home, NoticeKind.RUN_FINISHED)] == [run_id]


def test_a_notice_and_its_cause_are_one_transaction(
    home: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the notice cannot be written, the run does not close either."""
    context, queue = home.in_process()
    scan(context, "night")

    def fail(*_: object) -> None:
        raise TransientFault("The connection is lost.")

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "add", fail)
        with pytest.raises(TransientFault):
            queue.deliver(context)
    with home.database.read() as connection:
        states = list(connection.execute(sa.select(tables.runs.c.state)).scalars())
    assert states == ["closing"], "nothing of the transaction is left"
    assert told(home, NoticeKind.RUN_FINISHED) == []


def test_an_empty_intake_is_told_for_each_scan(home: Installation) -> None:
    """The notice has the folder and the sentence of the alarm; a scan that is delivered twice tells once."""
    context, queue = home.in_process()
    for request in ("one", "one", "two"):
        scan(context, request)
        queue.deliver(context)
    found = told(home, NoticeKind.INTAKE_EMPTY)
    assert len(found) == 2
    assert found[0].data["folder"] == str(home.settings.incoming_dir.resolve())
    assert "is empty" in found[0].text


def test_a_late_night_is_told_once_whether_it_has_begun_or_not(home: Installation) -> None:
    """Not before its time; then a missing night and an open one are told, a finished one is not."""
    context, queue = home.in_process()
    scan(context, "an earlier run")
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(opened_at=NIGHT - timedelta(days=3)))
    late = NIGHT + timedelta(hours=4)
    assert causes.late_nights(context, late - timedelta(seconds=1)) == []
    (missing,) = causes.late_nights(context, late)
    assert (missing.data["run"], "has not begun" in missing.text) == (None, True)
    write_images(home.settings.incoming_dir, 3)
    (run_id,) = scan_night(context, NIGHT)
    (begun,) = causes.late_nights(context, late)
    assert (begun.cause, begun.data["run"]) == (missing.cause, run_id)
    assert "has done 0 of 3 photos" in begun.text
    for _ in range(3):
        sweep(context, late)
    assert len(told(home, NoticeKind.NIGHT_LATE)) == 1
    queue.deliver(context)
    assert causes.late_nights(context, late) == []


def test_late_is_a_time_of_day_or_hours_after_the_night() -> None:
    """A time of day is the first one after the night was due, also across midnight and a clock change."""
    berlin = {"timezone": "Europe/Berlin", "scan_hour": 23}
    for value, hour in (("06:00", 4), ("23:30", 21.5 - 24), ("1.5", 22.5 - 24)):
        settings = load_settings(**berlin, notice_late=value)
        due = schedule.last_due(settings, datetime(2026, 7, 2, 12, tzinfo=UTC))
        assert schedule.late_at(settings, due) == datetime(2026, 7, 2, tzinfo=UTC) + timedelta(hours=hour)
    settings = load_settings(timezone="Europe/Berlin", scan_hour=1, notice_late="06:00")
    due = schedule.last_due(settings, datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert schedule.late_at(settings, due) - due == timedelta(hours=6), "the night has an hour more"


def test_open_work_of_over_an_hour_is_told_once(home: Installation) -> None:
    """An open run of an hour ago is told; a day of uploads only if one of its photos waits that long."""
    write_images(home.settings.incoming_dir, 3)
    context, queue = home.in_process()
    run_id = scan(context, "night")
    now = utc_now()
    assert causes.old_work(context, now + timedelta(minutes=59)) == []
    for _ in range(2):
        sweep(context, now + timedelta(minutes=61))
    (notice,) = told(home, NoticeKind.WORK_OLD)
    assert (notice.data["run"], notice.data["open_images"]) == (run_id, 3)
    with home.database.write() as connection:
        connection.execute(
            sa.update(tables.runs).values(kind=RunKind.API, opened_at=now - timedelta(hours=9))
        )
    assert causes.old_work(context, now + timedelta(minutes=59)) == []
    assert len(causes.old_work(context, now + timedelta(minutes=61))) == 1
    queue.deliver(context)
    assert causes.old_work(context, now + timedelta(days=1)) == []


def test_a_correction_is_told_when_something_else_counts(home: Installation) -> None:
    """Told are a correction, another label, no label and an undo; not an accepted prediction or a repeat."""
    finished_run(home, 1)
    with home.database.read() as connection:
        image_id, predicted = connection.execute(
            sa.select(tables.images.c.id, tables.images.c.final_label)
        ).one()
    db, label = home.database, "white" if predicted != "white" else "dark"
    accepted = Word(ReviewOutcome.LABEL, predicted, predicted)
    corrected = Word(ReviewOutcome.LABEL, label, label)
    for word in (accepted, accepted, corrected, corrected, Word(ReviewOutcome.RETAKE)):
        reviews.decide(db, "ann", image_id, word)
    for _ in range(3):
        reviews.undo(db, "ann", 60)
    found = told(home, NoticeKind.IMAGE_CORRECTED)
    said = [(each.data["outcome"], each.data["label"]) for each in found]
    assert said == [
        ("label", label),
        ("retake", None),
        ("label", label),
        ("label", predicted),
    ]
    first = found[0].data
    assert (first["image"], first["by"], first["predicted_label"]) == (image_id, "ann", predicted)
    assert len({each.uid for each in found}) == 4


def test_an_unusual_night_is_told_and_shown_by_its_run(sqlite_home: Installation) -> None:
    """After twelve nights of dark photos a night of white ones is unusual; the thirteenth dark one is not."""
    home = replace(
        sqlite_home, settings=sqlite_home.settings.model_copy(update={"chunk_size": 100, "audit_share": 0.0})
    )
    context, queue = home.in_process()
    dark = list(range(0, 256 * 40, 256))

    def night(number: int, photos: list[int]) -> int:
        for photo in photos:
            write_images(home.settings.incoming_dir, 1, start=256 * 1000 * number + photo)
        (run_id,) = scan_night(context, NIGHT + timedelta(days=number))
        queue.deliver(context)
        return run_id

    for number in range(11):
        night(number, dark)
    assert told(home, NoticeKind.NIGHT_UNUSUAL) == []
    run_id = night(11, [photo + 200 for photo in dark])
    (notice,) = told(home, NoticeKind.NIGHT_UNUSUAL)
    assert (notice.data["run"], notice.data["distance"]) == (run_id, 1.0)
    assert outbox.find(home.database, causes.unusual_cause(run_id)) == notice
    with home.database.read() as connection:
        unsure = list(connection.execute(sa.select(tables.runs.c.unsure)).scalars())
    assert None not in unsure
