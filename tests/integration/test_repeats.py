"""Requests with images that are sent again with their key: one set of rows, and every time its answers."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
import sqlalchemy as sa

from returns_pipeline import interactive
from returns_pipeline.errors import PipelineError
from returns_pipeline.store import access, jobs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.store.web_tables import request_keys
from returns_pipeline.web_records import JobKind, Role
from tests.support import write_images
from tests.web import Site, batch_of, site


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Site]:
    """Give one running installation, on each database."""
    with site(tmp_path_factory.mktemp("site"), database_url=database_url) as running:
        yield running


def rows(here: Site) -> int:
    """Return how many images there are."""
    with here.home.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(tables.images)).scalar_one())


def send(
    here: Site, images: list[str], key: str, query: str = "", token: str | None = None
) -> requests.Response:
    """Send a batch with a key."""
    headers = {"Idempotency-Key": key}
    return here.ask("POST", f"/process_batch{query}", token, json={"images": images}, headers=headers)


def test_a_batch_that_is_sent_again_counts_once(here: Site) -> None:
    """The same key of the same person: the same answers in the same order, with details too, no new row."""
    images, right = batch_of(here, 300, 0)
    before = rows(here)
    first = send(here, images, "a")
    again = send(here, images, "a")
    detailed = send(here, images, "a", "?detail=1")
    assert first.json() == again.json() == {"predictions": right}
    assert (first.status_code, again.status_code, detailed.json()["predictions"]) == (200, 200, right)
    assert rows(here) == before + 300
    assert send(here, images, "b").json() == first.json()
    assert send(here, images, "a", token=here.token_for(Role.REVIEWER)).json() == first.json()
    assert rows(here) == before + 900
    assert list(here.home.settings.spool_dir.iterdir()) == []


def test_many_at_once_are_one(here: Site) -> None:
    """Twelve that come at the same moment: all are answered, one is counted, nothing stays in the spool."""
    images, right = batch_of(here, 150, 1000)
    before = rows(here)
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: send(here, images, "many"), range(12)))
    assert [(each.status_code, each.json()) for each in answers] == [(200, {"predictions": right})] * 12
    assert rows(here) == before + 150
    assert list(here.home.settings.spool_dir.iterdir()) == []


def test_a_key_stands_for_its_images(here: Site) -> None:
    """With other images it is 409 and nothing is kept; for another kind of request it is another key."""
    images, right = batch_of(here, 2, 2000)
    assert send(here, images, "mine").status_code == 200
    before = rows(here)
    refused = send(here, images[::-1], "mine")
    assert (refused.status_code, refused.json()["advice"]) == (409, "Use a new key.")
    assert rows(here) == before
    photo = write_images(here.home.settings.home / "sent", 1, 2000)[0]
    found = []
    for _ in range(2):
        files = {"file": (photo.name, photo.read_bytes())}
        answer = here.ask("POST", "/predict", files=files, headers={"Idempotency-Key": "mine"})
        found.append(answer.json())
    assert found[0] == found[1]
    assert found[0]["predicted_subcategory_index"] == right[0]
    assert rows(here) == before + 1


def test_images_without_an_answer_are_the_same_again(here: Site) -> None:
    """What cannot be read is not tried twice: the reason is that of the first time."""
    (good,), (right,) = batch_of(here, 1, 3000)
    images = [good, "AAAA", "%%"]
    before = rows(here)
    answers = [send(here, images, "bad", "?detail=1").json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["predictions"] == [right, None, None]
    assert send(here, images[:2], "worse").status_code == 400
    assert send(here, images[:2], "worse").status_code == 400
    assert rows(here) == before + 4


def test_a_key_lasts_a_day(here: Site) -> None:
    """The sweep forgets it, and the same request counts again: not before."""
    images, right = batch_of(here, 1, 4000)
    pipeline, _ = here.home.inline()
    before = rows(here)
    for hours, expected in ((0, 1), (23, 1), (25, 2)):
        with here.home.database.write() as connection:
            connection.execute(sa.update(request_keys).values(created_at=utc_now() - timedelta(hours=hours)))
        interactive.tidy(pipeline, utc_now())
        assert send(here, images, "old").json() == {"predictions": right}
        assert rows(here) == before + expected


def test_what_is_there_already_is_not_new(here: Site) -> None:
    """A user's or a token's name is given once; a job that is asked for twice is new once."""
    database = here.home.database
    access.add_user(database, "ann", "hash", Role.VIEWER)
    access.add_token(database, "till", "digest", Role.VIEWER)
    with pytest.raises(PipelineError):
        access.add_user(database, "ann", "hash", Role.VIEWER)
    with pytest.raises(PipelineError):
        access.add_token(database, "till", "another", Role.VIEWER)
    assert [jobs.add(database, "job", JobKind.SCAN, None, "ann")[1] for _ in range(2)] == [True, False]


def test_the_description_knows_the_header(here: Site) -> None:
    """Both requests name it, so that generated clients can send it."""
    paths = here.ask("GET", "/openapi.json").json()["paths"]
    for path in ("/process_batch", "/predict"):
        named = {each["name"]: each["in"] for each in paths[path]["post"]["parameters"]}
        assert named["Idempotency-Key"] == "header"
