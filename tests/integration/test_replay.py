"""A replay classifies an old run's images with another version, and changes nothing in the old run."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from returns_pipeline.errors import PipelineError
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.models import PredictionPair
from returns_pipeline.report.changes import count_changes
from returns_pipeline.store import images, runs
from returns_pipeline.usecases.runs import classify_paths, replay, scan
from tests.support import Installation, digests, write_images, write_stub_bundle

OTHERS = ("dark", "dim", "bright", "snow")


def _other_version(home: Installation) -> None:
    """Write stub/2, which calls white photos snow."""
    bundle = write_stub_bundle(home.settings.models_dir, version=2, side=16)
    replace(bundle, labels=OTHERS, main_categories=OTHERS).save()


def _results(home: Installation, run_id: int) -> list[ImageResult]:
    return list(images.results(home.database, run_id))


def test_a_replay_changes_nothing_of_the_old_run(home: Installation) -> None:
    """Files stay in the archive, old predictions stay, and each of them is paired with a new one."""
    photos = write_images(home.settings.incoming_dir, 25)
    (home.settings.incoming_dir / "broken.png").write_bytes(b"")
    context, queue = home.in_process()
    first = scan(context, "night")
    queue.deliver(context)
    before, files = _results(home, first), digests(home.settings.archive_dir)
    _other_version(home)
    second = replay(context, "replay", first, "stub/2")
    assert replay(context, "replay", first, "stub/2") == second
    queue.deliver(context)
    assert _results(home, first) == before
    assert digests(home.settings.archive_dir) == files
    assert str(runs.model_of(home.database, second)) == "stub/2"
    changes = count_changes(images.replayed(home.database, first, second))
    white = [str(path) for path in photos if "label_3" in path.name]
    assert (changes.same, changes.changed, changes.unanswered) == (25 - len(white), len(white), 0)
    assert changes.transitions == [("white", "snow", len(white))]
    assert sorted(changes.files) == sorted(PredictionPair(path, "white", "snow") for path in white)


def test_files_that_disappeared_have_no_second_prediction(home: Installation, tmp_path: Path) -> None:
    """A replay of files outside the archive reports which of them it could not read."""
    photos = write_images(tmp_path / "photos", 3)
    names = [os.fsencode(str(path)) for path in photos]
    odd = Path(os.fsdecode(names[0][:-4] + b"-caf\xe9.png"))
    photos[0].rename(odd)
    context, queue = home.in_process()
    first = classify_paths(context, "request", [str(odd), *map(str, photos[1:])])
    queue.deliver(context)
    photos[2].unlink()
    second = replay(context, "replay", first, "stub/1")
    queue.deliver(context)
    changes = count_changes(images.replayed(home.database, first, second))
    assert (changes.same, changes.changed, changes.unanswered) == (2, 0, 1)
    assert [pair.path for pair in changes.files] == [str(photos[2])]


def test_an_open_run_is_not_replayed(home: Installation) -> None:
    """An open run or a missing run is refused, and no run is opened."""
    write_images(home.settings.incoming_dir, 1)
    context, _ = home.in_process()
    run_id = scan(context, "night")
    with pytest.raises(PipelineError, match="still open"):
        replay(context, "replay", run_id, "stub/1")
    with pytest.raises(PipelineError, match="There is no run"):
        replay(context, "replay", run_id + 1, "stub/1")
    assert len(runs.latest(home.database, 5)) == 1


def test_counting_keeps_as_many_files_as_asked_for() -> None:
    """All images are counted even if few are listed; the most frequent change comes first."""
    pairs = [PredictionPair(str(i), "a", "b" if i % 3 else "c") for i in range(9)] + [
        PredictionPair("x", "a", "a")
    ]
    changes = count_changes(pairs, most_files=2)
    assert changes.transitions == [("a", "b", 6), ("a", "c", 3)]
    assert (changes.both, changes.same, changes.changed, len(changes.files)) == (10, 1, 9, 2)


def test_the_command_line_replays_with_real_workers(sqlite_home: Installation) -> None:
    """`classify --run --model --wait` prints what changes; `classify PATH --model` uses that version."""
    home = sqlite_home
    (photo,) = write_images(home.settings.home / "photos", 1, start=5)  # white
    write_images(home.settings.incoming_dir, 12)
    with Processes(home.settings) as processes:
        processes.start_redis()
        processes.start_workers()
        first = home.json("scan", "--wait")
        _other_version(home)
        replayed = home.json("classify", "--run", str(first["id"]), "--model", "stub/2", "--wait")
        one = home.json("classify", str(photo), "--model", "stub/2", "--wait")
        table = home.run("classify", "--run", str(first["id"]), "--model", "stub/2", "--wait").stdout
    assert (replayed["both"], replayed["run"]["model"], first["model"]) == (12, "stub/2", "stub/1")
    assert [each["after"] for each in replayed["transitions"]] == ["snow"]
    assert replayed["changed"] == len(replayed["files"]) > 0
    assert [image["label"] for image in one["images"]] == ["bright" if "label_2" in photo.name else "snow"]
    assert "Both predicted 12 images" in table
    assert home.run("classify", "--run", "1").returncode == 2
    assert home.run("classify").returncode == 2
