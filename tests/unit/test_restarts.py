"""Child processes that end are started again for ever, with pauses that grow and decay."""

import fcntl
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from returns_pipeline.host import restarts
from returns_pipeline.host.child_processes import ChildProcesses
from returns_pipeline.host.notice import Notice, read_notice
from returns_pipeline.host.restarts import Restarts, reason_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic time that the restarts see, for the test to set."""
    now = [1000.0]
    monkeypatch.setattr("returns_pipeline.host.restarts.time.monotonic", lambda: now[0])
    return now


def test_pauses_grow_to_a_minute_and_decay_while_the_process_runs(clock: list[float]) -> None:
    """Each end doubles the pause up to a minute; after an hour of work the first pause is back."""
    found = Restarts()
    pauses = []
    for _ in range(12):
        found.started("web")
        pauses.append(found.ended("web", "ended"))
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (0.1, 0.2, 60)
    assert not found.is_due("web")
    clock[0] += 60
    assert found.is_due("web")
    found.started("web")
    clock[0] += 120
    assert found.ended("web", "ended") == 30, "60 s, halved twice and doubled"
    found.started("web")
    clock[0] += 3600
    assert found.ended("web", "ended") == 0.1


def test_an_end_that_repeats_is_reported_once_an_hour(clock: list[float]) -> None:
    """A process that ends for the same reason all day has less than 50 lines; a new reason has one."""
    found = Restarts()
    lines = 0
    while clock[0] < 1000 + 24 * 3600:
        found.started("web")
        clock[0] += found.ended("web", "ended with exit code 3")
        lines += found.is_news("web", "ended with exit code 3")
    assert 24 < lines < 50
    found.started("web")
    found.ended("web", "was ended by SIGKILL")
    assert found.is_news("web", "was ended by SIGKILL")


def test_signals_have_names() -> None:
    """A return code of `subprocess` is an exit code or a signal."""
    assert reason_of(3) == "ended with exit code 3"
    assert reason_of(-signal.SIGKILL) == "was ended by SIGKILL"
    assert reason_of(-signal.SIGRTMIN - 2) == f"was ended by signal {signal.SIGRTMIN + 2}"


def test_a_process_that_cannot_start_is_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The eighth end is followed by a start too; its line has reason, pause and sentence.

    A stop while it pauses does not wait for the pause.
    """
    monkeypatch.setattr(restarts, "_FIRST_PAUSE", 0.01)  # the eighth is 1.3 s
    (tmp_path / "starts").touch()
    program = (
        "from pathlib import Path; import sys; log = Path('starts').open('a'); log.write('x'); log.close();"
        "sys.exit('Error: The model is missing.\\nCopy it.')"
    )
    with ChildProcesses(tmp_path / "logs", {}) as processes:
        processes.start_command("worker", [sys.executable, "-c", program], tmp_path)
        lines: list[str] = []
        deadline = time.monotonic() + 60
        while len(lines) < 8:
            lines += processes.restart_ended()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len((tmp_path / "starts").read_text(encoding="utf-8")) == 8
        assert processes.pausing() == {"worker": "ended with exit code 1"}
        assert lines[0] == (
            "worker ended with exit code 1. It starts again in 0.0 s. Last line of its log: "
            "The model is missing. Copy it."
        )
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_the_doctor_believes_the_notice_of_a_running_up_alone(tmp_path: Path) -> None:
    """The notice names what pauses while `up` runs, and nothing after its end."""
    assert read_notice(tmp_path) is None
    notice = Notice(tmp_path)
    assert read_notice(tmp_path) == {}
    notice.write({"web": "ended with exit code 3", "flower": "was ended by SIGKILL"})
    assert read_notice(tmp_path) == {"web": "ended with exit code 3", "flower": "was ended by SIGKILL"}
    notice.write({"web": "ended with exit code 3"})
    assert read_notice(tmp_path) == {"web": "ended with exit code 3"}
    notice.close()
    assert read_notice(tmp_path) is None


def test_an_up_that_starts_while_the_doctor_reads_is_noticed(tmp_path: Path) -> None:
    """The doctor locks the notice for a moment; `up` waits for it. A second `up` changes nothing."""
    path = tmp_path / "up.json"
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (stream, fcntl.LOCK_UN)).start()
        first = Notice(tmp_path)
    first.write({"web": "ended with exit code 3"})
    second = Notice(tmp_path)
    second.write({})
    assert read_notice(tmp_path) == {"web": "ended with exit code 3"}
    first.close()
