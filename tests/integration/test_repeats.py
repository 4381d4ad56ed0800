"""Uploads that are repeated with their key have one set of rows, and the same results each time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from returns_pipeline.errors import PipelineError
from returns_pipeline.records.access import Role
from returns_pipeline.records.images import FoundFile
from returns_pipeline.records.jobs import JobKind, RequestKey
from returns_pipeline.records.tasks import Task
from returns_pipeline.records.uploads import AcceptedUpload
from returns_pipeline.store import access, jobs, tables, uploads
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.store.tables import request_keys
from returns_pipeline.usecases.uploads import (
    clean_up,
    discard,
    find_by_key,
    write_spool,
)
from tests.faults.night import until
from tests.support import Installation, sent, write_images
from tests.web import Site, batch_of, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a running installation on SQLite; other tests here compare the databases without processes."""
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


def rows(home: Installation) -> int:
    """Return how many images there are."""
    with home.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(tables.images)).scalar_one())


def send(
    here: Site, images: list[str], key: str, query: str = "", token: str | None = None
) -> requests.Response:
    """Send a batch with a key."""
    headers = {"Idempotency-Key": key}
    return here.ask("POST", f"/process_batch{query}", token, json={"images": images}, headers=headers)


def test_a_batch_that_is_sent_again_counts_once(here: Site) -> None:
    """The same key of the same person: the same results in the same order, also detailed, and no new rows."""
    images, right = batch_of(here, 300, 0)
    before = rows(here.home)
    first = send(here, images, "a")
    again = send(here, images, "a")
    detailed = send(here, images, "a", "?detail=1")
    assert first.json() == again.json() == {"predictions": right}
    assert (first.status_code, again.status_code, detailed.json()["predictions"]) == (200, 200, right)
    assert rows(here.home) == before + 300
    assert send(here, images, "b").json() == first.json()
    assert send(here, images, "a", token=here.token_for(Role.REVIEWER)).json() == first.json()
    assert rows(here.home) == before + 900
    # The files of the last chunk are moved after its results are stored.
    until(lambda: not list(here.home.settings.spool_dir.iterdir()))


def test_many_at_once_are_one(here: Site) -> None:
    """Of twelve concurrent requests with one key all get results, one has rows, and the spool is empty."""
    images, right = batch_of(here, 150, 1000)
    before = rows(here.home)
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: send(here, images, "many"), range(12)))
    assert [(each.status_code, each.json()) for each in answers] == [(200, {"predictions": right})] * 12
    assert rows(here.home) == before + 150
    # The files of the last chunk are moved after its results are stored.
    until(lambda: not list(here.home.settings.spool_dir.iterdir()))


def test_a_key_stands_for_its_images(here: Site) -> None:
    """The key with other images is a 409 and stores nothing; for another route it is another key."""
    images, right = batch_of(here, 2, 2000)
    assert send(here, images, "mine").status_code == 200
    before = rows(here.home)
    refused = send(here, images[::-1], "mine")
    assert (refused.status_code, refused.json()["advice"]) == (409, "Use a new key.")
    assert rows(here.home) == before
    photo = write_images(here.home.settings.home / "sent", 1, 2000)[0]
    found = []
    for _ in range(2):
        files = {"file": (photo.name, photo.read_bytes())}
        answer = here.ask("POST", "/predict", files=files, headers={"Idempotency-Key": "mine"})
        found.append(answer.json())
    assert found[0] == found[1]
    assert found[0]["predicted_subcategory_index"] == right[0]
    assert rows(here.home) == before + 1


def test_images_without_a_prediction_are_not_retried(here: Site) -> None:
    """An unreadable image in a repeated request has the reason of the first time, and no new row."""
    (good,), (right,) = batch_of(here, 1, 3000)
    images = [good, "AAAA", "%%"]
    before = rows(here.home)
    answers = [send(here, images, "bad", "?detail=1").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["predictions"] == [right, None, None]
    assert send(here, images[:2], "worse").status_code == 400
    assert send(here, images[:2], "worse").status_code == 400
    assert rows(here.home) == before + 4


def spooled(home: Installation, count: int) -> list[FoundFile]:
    """Return a request's files in the spool, as the web writes them."""
    paths = write_images(home.settings.home / "sent", count)
    return write_spool(home.in_process()[0], [(path.name, path.read_bytes()) for path in paths])


def labels(home: Installation, accepted: AcceptedUpload) -> list[int]:
    """Return the predicted label indices of a request in the order of its images."""
    found = uploads.outcomes(home.database, accepted.images)
    return [
        outcome.label_index for image in accepted.images if (outcome := found[image]).label_index is not None
    ]


def test_a_key_is_taken_once(home: Installation) -> None:
    """Of eight concurrent requests one has rows and messages; the others find its results."""
    context, queue = home.in_process()
    several = [spooled(home, 150) for _ in range(8)]
    right = [int(Path(file.path).stem.rpartition("_")[2]) for file in several[0]]
    key = RequestKey("ann's", "a digest")
    start = threading.Barrier(len(several))

    def attempt(files: list[FoundFile]) -> AcceptedUpload | None:
        start.wait()
        try:
            return sent(context, files, key)
        except KeyTakenError:
            discard(context, [file.path for file in files])
            return None

    with ThreadPoolExecutor(len(several)) as clients:
        taken = [each for each in clients.map(attempt, several) if each]
    assert len(taken) == 1
    assert rows(home) == 150
    assert sorted(queue.waiting(Task.CLASSIFY_CHUNK)) == sorted(taken[0].chunk_ids)
    queue.deliver(context)
    found = find_by_key(context, key)
    assert found is not None
    assert (found[0].images, found[1]) == (taken[0].images, True)
    assert labels(home, found[0]) == right
    assert list(home.settings.spool_dir.iterdir()) == []
    other = find_by_key(context, key._replace(sha256="another"))
    assert other is not None
    assert not other[1]
    assert find_by_key(context, key._replace(id="till's")) is None


def test_a_key_lasts_a_day(home: Installation) -> None:
    """The sweep deletes a key after a day, not earlier; then the same request counts again."""
    context, _ = home.in_process()
    key = RequestKey("ann's", "a digest")
    sent(context, spooled(home, 1), key)
    for hours, is_kept in ((0, True), (23, True), (25, False)):
        with home.database.write() as connection:
            connection.execute(sa.update(request_keys).values(created_at=utc_now() - timedelta(hours=hours)))
        clean_up(context, utc_now())
        assert (find_by_key(context, key) is not None) == is_kept
    sent(context, spooled(home, 1), key)
    with pytest.raises(KeyTakenError):
        sent(context, spooled(home, 1), key)
    assert rows(home) == 2


def test_names_and_jobs_are_added_once(home: Installation) -> None:
    """A user or token name can be used once; a job that is requested twice is new once."""
    database = home.database
    access.add_user(database, "ann", "hash", Role.VIEWER)
    access.add_token(database, "till", "digest", Role.VIEWER)
    with pytest.raises(PipelineError):
        access.add_user(database, "ann", "hash", Role.VIEWER)
    with pytest.raises(PipelineError):
        access.add_token(database, "till", "another", Role.VIEWER)
    assert [jobs.add(database, "job", JobKind.SCAN, None, "ann")[1] for _ in range(2)] == [True, False]
