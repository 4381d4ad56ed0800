"""What a scan leaves in its intake is counted and shown; an intake that is empty by mistake is an alarm."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from returns_pipeline.errors import ConfigFault
from returns_pipeline.host import intake_check
from returns_pipeline.host.doctor import Check, examine
from returns_pipeline.host.intake_check import check_intake
from returns_pipeline.photos.folder import FolderSource
from returns_pipeline.photos.intake_rules import SkipRule
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.runs import LeftBehind
from returns_pipeline.report.words import left_behind
from returns_pipeline.store import runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.intakes import alarms
from returns_pipeline.usecases.runs import scan, scan_night
from tests.ordinary_user import as_ordinary_user
from tests.support import Installation, write_images


class _OrdinaryUsersFolders(FolderSource):
    """Folders that an ordinary user lists."""

    def find(self, *arguments: object, **named: object) -> Iterator[FoundFile]:
        with as_ordinary_user():
            yield from list(super().find(*arguments, **named))  # type: ignore[arg-type]


class _Share(FolderSource):
    """A folder on a share that may be mounted."""

    def __init__(self, place: str) -> None:
        self.place = place

    def file_system(self, root: str) -> str:  # noqa: ARG002 - one share
        return self.place


def _alarms(context: Context) -> list[str]:
    return [str(alarm) for alarm in alarms(context.settings, context.db, utc_now())]


def test_what_a_scan_leaves_is_counted_and_said(home: Installation, tmp_path: Path) -> None:
    """Skipped names and unreadable subfolders are in the run, the log and the report, for this run alone."""
    intake = tmp_path / "intake"
    write_images(intake / "open", 2)
    write_images(intake / "locked", 3, start=10)
    write_images(intake / "names only", 3, start=20)
    (intake / "Thumbs.db").write_bytes(b"x")
    (intake / "@eaDir").mkdir()
    for folder in (*tmp_path.parents, tmp_path, intake):
        if folder.stat().st_uid == 0 and folder != Path("/") and folder.is_relative_to("/tmp"):  # noqa: S108
            folder.chmod(0o755 | (folder.stat().st_mode & 0o1777))
    (intake / "locked").chmod(0o700)
    (intake / "names only").chmod(0o744)
    context, queue = home.in_process()
    context = replace(context, photos=_OrdinaryUsersFolders())
    with capture_logs() as logs:
        run_id = scan(context, "night", intake)
    queue.deliver(context)
    run = runs.existing(home.database, run_id)
    assert run.counts.seen == 2
    assert run.left == LeftBehind(still_changing=0, skipped=2, unreadable_folders=2)
    (line,) = [line for line in logs if line["event"] == "scan_ended"]
    assert (line["still_changing"], line["skipped"], line["unreadable_folders"]) == (0, 2, 2)
    assert run.report is not None
    for sentence in left_behind(run.left):
        assert sentence in run.report.read_text()
    other = scan(context, "another", home.settings.incoming_dir)
    assert runs.existing(home.database, other).left == LeftBehind()


def test_files_that_change_during_a_scan_are_counted(home: Installation) -> None:
    """They have no row, and the next scan takes them."""

    class Growing(FolderSource):
        """A file server without a known clock that shows more of a file at each look."""

        looks = 0

        def find(self, *arguments: object, **named: object) -> Iterator[FoundFile]:
            yield from super().find(*arguments, **named | {"with_clock": False})  # type: ignore[arg-type]

        def describe(self, place: str) -> FoundFile:
            self.looks += 1
            return super().describe(place)._replace(size=1000 + self.looks)

    write_images(home.settings.incoming_dir, 1)
    context, queue = home.in_process()
    settings = home.settings.model_copy(update={"settle_seconds": 0.05})
    context = replace(context, settings=settings, photos=Growing())
    first = scan(context, "first")
    queue.deliver(context)
    run = runs.existing(home.database, first)
    assert (run.counts.seen, run.left) == (0, LeftBehind(still_changing=1))
    assert left_behind(run.left) == ["1 file was still changing."]
    assert _alarms(context) == []
    second = scan(replace(context, photos=FolderSource()), "second")
    queue.deliver(context)
    assert runs.existing(home.database, second).counts.classified == 1


def test_an_intake_where_no_photo_ever_arrived_is_an_alarm(home: Installation) -> None:
    """From the first empty scan to the first photo; an intake whose photos are all archived is well."""
    context, queue = home.in_process()
    assert _alarms(context) == []
    with capture_logs() as logs:
        run_id = scan(context, "first")
    queue.deliver(context)
    assert runs.existing(home.database, run_id).state == "closed"
    assert [line["log_level"] for line in logs if line["event"] == "intake_empty"] == ["warning"]
    (alarm,) = _alarms(context)
    assert "is empty, and no photo ever arrived there. If it is a network drive" in alarm
    assert not _check(home).ok
    write_images(home.settings.incoming_dir, 2)
    scan(context, "second")
    assert _alarms(context) == []
    queue.deliver(context)
    assert not list(home.settings.incoming_dir.iterdir())
    scan(context, "third")
    queue.deliver(context)
    assert _alarms(context) == []
    assert _check(home).ok


def test_an_empty_intake_on_another_file_system_is_an_alarm(home: Installation) -> None:
    """A share that is not mounted shows the folder below it; when photos arrive, the new place is normal."""
    share = _Share("nfs4 nas:/photos")
    context, queue = home.in_process()
    context = replace(context, photos=share)
    write_images(home.settings.incoming_dir, 1)
    for number, place in enumerate(("nfs4 nas:/photos", "ext4 /dev/sda1", "nfs4 nas:/photos")):
        share.place = place
        scan(context, f"scan {number}")
        queue.deliver(context)
        found = _alarms(context)
        assert len(found) == (place == "ext4 /dev/sda1")
        assert all("It lies on ext4 /dev/sda1 instead of nfs4 nas:/photos." in alarm for alarm in found)
    share.place = "ext4 /dev/sdb1"
    write_images(home.settings.incoming_dir, 1, start=5)
    for request in ("moved", "empty again"):
        scan(context, request)
        queue.deliver(context)
        assert _alarms(context) == []


def test_the_doctor_finds_a_share_that_went_after_the_last_scan(home: Installation) -> None:
    """It compares where an empty intake lies now, and does not wait for the next scan to find nothing."""
    share = _Share("nfs4 nas:/photos")
    context, queue = home.in_process()
    context = replace(context, photos=share)
    write_images(home.settings.incoming_dir, 1)
    scan(context, "mounted")
    queue.deliver(context)
    assert _alarms(context) == []
    check = _check(home)
    assert not check.ok
    assert "instead of nfs4 nas:/photos" in check.advice
    write_images(home.settings.incoming_dir, 1, start=5)
    assert _check(home).ok


def test_runs_of_an_earlier_release_count_as_photos(home: Installation) -> None:
    """After an upgrade, an intake whose photos are archived raises no alarm."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 1)
    scan(context, "before")
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(intake=None, file_system=None))
    scan(context, "after")
    queue.deliver(context)
    assert _alarms(context) == []


def test_a_night_that_was_not_scanned_is_an_alarm(home: Installation) -> None:
    """Its folder is missing, so that no run is opened: five minutes after it was due, it is said."""
    context, queue = home.in_process()
    write_images(home.settings.incoming_dir, 1)
    scan(context, "earlier")
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(opened_at=utc_now() - timedelta(days=3)))
    home.settings.incoming_dir.rmdir()
    now = utc_now().replace(hour=2, minute=4)
    with pytest.raises(ConfigFault, match="does not exist"):
        scan_night(context, now)
    assert alarms(context.settings, context.db, now) == []
    later = now + timedelta(minutes=2)
    (alarm,) = alarms(context.settings, context.db, later)
    assert "were not taken in for the night of" in str(alarm)
    home.settings.incoming_dir.mkdir()
    scan_night(context, later)
    queue.deliver(context)
    assert alarms(context.settings, context.db, later) == []


def _check(home: Installation) -> Check:
    return next(check for check in examine(home.settings) if check.name == "intake")


def test_doctor_looks_into_subfolders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names a subfolder that cannot be read or written, skips what scans skip, and stops at a limit."""
    intake = tmp_path / "intake"
    for name in ("a/b", "c", "@eaDir"):
        (intake / name).mkdir(parents=True)
    rule = SkipRule(("@eaDir",))
    assert check_intake(intake, rule) == f"{intake} (subfolders: 3)"
    refused = {intake / "a" / "b": os.W_OK, intake / "@eaDir": os.R_OK}
    monkeypatch.setattr(intake_check, "_allows", lambda folder, mode: not mode & refused.get(Path(folder), 0))
    with pytest.raises(ConfigFault, match=r"cannot be moved away: 1, for example .*/a/b\."):
        check_intake(intake, rule)
    refused[intake / "c"] = os.R_OK
    with pytest.raises(ConfigFault, match=r"cannot be read: 1, for example .*/c\."):
        check_intake(intake, rule)
    refused.clear()
    monkeypatch.setattr(intake_check, "_MOST_FOLDERS", 2)
    assert check_intake(intake, rule) == f"{intake}; only the first 2 folders were examined"
