"""A user's mistake ends with one sentence, advice and a non-zero exit code, and loses nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from returns_pipeline.host.embedded import Processes
from returns_pipeline.settings import embedded_socket
from returns_pipeline.store import runs
from tests.support import Installation, digests, write_images


def _assert_refused(done: subprocess.CompletedProcess[str], *parts: str, code: int = 3) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_wrong_setting_is_named_with_its_value(sqlite_home: Installation) -> None:
    """All wrong settings are named together, with their values and the allowed values."""
    done = sqlite_home.run("runs", "list", RETURNS_CHUNK_SIZE="many", RETURNS_SCAN_HOUR="25")
    _assert_refused(done, "RETURNS_CHUNK_SIZE='many'", "valid integer", "RETURNS_SCAN_HOUR='25'", "23")


def test_a_database_without_tables_names_the_command(sqlite_home: Installation) -> None:
    """A command that needs the tables names the command that creates them."""
    sqlite_home.database.downgrade("base")
    _assert_refused(sqlite_home.run("runs", "list"), "`returns-pipeline db upgrade`")


def test_an_unreachable_database_is_named_without_its_password(sqlite_home: Installation) -> None:
    """The message shows the address, but not the password."""
    url = "postgresql://clerk:secret@127.0.0.1:9/returns"
    done = sqlite_home.run("runs", "list", RETURNS_DATABASE_URL=url)
    _assert_refused(done, "127.0.0.1:9", "RETURNS_DATABASE_URL")
    assert "secret" not in done.stderr


def test_an_unreachable_broker_moves_nothing(sqlite_home: Installation) -> None:
    """A scan that cannot be sent advises how to start a broker; photos stay and no run is opened."""
    write_images(sqlite_home.settings.incoming_dir, 2)
    before = digests(sqlite_home.settings.incoming_dir)
    for arguments in (["scan", "--wait"], ["scan"], ["beat"], ["flower"], ["retry"]):
        done = sqlite_home.run(*arguments)
        _assert_refused(done, "broker does not answer", "`returns-pipeline up`", "RETURNS_BROKER_URL", code=1)
    status = sqlite_home.run("status")
    assert (status.returncode, status.stderr) == (1, "")
    assert "broker does not answer" in status.stdout
    assert "No run is open." in status.stdout
    assert digests(sqlite_home.settings.incoming_dir) == before
    assert runs.latest(sqlite_home.database, 1) == []


def test_a_worker_does_not_start_without_what_it_needs(sqlite_home: Installation) -> None:
    """Without model, database or broker a worker ends before it takes a task, whichever command starts it."""
    project_command = [sys.executable, "-m", "returns_pipeline.cli", "worker", "--pool", "solo"]
    celery_command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--pool", "solo"]
    wrong = {
        "no model 'nothing'": {"RETURNS_MODEL": "nothing"},
        "does not exist": {"RETURNS_DATABASE_URL": f"sqlite:///{sqlite_home.settings.home}/none.sqlite3"},
        "broker does not answer": {},
    }
    for (part, environment), command in zip(
        wrong.items(), [project_command, celery_command, project_command], strict=True
    ):
        done = subprocess.run(
            command,
            env={**sqlite_home.environment(), **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        _assert_refused(done, part)


def test_faults_of_a_worker_reach_the_waiting_command(sqlite_home: Installation) -> None:
    """If a worker finds no intake folder or model, `scan --wait` ends with the worker's sentence."""
    settings = sqlite_home.settings
    write_images(settings.incoming_dir, 2)
    with Processes(settings) as processes:
        processes.start_redis()
        alone = sqlite_home.run("scan", "--wait")
        _assert_refused(alone, "No worker answers", "returns-pipeline worker", code=1)
        processes.start_workers()
        _assert_refused(
            sqlite_home.run("scan", "--dir", "/nowhere", "--wait"), "/nowhere does not exist", "Create it"
        )
        shutil.move(settings.models_dir / "stub", settings.models_dir / "hidden")
        _assert_refused(sqlite_home.run("scan", "--wait"), "no model bundle in", "RETURNS_MODEL")
        # The request that was sent before a worker started has been served meanwhile, so it is not lost.
        assert len(runs.latest(sqlite_home.database, 5)) == 1
        shutil.move(settings.models_dir / "hidden", settings.models_dir / "stub")
        _assert_refused(
            sqlite_home.run("up", RETURNS_FLOWER_PORT="15999", RETURNS_WEB_PORT="15998"), "runs already"
        )
    assert not embedded_socket(settings.home).exists()


def test_names_that_do_not_exist_are_refused_before_anything_is_sent(sqlite_home: Installation) -> None:
    """An unknown file, run or state is named, and no request is sent."""
    _assert_refused(sqlite_home.run("classify", "gone.png"), "gone.png does not exist", code=2)
    _assert_refused(sqlite_home.run("runs", "show", "7"), "no run 7", "runs list")
    _assert_refused(sqlite_home.run("images", "list", "--run", "7"), "no run 7")
    _assert_refused(sqlite_home.run("images", "list", "--run", "7", "--state", "lost"), "lost", code=2)
    assert sqlite_home.run("scan", "--no-such-option").returncode == 2


def test_doctor_reports_every_fault_with_advice(sqlite_home: Installation) -> None:
    """Every check runs though others fail; each fault has advice, and the exit code is 3."""
    (sqlite_home.settings.models_dir / "stub" / "1" / "bundle.json").write_text("{")
    sqlite_home.settings.incoming_dir.rmdir()
    done = sqlite_home.run("doctor", "--json")
    assert done.returncode == 3
    found = {check["name"]: check for check in json.loads(done.stdout)}
    wrong = {name for name, check in found.items() if not check["ok"]}
    assert wrong == {"broker", "workers", "model", "intake"}
    assert all(found[name]["advice"] for name in wrong)
    assert {"database", "folders", "disk", "clock"} <= set(found)


def test_the_log_line_of_a_chunk_is_one_json_object(sqlite_home: Installation) -> None:
    """In the JSON format each line is an object, and a chunk's lines contain its run and its id."""
    settings = sqlite_home.settings.model_copy(update={"log_format": "json"})
    write_images(settings.incoming_dir, 2)
    with Processes(settings) as processes:
        processes.start_redis()
        processes.start_workers()
        assert sqlite_home.json("scan", "--wait")["classified"] == 2
    lines = (settings.home / "logs" / "worker-cpu.log").read_text(encoding="utf-8").splitlines()
    (done,) = [json.loads(line) for line in lines if '"chunk_done"' in line]
    assert (done["run"], done["chunk"], done["images"]) == (1, 1, 2)
    assert {f"{stage}_ms" for stage in ("read", "decode", "predict", "store", "archive")} <= set(done)


def test_the_python_shell_gets_the_sentence_too(sqlite_home: Installation, tmp_path: Path) -> None:
    """Importing the tasks with a wrong setting raises ConfigFault with the same sentence."""
    done = subprocess.run(
        [sys.executable, "-c", "from workers.tasks import scan_incoming"],
        env={**sqlite_home.environment(), "RETURNS_TIMEZONE": "Mars/Base"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "ConfigFault" in done.stderr
    assert "Europe/Berlin" in done.stderr
