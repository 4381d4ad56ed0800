"""Requests that are stored together: what they share, and what they do not."""

import base64
import io
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.broker.celery_queue import open_queue
from returns_pipeline.errors import TransientFault
from returns_pipeline.records.chunks import ChunkState
from returns_pipeline.records.images import FoundFile, ImageState
from returns_pipeline.records.jobs import RequestKey
from returns_pipeline.records.tasks import Task
from returns_pipeline.records.uploads import AcceptedUpload, Upload
from returns_pipeline.store import tables, uploads
from returns_pipeline.store.request_keys import KeyTakenError
from returns_pipeline.usecases.upload_days import UploadDays
from returns_pipeline.usecases.uploads import accept, discard, find_by_key, send, write_spool
from returns_pipeline.web.errors import BusyError
from returns_pipeline.web.queries.pace import Pace
from tests.faults.misbehaving import DEADLY, HANGING
from tests.faults.night import until
from tests.support import Installation, write_images
from tests.web import Site, batch_of, site

#: Seconds that the model takes for an image, and that a request may wait.
SLOW, API_SECONDS = 0.04, 10.0


def spooled(home: Installation, count: int, start: int) -> list[FoundFile]:
    """Return a request's files in the spool."""
    paths = write_images(home.settings.home / "sent", count, start)
    return write_spool(home.in_process()[0], [(path.name, path.read_bytes()) for path in paths])


def right(files: list[FoundFile]) -> list[int]:
    """Return the label index that is in the name of each file."""
    return [int(Path(file.path).stem.rpartition("_")[2]) for file in files]


def test_requests_share_a_transaction_and_a_message_but_no_fault(home: Installation) -> None:
    """A key that is taken twice and a file that is gone are faults of their own requests only."""
    context, queue = home.in_process()
    several = [spooled(home, count, 10 * count) for count in (3, 1, 2, 4, 1)]
    keys = [RequestKey("one", "a"), RequestKey("two", "b"), RequestKey("one", "a")]
    discard(context, [several[3][1].path])
    found = accept(
        context,
        [
            Upload(several[0], keys[0]),
            Upload(several[1], keys[1], "RMA-1"),
            Upload(several[2], keys[2]),
            Upload(several[3]),
            Upload(several[4], None, "RMA-1"),
        ],
        UploadDays(),
    )
    accepted = {at: one for at, one in enumerate(found) if isinstance(one, AcceptedUpload)}
    assert set(accepted) == {0, 1, 4}
    assert isinstance(found[2], KeyTakenError)
    assert isinstance(found[3], TransientFault)
    assert len({one.chunk_ids for one in accepted.values()}) == 1
    send(context, accepted.values())
    assert len(queue.waiting(Task.CLASSIFY_CHUNK)) == 1
    queue.deliver(context)
    for at, one in accepted.items():
        outcomes = uploads.outcomes(home.database, one.images)
        assert [outcomes[image].label_index for image in one.images] == right(several[at])
    for at in (0, 1):
        before = find_by_key(context, keys[at])
        assert before is not None
        assert before[0].images == accepted[at].images
    returned = sa.select(tables.images.c.id).where(tables.images.c.return_id.is_not(None))
    with home.database.read() as connection:
        assert set(connection.execute(returned).scalars()) == {*accepted[1].images, *accepted[4].images}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give an installation with a slow model that a white image kills."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAULT_SECONDS", str(SLOW))
        with site(tmp_path_factory.mktemp("site"), with_workers=False, api_seconds=API_SECONDS) as running:
            running.processes.start_redis()
            running.processes.start_workers("tests.faults.misbehaving")
            yield running


def ask(here: Site, image: str, tries: int = 1) -> requests.Response:
    """Have one image classified; try again with the same key if it takes too long."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(tries):
        answer = here.ask("POST", "/process_batch", json={"images": [image]}, headers=headers)
        if answer.status_code != 503:
            break
    return answer


def test_overload_is_refused_and_what_is_accepted_is_answered(here: Site) -> None:
    """Requests beyond the time limit get 503 with Retry-After fast, all others their predictions."""
    both = zip(*batch_of(here, 640, 1000), strict=True)
    # None that kills its worker, or hangs it.
    harmless = [pair for at, pair in enumerate(both, 1000) if at * 37 % 256 < HANGING][:600]
    images, right = [image for image, _ in harmless], [label for _, label in harmless]
    for image in images[:4]:
        assert ask(here, image).ok

    def timed(at: int) -> tuple[requests.Response, float]:
        began = time.monotonic()
        answer = here.ask("POST", "/process_batch", json={"images": images[at : at + 10]})
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(60) as clients:
        answers = list(clients.map(timed, range(0, 600, 10)))
    refused = [(answer, seconds) for answer, seconds in answers if not answer.ok]
    assert 0 < len(refused) < len(answers)
    for answer, seconds in refused:
        assert answer.status_code == 503
        assert "More images wait" in answer.json()["error"]
        assert int(answer.headers["Retry-After"]) >= 1
        assert seconds < API_SECONDS / 2
    for at, (answer, _) in enumerate(answers):
        if answer.ok:
            assert answer.json()["predictions"] == right[10 * at : 10 * at + 10]
    assert ask(here, images[1]).ok


def states_of(here: Site, table: sa.Table) -> Counter[str]:
    """Count the rows of each state."""
    with here.home.database.read() as connection:
        return Counter(connection.execute(sa.select(table.c.state)).scalars())


def test_a_request_does_not_wait_for_a_chunk_of_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker for requests predicts while every other process holds a chunk."""
    monkeypatch.setenv("FAULT_SECONDS", "4")
    with site(tmp_path, with_workers=False, chunk_size=16, worker_processes=1) as night:
        night.processes.start_redis()
        night.processes.start_workers("tests.faults.misbehaving")
        night.processes.start_interactive()
        queue = open_queue(night.home.settings)
        until(lambda: len(queue.workers(timeout=0.5)) == 3)
        write_images(night.home.settings.incoming_dir, 32, 0)
        assert night.ask("POST", "/api/v1/scans").ok
        until(lambda: states_of(night, tables.chunks)[ChunkState.LEASED] == 1)
        images, right = batch_of(night, 1, 1000)
        assert ask(night, images[0], tries=5).json()["predictions"] == right
        assert states_of(night, tables.images)[ImageState.CLASSIFIED] == 1
        night.kill("worker-cpu")


def test_an_image_that_kills_its_worker_is_the_fault_of_its_own_request(here: Site) -> None:
    """Requests in the same chunk get their predictions; only the deadly image is quarantined."""
    white = io.BytesIO()
    Image.fromarray(np.full((8, 8), DEADLY, np.uint8)).save(white, "PNG")
    images, right = batch_of(here, 16, 0)
    images.insert(5, base64.b64encode(white.getvalue()).decode())
    with ThreadPoolExecutor(len(images)) as clients:
        answers = list(clients.map(lambda image: ask(here, image, 3), images))
    deadly = answers.pop(5)
    assert [(each.status_code, each.json()) for each in answers] == [
        (200, {"predictions": [label]}) for label in right
    ]
    assert deadly.status_code in {400, 503}
    quarantined = sa.select(sa.func.count()).where(tables.images.c.state == ImageState.QUARANTINED)

    def count() -> int:
        with here.home.database.read() as connection:
            return int(connection.execute(quarantined).scalar_one())

    until(lambda: count() == 1, 30, "the deadly image is quarantined")


def test_a_request_has_room_while_the_chunks_before_it_leave_time() -> None:
    """The pace follows the time from chunk to chunk; without open chunks there is always room."""
    now = [0.0]
    pace = Pace(10, lambda: now[0])
    pace.begin(range(9), 8)
    pace.require_room(10**9)
    for second, chunk in zip((4.0, 5.0, 6.0, 10.5, 11.5), (8, 0, 1, 2, 3), strict=True):
        now[0] = second
        pace.end([chunk])
    # Four chunks are open, and one takes a second: the first and the longest time are exceptions.
    pace.require_room(8)
    with pytest.raises(BusyError) as refused:
        pace.require_room(8, waiting=8)
    assert refused.value.retry_after == 1
    pace.end(range(8))
    pace.require_room(10**9)
