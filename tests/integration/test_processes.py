"""Real processes: an embedded Redis, workers in their own processes, the command line, Flower, beat."""

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from returns_pipeline.broker.app import make_app
from returns_pipeline.host.embedded import CLASSIFY_WORKER, CONTROL_WORKER, Processes
from returns_pipeline.records.runs import RunState
from returns_pipeline.settings import load_settings
from returns_pipeline.store import runs
from returns_pipeline.store.database import Database
from tests.databases import KINDS, migrated_database
from tests.support import SAMPLES, Installation, assert_promise_kept, digests, write_images
from tests.web import free_port

FIELDS = {"id", "kind", "state", "seen", "classified", "quarantined", "failed", "seconds"} | {
    "images_per_second",
    "model",
    "csv",
    "report",
}


@pytest.fixture(scope="module", params=KINDS)
def running(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Yield an installation with the shipped model, with Redis and two workers; its path has a space."""
    folder = tmp_path_factory.mktemp("a home")
    with migrated_database(request.param, folder, partial(request.getfixturevalue, "postgres")) as url:
        settings = load_settings(
            home=folder / "home", database_url=url, settle_seconds=0, chunk_size=50, worker_processes=2
        )
        settings.incoming_dir.mkdir(parents=True)
        database = Database(url)
        database.require_current()
        with Processes(settings) as processes:
            processes.start_redis()
            processes.start_workers()
            yield Installation(settings, database)
        database.close()


def test_a_nightly_run_on_the_samples(running: Installation) -> None:
    """A scan through real processes classifies the 300 samples, quarantines the 3 bad ones and loses none."""
    incoming = running.settings.incoming_dir
    for path in SAMPLES.glob("*.[pj][np]g"):
        (incoming / path.name).write_bytes(path.read_bytes())
    came_in = digests(incoming)
    run = running.json("scan", "--wait")
    assert set(run) >= FIELDS
    counts = (run["state"], run["seen"], run["classified"], run["quarantined"], run["failed"])
    assert counts == ("closed", 303, 300, 3, 0)
    assert run["model"] == "fashion-mnist/2"
    assert run["images_per_second"] == pytest.approx(303 / run["seconds"])
    assert_promise_kept(running, run["id"], came_in)
    assert running.json("runs", "show", str(run["id"])) == run
    quarantined = running.json("images", "list", "--run", str(run["id"]), "--state", "quarantined")
    assert {Path(image["path"]).name: image["code"] for image in quarantined} == {
        "empty.png": "empty_file",
        "not_an_image.jpg": "not_an_image",
        "truncated.png": "truncated",
    }
    assert all(Path(image["archived_path"]).is_file() and image["detail"] for image in quarantined)
    assert f">{run['seen']}<" in Path(run["report"]).read_text(encoding="utf-8")


def test_a_scan_of_another_folder(running: Installation, tmp_path: Path) -> None:
    """`scan --dir` classifies and archives the files of another folder."""
    write_images(tmp_path / "other", 3)
    run = running.json("scan", "--dir", str(tmp_path / "other"), "--wait")
    assert (run["seen"], run["classified"]) == (3, 3)
    assert not digests(tmp_path / "other")


def test_classify_from_a_plain_python_shell(running: Installation, tmp_path: Path) -> None:
    """`classify_paths.delay(["a.png"])` takes the caller's folder; the file stays and is classified."""
    source = next(SAMPLES.glob("*_label_9.png"))
    (tmp_path / "a.png").write_bytes(source.read_bytes())
    code = (
        "from workers.tasks import scan_incoming, classify_paths\n"
        "print(classify_paths.delay(['a.png']).get(timeout=120)['run'])\n"
        "print(scan_incoming.delay().get(timeout=120)['run'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=running.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    run_id, scanned = (int(line) for line in done.stdout.split())
    _until(lambda: _state(running, run_id) == _state(running, scanned) == RunState.CLOSED)
    (image,) = running.json("images", "list", "--run", str(run_id))
    assert image["path"] == str(tmp_path / "a.png")
    assert (image["state"], image["label"], image["archived_path"]) == ("classified", "Ankle boot", None)
    assert (tmp_path / "a.png").read_bytes() == source.read_bytes()


def test_classify_waits_for_its_run(running: Installation) -> None:
    """`classify --wait --json` prints the closed run; a folder means all files in it."""
    run = running.json("classify", str(SAMPLES), "--wait")
    names = [path.name for path in SAMPLES.iterdir() if not path.name.startswith(".")]
    assert (run["kind"], run["state"], run["seen"]) == ("adhoc", "closed", len(names))


def test_a_cpu_worker_never_loads_tensorflow(running: Installation) -> None:
    """After classifying, no worker process has mapped TensorFlow or Keras, but OpenVINO."""
    running.json("classify", str(next(SAMPLES.glob("*_label_1.png"))), "--wait")
    workers = _worker_maps(running)
    assert len(workers) >= 5, "two parents, two children for images, one for scans"
    libraries = {line.split(None, 5)[-1] for maps in workers for line in maps.splitlines() if "/" in line}
    assert not [path for path in libraries if "-packages/tensorflow/" in path or "-packages/keras/" in path]
    assert [path for path in libraries if "/openvino/" in path]


def test_only_json_is_accepted(running: Installation) -> None:
    """A pickled message is refused without being unpickled, and the worker continues."""
    bomb = running.settings.home / "unpickled"
    payload = pickle.dumps(((str(bomb),), {}, {"callbacks": None}))
    app = make_app(running.settings)
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        message = {
            "body": base64.b64encode(payload).decode(),
            "content-type": "application/x-python-serialize",
            "content-encoding": "binary",
            "headers": {"task": "workers.tasks.sweep", "id": str(uuid.uuid4()), "lang": "py"},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
                "delivery_info": {"exchange": "", "routing_key": "control"},
            },
        }
        channel.client.lpush("control", json.dumps(message))
    log = running.settings.home / "logs" / "worker-control.log"
    _until(lambda: "Refusing to deserialize" in log.read_text(encoding="utf-8"))
    assert running.json("scan", "--wait")["state"] == "closed"


def test_status_shows_workers_and_queues(running: Installation) -> None:
    """`status` names the workers that reply and the length of every queue."""
    status = running.json("status")
    assert {name.split("@")[0] for name in status["workers"]} == {"control", "cpu"}
    assert set(status["queues"]) == {"control", "interactive", "bulk"}


def test_flower_shows_the_tasks_of_a_run(running: Installation) -> None:
    """The real Flower lists the tasks of a run by name, and requires its password."""
    port = free_port()
    environment = {
        **running.environment(),
        "RETURNS_FLOWER_PORT": str(port),
        "RETURNS_WEB_PORT": str(free_port()),
        "RETURNS_FLOWER_PASSWORD": "correct horse",
    }
    url = f"http://127.0.0.1:{port}/api/tasks"
    command = [sys.executable, "-m", "returns_pipeline.cli", "flower"]
    flower = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _status_of(url) == 401, seconds=240)
        write_images(running.settings.incoming_dir, 3)
        assert running.json("scan", "--wait")["classified"] == 3

        def names() -> set[str]:
            request = urllib.request.Request(url)
            token = base64.b64encode(b"admin:correct horse").decode()
            request.add_header("Authorization", f"Basic {token}")
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return {task["name"] for task in json.load(answer).values()}

        wanted = {f"workers.tasks.{name}" for name in ("scan_incoming", "classify_chunk", "close_run")}
        _until(lambda: wanted <= names())
        arguments = Path(f"/proc/{flower.pid}/cmdline").read_bytes()
        assert b"correct horse" not in arguments
    finally:
        flower.terminate()
        flower.wait(60)


def test_both_worker_commands_are_the_same(sqlite_home: Installation) -> None:
    """`returns-pipeline worker` becomes `celery -A workers.app worker`, without the queue of retrainings."""
    with Processes(sqlite_home.settings) as processes:
        processes.start_redis()
        worker = subprocess.Popen(
            [sys.executable, "-m", "returns_pipeline.cli", "worker", "--pool", "solo", "-n", "same@%h"],
            env=sqlite_home.environment(),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            cmdline = Path(f"/proc/{worker.pid}/cmdline")
            _until(lambda: b"celery" in cmdline.read_bytes())
            arguments = cmdline.read_bytes().rstrip(b"\0").split(b"\0")[1:]
            expected = ["-m", "celery", "-A", "workers.app", "worker", "--pool", "solo", "-n", "same@%h"]
            expected += ["-X", "train"]
            assert [argument.decode() for argument in arguments] == expected
        finally:
            worker.terminate()
            worker.wait(90)


@pytest.mark.slow
def test_beat_starts_the_night(sqlite_home: Installation) -> None:
    """With a real beat, a real worker and a schedule in the next minutes, a run opens and closes."""
    zone = ZoneInfo("Europe/Berlin")
    # The next full minute that leaves beat enough time to start.
    due = (datetime.now(zone) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    if due - datetime.now(zone) < timedelta(seconds=20):
        due += timedelta(minutes=1)
    settings = sqlite_home.settings.model_copy(
        update={"scan_hour": due.hour, "scan_minute": due.minute, "timezone": zone.key}
    )
    write_images(settings.incoming_dir, 25)
    came_in = digests(settings.incoming_dir)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        processes.start("beat", "beat")
        _until(lambda: bool(runs.latest(sqlite_home.database, 1)), seconds=300)
        (run,) = runs.latest(sqlite_home.database, 2)
        _until(lambda: _state(sqlite_home, run.id) is RunState.CLOSED)
        processes.check()
    assert run.opened_at.astimezone(zone).replace(second=0, microsecond=0) == due
    assert_promise_kept(sqlite_home, run.id, came_in)


def test_up_restarts_workers_and_leaves_no_process(sqlite_home: Installation) -> None:
    """`up` restarts killed workers, and all processes end with it, even if `up` itself is killed.

    The address that it prints logs the browser in with the token, whose place it names.
    """
    environment = sqlite_home.environment()
    parent = subprocess.Popen(
        [sys.executable, "-m", "returns_pipeline.cli", "up"],
        env={**environment, "RETURNS_FLOWER_PORT": str(free_port()), "RETURNS_WEB_PORT": str(free_port())},
        stdout=subprocess.PIPE,
        text=True,
        cwd=sqlite_home.settings.home,
    )
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline().startswith("Intake")
        line = parent.stdout.readline()
        while not line.startswith("Web"):
            assert line.startswith(("Model", " "))
            line = parent.stdout.readline()
        # Not to a terminal: a log must not hold the token.
        word, address, *hint = line.split()
        token = (sqlite_home.settings.home / "web-token").read_text(encoding="ascii")
        assert (word, hint[-1]) == ("Web", f"{sqlite_home.settings.home}/web-token)")
        assert token not in address
        _until(lambda: _status_of(address) is not None)
        assert b"Tonight" in requests.get(f"{address}?token={token}", timeout=60).content
        assert len(_processes_of(sqlite_home)) >= 6
        write_images(sqlite_home.settings.incoming_dir, 3)
        assert sqlite_home.json("scan", "--wait")["classified"] == 3
        for worker in _processes_of(sqlite_home):
            if b"workers.app\0worker" in Path(f"/proc/{worker}/cmdline").read_bytes():
                os.kill(worker, signal.SIGKILL)
        _until(lambda: len(sqlite_home.json("status")["workers"]) == 3)
        write_images(sqlite_home.settings.incoming_dir, 3)
        assert sqlite_home.json("scan", "--wait")["classified"] == 3
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        parent.stdout.close()
    _until(lambda: not _processes_of(sqlite_home), seconds=240)


def _processes_of(home: Installation) -> list[int]:
    """Return the processes with this home in their environment, except this one."""
    mark = f"RETURNS_HOME={home.settings.home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _worker_maps(home: Installation) -> list[str]:
    found = []
    for process in _processes_of(home):
        arguments = Path(f"/proc/{process}/cmdline").read_bytes()
        if b"workers.app" in arguments:
            found.append(Path(f"/proc/{process}/maps").read_text(encoding="utf-8"))
    return found


def _state(home: Installation, run_id: int) -> RunState | None:
    run = runs.find(home.database, run_id)
    return run.state if run else None


def _status_of(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a local http address
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def _until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.05)


def test_the_embedded_workers_serve_every_queue() -> None:
    """Every queue has a worker in the embedded installation."""
    served = {name for worker in (CONTROL_WORKER, CLASSIFY_WORKER) for name in worker[2].split(",")}
    assert served == {"control", "interactive", "bulk"}
