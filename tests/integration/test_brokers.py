"""Every process with a Redis that only accepts TLS, and with Sentinels; how a Redis that refuses is named."""

import json
import shutil
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from returns_pipeline.broker.celery_queue import CeleryQueue, open_queue
from returns_pipeline.errors import BrokerRefusesFault, TransientFault
from returns_pipeline.host.embedded import Processes
from returns_pipeline.records.tasks import CONTROL, Task
from returns_pipeline.settings import load_settings
from returns_pipeline.store.database import Database
from tests.brokers import PASSWORD, QUOTED, Certificates, Server, redis_server, sentinels
from tests.databases import write_migrated_sqlite
from tests.faults.night import until
from tests.support import Installation, digests, write_images, write_stub_bundle
from tests.web import free_port


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Give an authority and a certificate that it has signed."""
    return Certificates.write(tmp_path_factory.mktemp("certificates"))


@contextmanager
def installation(folder: Path, broker_url: str) -> Iterator[tuple[Installation, Processes]]:
    """Run workers, the web and Flower on a broker."""
    write_migrated_sqlite(folder / "home" / "returns.sqlite3")
    write_stub_bundle(folder / "models")
    settings = load_settings(
        home=folder / "home",
        models_dir=folder / "models",
        model="stub",
        runtime="stub",
        broker_url=broker_url,
        settle_seconds=0,
        resend_seconds=1,
        chunk_size=10,
        worker_processes=1,
        web_port=free_port(),
        flower_port=free_port(),
    )
    settings.incoming_dir.mkdir(parents=True)
    database = Database(settings.database_url)
    with Processes(settings) as processes:
        for name in ("web", "flower", "beat"):
            processes.start(name, name)
        processes.start_workers()
        yield Installation(settings, database), processes
        processes.check()
    database.close()


@pytest.mark.slow
def test_every_process_works_with_tls(tmp_path: Path, certificates: Certificates) -> None:
    """Workers, beat, commands, the web, Flower and plain Python reach a Redis that wants certificates."""
    with redis_server(tmp_path / "redis", certificates=certificates) as server:
        url = f"rediss://:{QUOTED}@127.0.0.1:{server.port}/0?{certificates.parameters}"
        with installation(tmp_path, url) as (home, processes):
            _assert_works(home, processes)
            _assert_task_from_plain_python(home, processes)


@pytest.mark.slow
def test_every_process_finds_the_master_again(tmp_path: Path, certificates: Certificates) -> None:
    """With Sentinels, TLS and passwords, every process works, also after the master was killed."""
    with sentinels(tmp_path / "redis", certificates) as group, installation(tmp_path, group.url) as running:
        _assert_a_wrong_url_is_named(group.url, tmp_path)
        _assert_works(*running)
        group.master.process.kill()
        _assert_works(*running)


def _assert_a_wrong_url_is_named(url: str, home: Path) -> None:
    """Assert that a wrong name of the master, or no password of the Sentinels, is one short sentence."""
    for part, other in (("master_name=returns", "master_name=other"), (f"sentinel_password={QUOTED}", "")):
        with pytest.raises(TransientFault, match="No Sentinel in RETURNS_BROKER_URL") as found:
            _queue(home, url.replace(part, other)).require_writable()
        assert "`master_name`, `sentinel_password`" in found.value.advice
        assert len(str(found.value)) < 250


def _assert_works(home: Installation, processes: Processes) -> None:
    settings = home.settings
    until(lambda: _is_ready(home), 60, "the web is ready")
    came_in = digests(settings.archive_dir)
    write_images(settings.incoming_dir, 30, start=came_in.total())
    run = home.json("scan", "--wait")
    assert (run["seen"], run["classified"], run["state"]) == (30, 30, "closed")
    assert len(digests(settings.archive_dir) - came_in) == 30
    found = {check["name"]: check for check in home.json("doctor")}
    assert found["broker"]["message"].startswith("takes messages")
    # Flower reads the queues with a client of its own, which takes none of Celery's connections.
    page = f"http://127.0.0.1:{settings.flower_port}/broker"
    until(lambda: "interactive" in _read(page), 60, "Flower shows the queues")
    processes.check()


def _assert_task_from_plain_python(home: Installation, processes: Processes) -> None:
    (photo,) = write_images(home.settings.home / "photos", 1)
    code = "from workers.tasks import classify_paths\n"
    code += f"print(classify_paths.delay([{str(photo)!r}]).get(timeout=60))"
    done = processes.start_command("python", [sys.executable, "-c", code], Path.cwd())
    assert done.wait(90) == 0
    processes.release("python")
    assert "run" in processes.log("python").read_text(encoding="utf-8")


def _is_ready(home: Installation) -> bool:
    try:
        found = json.loads(_read(f"http://127.0.0.1:{home.settings.web_port}/readyz"))
    except ValueError:
        return False
    return set(found.values()) == {"ok"}


def _read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a local http address
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a Redis without TLS."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def _queue(home: Path, url: str) -> CeleryQueue:
    return open_queue(load_settings(home=home, broker_url=url))


REFUSALS = {
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "`maxmemory`"),
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "RETURNS_BROKER_URL"),
    "NOREPLICAS": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        "`min-replicas-to-write`",
    ),
    "MASTERDOWN": (
        ("CONFIG", "SET", "replica-serve-stale-data", "no"),
        ("CONFIG", "SET", "replica-serve-stale-data", "yes"),
        "Start the master",
    ),
    "NOPERM": (("ACL", "SETUSER", "default", "-zadd"), ("ACL", "SETUSER", "default", "+zadd"), "ACL SETUSER"),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_redis_refuses_is_named(code: str, plain: Server, tmp_path: Path) -> None:
    """What a Redis refuses is named with its code and an advice; when it recovers, nothing is."""
    refuse, recover, advice = REFUSALS[code]
    queue = _queue(tmp_path, f"redis://:{QUOTED}@127.0.0.1:{plain.port}/0")
    queue.require_writable()
    if code == "MASTERDOWN":
        _execute(plain, "REPLICAOF", "127.0.0.1", "1")
    _execute(plain, *refuse)
    try:
        with pytest.raises(BrokerRefusesFault) as found:
            queue.require_writable()
        assert f"({code})" in found.value.message
        assert advice in found.value.advice
        assert str(plain.port) not in str(found.value)
    finally:
        _execute(plain, *recover)
        _execute(plain, "REPLICAOF", "NO", "ONE")
    queue.require_writable()


def _execute(server: Server, *words: str) -> None:
    client: Any = server.client
    client.execute_command(*words)


def test_a_sender_meets_faults_only(plain: Server, tmp_path: Path) -> None:
    """While Redis refuses and takes messages in turn, a message is sent or refused with a fault of ours."""
    queue = _queue(tmp_path, f"redis://:{QUOTED}@127.0.0.1:{plain.port}/0")
    outcomes: Counter[str] = Counter()
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            try:
                queue.send(Task.SWEEP)
            except Exception as error:
                outcomes[type(error).__name__] += 1
            else:
                outcomes["sent"] += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(40):
            _execute(plain, "REPLICAOF", "127.0.0.1", "1")
            time.sleep(0.03)
            _execute(plain, "REPLICAOF", "NO", "ONE")
            time.sleep(0.03)
    finally:
        ended.set()
        sender.join()
        _execute(plain, "REPLICAOF", "NO", "ONE")
        _execute(plain, "DEL", CONTROL)
    assert outcomes.keys() == {"sent", "BrokerRefusesFault"}, outcomes


def test_a_redis_that_cannot_save_is_named(tmp_path: Path) -> None:
    """After a save failed, Redis refuses writes (MISCONF); the fault says so."""
    with redis_server(tmp_path / "redis", "--save", "3600 1") as server:
        queue = _queue(tmp_path, f"redis://:{QUOTED}@127.0.0.1:{server.port}/0")
        queue.require_writable()
        shutil.rmtree(tmp_path / "redis")
        server.client.bgsave()
        until(partial(_refuses, queue, "(MISCONF)"), 20, "Redis refuses writes")


def _refuses(queue: CeleryQueue, code: str) -> bool:
    try:
        queue.require_writable()
    except BrokerRefusesFault as fault:
        return code in fault.message
    return False


def test_a_probe_leaves_nothing_behind(plain: Server, tmp_path: Path) -> None:
    """A check of the broker adds no key that stays."""
    queue = _queue(tmp_path, f"redis://:{QUOTED}@127.0.0.1:{plain.port}/0")
    before = set(plain.client.keys())
    queue.require_writable()
    assert set(plain.client.keys()) <= before | {b"_kombu.binding.deadlines"}


WRONG: dict[str, tuple[Callable[[str], str], str]] = {
    "no authority": (lambda url: url.partition("?")[0], "ssl_ca_certs"),
    "no client certificate": (lambda url: url.partition("&")[0], "ssl_certfile"),
    "no TLS": (lambda url: url.partition("?")[0].replace("rediss", "redis"), "rediss://"),
    "another name": (lambda url: url.replace("127.0.0.1", "localhost"), "names in the broker's certificate"),
    "another password": (lambda url: url.replace(QUOTED, "wrong"), "Correct the password"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_tls_is_said(wrong: str, tmp_path: Path, certificates: Certificates) -> None:
    """A certificate or a password that is refused gives advice that names the parameter, and no secret."""
    change, advice = WRONG[wrong]
    with redis_server(tmp_path / "redis", certificates=certificates) as server:
        url = f"rediss://:{QUOTED}@127.0.0.1:{server.port}/0?{certificates.parameters}"
        with pytest.raises(TransientFault) as found:
            _queue(tmp_path, change(url)).require_writable()
    assert advice in found.value.advice
    assert PASSWORD not in str(found.value)
