"""The loop from the desk to the next model, with real processes; what is asked for, and by which rule."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.bundle import load_bundle
from returns_pipeline.host.context import command_context
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.images import ImageResult
from returns_pipeline.records.reviews import Word
from returns_pipeline.settings import PROJECT_ROOT, load_settings
from returns_pipeline.store import images, retrainings, reviews
from returns_pipeline.store.database import Database
from returns_pipeline.usecases.retraining import send_lost
from tests.databases import write_migrated_sqlite
from tests.patterns import PATTERNS, write_pattern
from tests.support import Installation

_NIGHT = 120


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Installation]:
    """Give an installation whose model was trained on upright patterns; no process runs."""
    models = tmp_path / "models"
    shutil.copytree(PROJECT_ROOT / "models" / "fashion-mnist" / "1", models / "fashion-mnist" / "1")
    for pattern in PATTERNS:
        for seed in range(30):
            write_pattern(tmp_path / "old" / pattern / f"{seed}.png", pattern, seed, turned=False)
    write_migrated_sqlite(tmp_path / "home" / "returns.sqlite3")
    settings = load_settings(
        home=tmp_path / "home",
        models_dir=models,
        model="patterns",
        settle_seconds=0,
        worker_processes=1,
        lease_seconds=5,
        resend_seconds=0.5,
        audit_share=0.1,
    )
    settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    home = Installation(settings, database)
    backbone = ("--backbone", "bundle:fashion-mnist/1", "--epochs", "30", "--learning-rate", "3e-3")
    chosen = ("--data", str(tmp_path / "old"), "--name", "patterns", "--no-photos", "--test", "0")
    done = home.run("train", "transfer", *backbone, *chosen, "--batch", "12")
    assert done.returncode == 0, done.stderr
    yield home
    database.close()


def night(home: Installation, first: int) -> list[ImageResult]:
    """Classify a night of turned patterns by real processes; return its images."""
    for number in range(first, first + _NIGHT):
        pattern = PATTERNS[number % 3]
        write_pattern(home.settings.incoming_dir / f"{pattern}-{number}.png", pattern, number, turned=True)
    run = home.json("scan", "--wait")
    assert run["classified"] == _NIGHT
    return list(images.results(home.database, run["id"]))


def share_right(found: list[ImageResult]) -> float:
    """Return the share of predictions that are right."""
    return sum(each.label == _truth(each) for each in found) / len(found)


def _truth(image: ImageResult) -> str:
    return image.name.partition("-")[0]


def until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_corrections_make_the_next_night_better(shop: Installation) -> None:
    """A night, 60 corrections, a retraining that is killed and goes on, a proposal, a better night."""
    with Processes(shop.settings) as processes:
        processes.start_redis()
        processes.start_workers()
        processes.start_trainer()
        first = night(shop, 1000)
        for number, image in enumerate(first[:60]):
            label = _truth(image)
            word = Word("none_of_these") if number == 0 else Word("label", label, label)
            reviews.decide(shop.database, "ada", image.id, word)
        assert shop.run("models", "retrain", "patterns", "--no-wait").returncode == 0
        refused = shop.run("models", "retrain", "patterns", "--no-wait")
        assert "already" in refused.stderr
        _kill_in_training(shop, processes)
        row = retrainings.newest(shop.database)[0]
        until(lambda: retrainings.require(shop.database, row.id).finished_at is not None)
        (proposal,) = shop.json("models", "proposals")
        assert proposal["state"] == "proposed", proposal
        assert proposal["candidate"] == "patterns/2"
        assert proposal["difference"] > 0 < proposal["photos"]
        assert proposal["p"] < 0.05
        assert "Promote it?" in shop.run("models", "list").stdout
        candidate = load_bundle(shop.settings.models_dir / "patterns" / "2")
        # The interrupted epochs were not trained again.
        history = json.loads((candidate.folder / "report" / "metrics.json").read_text())["history"]
        assert history["loss"][0] == 123.0
        assert shop.run("models", "promote", "patterns/2").returncode == 0
        assert shop.json("models", "proposals") == []
        assert share_right(night(shop, 2000)) > share_right(first) + 0.1


def _kill_in_training(shop: Installation, processes: Processes) -> None:
    """Kill the process that trains after its first epoch, mark that epoch, and send the work again."""
    work = shop.settings.home / "training"
    until(lambda: bool(list(work.glob("*/checkpoints/state.json"))))
    worker = psutil.Process(processes.process("worker-train").pid)
    (trainer,) = (
        each
        for each in worker.children(recursive=True)
        if "returns_pipeline.training.retraining" in each.cmdline()
    )
    os.kill(trainer.pid, signal.SIGKILL)
    until(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE)
    (state,) = work.glob("*/checkpoints/state.json")
    content = json.loads(state.read_text())
    content["history"]["loss"][0] = 123.0
    state.write_text(json.dumps(content))
    row = retrainings.newest(shop.database)[0]
    until(lambda: retrainings.is_free(shop.database, row.id, shop.settings.lease_seconds))
    time.sleep(shop.settings.resend_seconds)
    send_lost(command_context(shop.settings, shop.database, open_queue(shop.settings)))
