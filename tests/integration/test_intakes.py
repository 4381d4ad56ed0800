"""Each of several intakes has its own run of a night with its own model, independent of the others."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from returns_pipeline.errors import ConfigFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.models import ModelRef
from returns_pipeline.records.tasks import Task
from returns_pipeline.settings import Intake, load_settings
from returns_pipeline.store import runs, tables
from returns_pipeline.usecases.runs import scan, scan_intakes, scan_night
from returns_pipeline.usecases.schedule import request_of_intake
from returns_pipeline.usecases.sweep import sweep
from tests.support import Installation, assert_promise_kept, digests, write_images, write_stub_bundle

NIGHT = datetime(2026, 5, 4, 2, 0, tzinfo=UTC)


def _two(home: Installation) -> tuple[Installation, Path, Path]:
    """Return the home with two intakes, of the models stub and shoes, and their folders."""
    write_stub_bundle(home.settings.models_dir, "shoes", side=16)
    first, second = (home.settings.home / "in" / name for name in ("clothes", "shoes"))
    for folder in (first, second):
        folder.mkdir(parents=True)
    intakes = (Intake("stub", first), Intake("shoes", second))
    return replace(home, settings=home.settings.model_copy(update={"intakes": intakes})), first, second


def test_one_night_is_a_run_of_each_intake_with_its_model(home: Installation) -> None:
    """Each photo is classified by its intake's model; a repeated request returns the same runs."""
    home, clothes, shoes = _two(home)
    write_images(clothes, 7)
    write_images(shoes, 12, start=100)
    came_in = [digests(clothes), digests(shoes)]
    context, queue = home.in_process()
    opened = scan_night(context, NIGHT)
    queue.deliver(context)
    assert scan_night(context, NIGHT + timedelta(minutes=1)) == opened
    swapped = context.settings.model_copy(update={"intakes": home.settings.intakes[::-1]})
    assert scan_night(replace(context, settings=swapped), NIGHT) == opened[::-1]
    assert [runs.model_of(home.database, run) for run in opened] == [
        ModelRef("stub", 1),
        ModelRef("shoes", 1),
    ]
    found = [runs.find(home.database, run) for run in opened]
    assert [run.counts.seen for run in found if run] == [7, 12]
    assert digests(home.settings.archive_dir) == came_in[0] + came_in[1]


def test_a_scan_skips_what_a_network_drive_adds_and_counts_it(home: Installation) -> None:
    """Of a Synology folder only the photo gets a row; thumbnails stay, and the log counts skipped names."""
    intake = home.settings.incoming_dir
    write_images(intake, 1)
    thumbnails = write_images(intake / "@eaDir" / "image_0_label_0.png", 3, start=10)
    (intake / "Thumbs.db").write_bytes(b"x")
    context, queue = home.in_process()
    with capture_logs() as logs:
        run_id = scan(context, "night")
    queue.deliver(context)
    summary = runs.find(home.database, run_id)
    assert summary is not None
    assert (summary.counts.seen, summary.counts.classified) == (1, 1)
    assert [line["skipped"] for line in logs if line["event"] == "scan_ended"] == [2]
    assert all(path.exists() for path in thumbnails)
    taking = home.settings.model_copy(update={"skip_patterns": ("Thumbs.db",)})
    run_id = scan(replace(context, settings=taking), "other patterns")
    assert runs.progress(home.database, run_id).total == 3


def test_a_missing_intake_does_not_stop_the_others(home: Installation) -> None:
    """Its error is raised after the others are scanned; the sweep requests the night until it is repaired."""
    home, clothes, shoes = _two(home)
    context, queue = home.in_process()
    scan_night(context, NIGHT)
    queue.deliver(context)
    with home.database.write() as connection:
        connection.execute(sa.update(tables.runs).values(opened_at=NIGHT))
    clothes.rmdir()
    write_images(shoes, 3)
    came_in = digests(shoes)
    with pytest.raises(ConfigFault, match="clothes does not exist"):
        scan_night(context)
    queue.deliver(context)
    (newest,) = runs.latest(home.database, 1)
    assert str(newest.model) == "shoes/1"
    assert_promise_kept(home, newest.id, came_in)
    sweep(context)
    assert len(queue.waiting(Task.SCAN)) == 1
    clothes.mkdir()
    queue.deliver(context)
    sweep(context)
    assert not queue.waiting(Task.SCAN)


def test_an_interrupted_scan_of_an_intake_continues_with_its_model(home: Installation) -> None:
    """The sweep's message has the request and the folder; the model is that of the run."""
    home, clothes, shoes = _two(home)
    write_images(shoes, 3)
    context, _ = home.in_process()
    opened = scan_intakes(context, "request")
    for run_id in opened:
        run = runs.find(home.database, run_id)
        assert run is not None
        assert run.directory in {clothes, shoes}
    request = request_of_intake("request", home.settings, "shoes")
    assert scan(context, request, shoes) == opened[1]
    assert runs.model_of(home.database, opened[1]) == ModelRef("shoes", 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a", "should be MODEL=FOLDER"),
        ("a=/in/a,", "should be MODEL=FOLDER"),
        ("a=/in/a,a/2=/in/b", "should name each model once"),
        ("a=/in,b=/in/b", "inside another intake"),
        ("a=/in,b=/in", "inside another intake"),
        ("a=/in,b=HOME", "RETURNS_ARCHIVE_DIR lies inside RETURNS_INTAKES"),
    ],
)
def test_intakes_that_would_take_each_others_photos_are_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """No photo belongs to two intakes, and no archived photo is scanned again."""
    with pytest.raises(ConfigFault, match=sentence):
        load_settings(home=tmp_path, intakes=text.replace("HOME", str(tmp_path)))


def test_relative_folders_mean_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders become absolute when the settings are read; without INTAKES, INCOMING_DIR is the intake."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(home=tmp_path / "home", intakes=" a = in , b/2=/elsewhere")
    assert settings.every_intake == (Intake("a", tmp_path / "in"), Intake("b/2", Path("/elsewhere")))
    plain = load_settings(home=tmp_path)
    assert plain.every_intake == (Intake(plain.model, plain.incoming_dir),)


def test_the_command_line_scans_every_intake(sqlite_home: Installation) -> None:
    """`scan --wait` follows the run of each intake; `doctor` reports an intake whose model is missing."""
    home, clothes, shoes = _two(sqlite_home)
    write_images(clothes, 3)
    write_images(shoes, 4)
    with Processes(home.settings) as processes:
        processes.start_redis()
        processes.start_workers()
        found = home.json("scan", "--wait")
    assert [(run["model"], run["classified"]) for run in found] == [("stub/1", 3), ("shoes/1", 4)]
    (home.settings.models_dir / "shoes" / "1" / "bundle.json").unlink()
    checks = {check["name"]: check for check in json.loads(home.run("doctor", "--json").stdout)}
    assert not checks["model"]["ok"]
    assert str(shoes) in checks["intake"]["message"]
