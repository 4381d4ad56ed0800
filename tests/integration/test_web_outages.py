"""The web while a part of the installation is down, and after that part is back."""

import hashlib
import json
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psutil
import pytest
import requests
import sqlalchemy as sa

from returns_pipeline.broker.app import make_app
from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.classify.runtimes.stub_runtime import StubClassifier
from returns_pipeline.records.access import Role
from returns_pipeline.records.jobs import JobKind
from returns_pipeline.store import access, jobs, tables
from returns_pipeline.usecases.context import Context
from returns_pipeline.usecases.sweep import sweep as send_open_work_again
from returns_pipeline.web.security.access import hash_password
from tests.databases import postgres_away, postgres_server
from tests.faults.night import until
from tests.support import digests, write_images
from tests.web import Site, batch_of, closed_run, site

#: Seconds that a request waits for workers in these tests.
API_SECONDS = 2.0
#: Seconds that a response may take beyond that on a slow machine.
GRACE = 20.0
PAGES = ("/", "/runs", "/runs/1", "/images/1", "/try", "/review", "/models")
FULL = "Redis is full and takes no messages (OOM)."
PASSWORD = "correct horse"  # noqa: S105 - of a home that lives as long as this test


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation with a closed run."""
    folder = tmp_path_factory.mktemp("site")
    with site(folder, api_seconds=API_SECONDS, resend_seconds=0.5, lease_seconds=3) as running:
        closed_run(running, 5)
        yield running


def assert_each_classified_once(here: Site, start: int, count: int) -> None:
    """Wait until every image of `batch_of` is classified; assert that none is lost or classified twice."""
    folder = here.home.settings.home / "sent"
    sent = Counter(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in write_images(folder, count, start)
    )
    archive = here.home.settings.archive_dir
    until(lambda: (digests(archive) & sent) == sent, what="every image that was sent is in the archive")
    images, predictions = tables.images, tables.predictions
    query = (
        sa.select(images.c.sha256, images.c.state, sa.func.count(predictions.c.image_id))
        .outerjoin(predictions, predictions.c.image_id == images.c.id)
        .group_by(images.c.id)
    )
    with here.home.database.read() as connection:
        rows = [tuple(row) for row in connection.execute(query) if row.sha256 in sent]
    assert Counter(rows) == Counter((digest, "classified", 1) for digest in sent)
    assert digests(archive) & sent == sent
    assert digests(here.home.settings.spool_dir) == Counter()


def assert_works(here: Site, start: int) -> None:
    """Assert that the site becomes ready and classifies new images."""
    until(here.is_ready, what="the site is ready")
    images, right = batch_of(here, 3, start)
    answer = here.ask("POST", "/process_batch", json={"images": images})
    assert (answer.status_code, answer.json()) == (200, {"predictions": right})


def count_predictions(here: Site) -> int:
    """Return the number of stored predictions."""
    with here.home.database.read() as connection:
        return int(
            connection.execute(sa.select(sa.func.count()).select_from(tables.predictions)).scalar_one()
        )


def sweep(here: Site) -> None:
    """Run the sweep, after the time from which messages count as lost."""
    settings = here.home.settings
    time.sleep(settings.resend_seconds)
    send_open_work_again(Context(settings, here.home.database, open_queue(settings), StubClassifier))


def timed(here: Site, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request and assert that its response comes in time."""
    began = time.monotonic()
    answer = here.ask(method, path, **options)
    assert time.monotonic() - began < API_SECONDS + GRACE, (method, path)
    return answer


class SomeJobs:
    """Ten jobs with lost messages and a cancelled one: their states without a broker, and after it is back.

    A response that waited for the broker once for each job would come too late.
    """

    def __init__(self, here: Site) -> None:
        """Add them."""
        self._here, database = here, here.home.database
        self.sent = [self._added() for _ in range(10)]
        for job_id in self.sent:
            jobs.mark_sent(database, job_id)
        self.cancelled = self._added()
        assert jobs.cancel(database, self.cancelled, "ann")

    def _added(self) -> str:
        job_id = f"job-{uuid.uuid4().hex}"
        jobs.add(self._here.home.database, job_id, JobKind.SCAN, None, "ann")
        return job_id

    def assert_states_without_a_broker(self, clients: ThreadPoolExecutor) -> None:
        """Request a new job, the states of all jobs, and a retry of the cancelled one, in parallel."""
        new = clients.submit(timed, self._here, "POST", "/api/v1/scans")
        refused = clients.submit(timed, self._here, "POST", f"/api/v1/jobs/{self.cancelled}/retry")
        one = clients.submit(timed, self._here, "GET", f"/api/v1/jobs/{self.sent[0]}")
        listed = clients.submit(timed, self._here, "GET", "/api/v1/jobs")
        assert (new.result().status_code, new.result().json()["state"]) == (202, "waiting")
        assert refused.result().status_code == 503, refused.result().text
        assert "The broker does not answer" in refused.result().json()["error"]
        assert one.result().json()["state"] == "waiting"
        states = {job["id"]: job["state"] for job in listed.result().json()}
        assert {states[job_id] for job_id in self.sent} == {"waiting"}
        assert states[self.cancelled] == "cancelled"
        self.sent.append(new.result().json()["id"])

    def assert_done(self) -> None:
        """Assert that the jobs that the sweep sent become done, and the cancelled one after a retry."""
        again = self._here.ask("POST", f"/api/v1/jobs/{self.cancelled}/retry")
        assert (again.status_code, again.json()["state"]) == (202, "waiting")
        for job_id in (*self.sent, self.cancelled):
            until(partial(self._is_done, job_id), 60, "the job is done")

    def _is_done(self, job_id: str) -> bool:
        return bool(self._here.ask("GET", f"/api/v1/jobs/{job_id}").json()["state"] == "done")


def test_without_workers_requests_end_in_time_and_no_image_is_lost(here: Site) -> None:
    """Every response says that no worker answers; workers that start later classify the stored images."""
    here.kill("worker-control", "worker-cpu")
    until(lambda: not here.is_ready())
    ready = here.ask("GET", "/readyz", token="")
    assert (ready.status_code, ready.json()["worker"]) == (503, "no worker that classifies images answers")
    assert (ready.json()["database"], ready.json()["broker"]) == ("ok", "ok")
    images, right = batch_of(here, 200, 1000)
    request = keyed(images, "sent before the workers start")
    began = time.monotonic()
    answer = here.ask("POST", "/process_batch", **request)
    assert time.monotonic() - began < API_SECONDS + GRACE
    assert answer.status_code == 503
    assert "No worker has answered within 2 s" in answer.json()["error"]
    assert "will be classified" in answer.json()["advice"]
    page = here.page("/")
    assert page.status_code == 200
    assert "The part that classifies photos does not reply" in page.text
    here.processes.start_workers()
    assert_works(here, 1200)
    # The same request with its key gets the predictions made meanwhile.
    assert here.ask("POST", "/process_batch", **request).json() == {"predictions": right}
    assert_each_classified_once(here, 1000, 203)


def killed_in_the_middle(here: Site, start: int, count: int) -> bool:
    """Send images of `batch_of`, stop the workers at the first predictions, then kill them.

    Return False if every image already had a prediction: then nothing was interrupted.
    """
    before = count_predictions(here)
    images, right = batch_of(here, count, start)
    parent = psutil.Process(here.processes.process("worker-cpu").pid)
    workers = [parent, *parent.children(recursive=True)]
    with ThreadPoolExecutor(1) as client:
        first = client.submit(here.ask, "POST", "/process_batch", **keyed(images, f"from {start}"))
        deadline = time.monotonic() + 60
        while count_predictions(here) == before:
            assert time.monotonic() < deadline, "no prediction is stored"
            time.sleep(0.002)
        for worker in workers:
            worker.suspend()
        if count_predictions(here) - before == count:
            for worker in workers:
                worker.resume()
            assert first.result().json() == {"predictions": right}
            return False
        here.kill("worker-cpu", "worker-control")
        assert 0 < count_predictions(here) - before < count
        assert first.result().status_code == 503
    return True


def keyed(images: list[str], key: str) -> dict[str, Any]:
    """Return the options of a batch that may be sent again."""
    return {"json": {"images": images}, "headers": {"Idempotency-Key": key}}


def test_a_killed_worker_loses_no_image(here: Site) -> None:
    """Workers are killed in the middle of a large request: other workers classify the rest."""
    count = 1000
    tries = (start for start in range(4000, 14_000, count) if killed_in_the_middle(here, start, count))
    start = next(tries, None)
    assert start is not None, "the workers were always finished before they could be killed"
    here.processes.start_workers()
    time.sleep(here.home.settings.lease_seconds)
    sweep(here)
    images, right = batch_of(here, count, start)
    request = keyed(images, f"from {start}")
    until(lambda: here.ask("POST", "/process_batch", **request).status_code == 200, what="an answer")
    assert here.ask("POST", "/process_batch", **request).json() == {"predictions": right}
    assert_each_classified_once(here, start, count)


def test_without_a_broker_pages_work_and_the_sweep_sends_stored_images(here: Site) -> None:
    """Pages work; a batch is refused but stored; once the broker is back, it is classified once."""
    some = SomeJobs(here)
    here.kill("redis")
    until(lambda: not here.is_ready())
    ready = here.ask("GET", "/readyz", token="")
    assert (ready.json()["database"], ready.json()["broker"]) == ("ok", "does not answer")
    assert here.ask("GET", "/healthz", token="").status_code == 200
    for path in PAGES:
        began = time.monotonic()
        assert here.page(path).status_code == 200, path
        assert time.monotonic() - began < GRACE, path
    assert "The broker does not answer" in here.page("/").text
    assert "returns_broker_up 0.0" in here.ask("GET", "/metrics").text
    images, _ = batch_of(here, 200, 2000)
    began = time.monotonic()
    answer = here.ask("POST", "/process_batch", json={"images": images})
    assert time.monotonic() - began < API_SECONDS + GRACE
    assert answer.status_code == 503
    assert "will be classified" in answer.json()["advice"]
    photo = write_images(here.home.settings.home / "sent", 1, 2200)[0]
    page = here.page("/try", "POST", files={"file": (photo.name, photo.read_bytes())})
    assert page.status_code == 503
    assert "will be classified" in page.text
    with ThreadPoolExecutor(4) as clients:
        some.assert_states_without_a_broker(clients)
    here.processes.start_redis()
    sweep(here)
    some.assert_done()
    assert_works(here, 2201)
    assert_each_classified_once(here, 2000, 204)


def test_a_full_broker_is_named_and_loses_no_image(here: Site) -> None:
    """The web, `status` and `doctor` name a Redis that refuses messages; it is no end for the workers."""
    workers = [here.processes.process(name) for name in ("worker-control", "worker-cpu")]
    images, _ = batch_of(here, 20, 2600)
    _limit_memory(here, 1)
    try:
        until(lambda: here.ask("GET", "/readyz", token="").json()["broker"] == FULL, 30, "it is named")
        until(lambda: FULL in here.page("/").text, 30, "the first page names it")
        for path in PAGES:
            assert here.page(path).status_code == 200, path
        answer = here.ask("POST", "/process_batch", json={"images": images})
        assert (answer.status_code, "will be classified" in answer.json()["advice"]) == (503, True)
        assert here.ask("POST", "/api/v1/scans").json()["state"] == "waiting"
        status = here.home.run("status", "--json")
        assert (status.returncode, json.loads(status.stdout)["broker"].startswith(FULL)) == (1, True)
        doctor = here.home.run("doctor", "--json")
        broker = next(check for check in json.loads(doctor.stdout) if check["name"] == "broker")
        assert (broker["ok"], broker["message"]) == (False, FULL)
        assert "`maxmemory`" in broker["advice"]
        scan = here.home.run("scan")
        assert (scan.returncode, scan.stderr.splitlines()[0]) == (1, f"Error: {FULL}")
    finally:
        _limit_memory(here, 0)
    assert_works(here, 2620)
    sweep(here)
    assert_each_classified_once(here, 2600, 23)
    assert [worker.poll() for worker in workers] == [None, None]


def _limit_memory(here: Site, most: int) -> None:
    with make_app(here.home.settings).connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.client.config_set("maxmemory", most)


def test_a_broker_that_hangs_delays_no_request_for_long(here: Site) -> None:
    """A broker that accepts connections and never replies counts as down within seconds."""
    redis = here.processes.process("redis")
    images, _ = batch_of(here, 3, 2500)
    some = SomeJobs(here)
    redis.send_signal(signal.SIGSTOP)
    try:
        # In parallel: each of them waits for the broker.
        with ThreadPoolExecutor(8) as clients:
            ready = clients.submit(until, lambda: not here.is_ready(), API_SECONDS + GRACE)
            page = clients.submit(timed, here, "GET", "/", headers={"Accept": "text/html"})
            batch = clients.submit(timed, here, "POST", "/process_batch", json={"images": images})
            some.assert_states_without_a_broker(clients)
            ready.result()
            assert page.result().status_code == 200
            assert batch.result().status_code == 503
            assert "will be classified" in batch.result().json()["advice"]
    finally:
        redis.send_signal(signal.SIGCONT)
    assert_works(here, 2503)
    sweep(here)
    some.assert_done()
    assert_each_classified_once(here, 2500, 6)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give an installation on its own PostgreSQL, with a password in the address."""
    with postgres_server() as server:
        url = sa.make_url(server).set(password="hush-hush")  # noqa: S106 - the test server does not check it
        address = url.render_as_string(hide_password=False)
        with site(tmp_path_factory.mktemp("site"), database_url=address, api_seconds=10) as running:
            closed_run(running, 5)
            yield running


def test_without_a_database_every_response_says_so_and_nothing_more(on_postgres: Site) -> None:
    """JSON for programs, pages for people: each 503 with a sentence; no path, password or traceback."""
    here, settings = on_postgres, on_postgres.home.settings
    token = here.token_for(Role.REVIEWER)
    access.add_user(here.home.database, "ann", hash_password(PASSWORD), Role.OPERATOR)
    form = {"name": "ann", "password": PASSWORD, "next": "/"}
    cookie = here.ask("POST", "/login", token="", data=form, allow_redirects=False).cookies
    assert here.ask("GET", "/", token="", cookies=cookie).status_code == 200
    images, right = batch_of(here, 3, 3000)
    here.home.database.close()
    with postgres_away(settings.database_url):
        until(lambda: not here.is_ready())
        ready = here.ask("GET", "/readyz", token="")
        assert ready.json()["database"].startswith("does not answer")
        metrics = here.ask("GET", "/metrics", token="").text
        assert "returns_database_up 0.0" in metrics
        assert "returns_broker_up 1.0" in metrics
        assert here.ask("GET", "/healthz", token="").status_code == 200
        machines = [here.ask("GET", f"/api/v1/{path}") for path in ("runs", "runs/1", "images", "models")]
        machines += [here.ask("GET", path) for path in ("/api/v1/jobs", "/api/v1/runs/1/export")]
        machines += [
            here.ask("POST", "/process_batch", json={"images": images}),
            here.ask("POST", "/process_batch", token=token, json={"images": images}),
            here.ask("POST", "/predict", files={"file": ("a.png", b"x")}),
            here.ask("POST", "/api/v1/scans"),
            here.ask("POST", "/api/v1/reviews/next"),
        ]
        for answer in machines:
            assert (answer.status_code, set(answer.json())) == (503, {"error", "advice"}), answer.url
            assert "database" in answer.json()["error"]
        people = [here.page(path) for path in PAGES if path != "/try"]
        people += [here.ask("GET", "/", token="", cookies=cookie, headers={"Accept": "text/html"})]
        people += [here.page("/try", "POST", files={"file": ("a.png", b"x")})]
        people += [here.page("/login", "POST", token="", data=form)]
        for answer in people:
            assert answer.status_code == 503, (answer.url, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
            assert "database" in answer.text
            assert "does not answer" in answer.text
        host = str(sa.make_url(settings.database_url).query["host"])
        for answer in (ready, *machines, *people):
            assert not re.search("Traceback|hush-hush|psycopg", answer.text), answer.text
            assert host not in answer.text
            assert str(settings.home) not in answer.text
    assert_works(here, 3000)
    assert here.ask("GET", "/", token="", cookies=cookie).status_code == 200
    assert here.ask("POST", "/process_batch", token=token, json={"images": images}).json() == {
        "predictions": right
    }
