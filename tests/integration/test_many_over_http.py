"""A day's images in a few large requests: every label right and in its place, every image counted once."""

import base64
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.store import tables
from tests.web import Site, site

_REQUESTS, _IMAGES = 10, 1000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    """Give one running installation."""
    with site(tmp_path, api_seconds=120) as running:
        yield running


def grey(value: int) -> bytes:
    """Return a small PNG of one brightness."""
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_ten_thousand_images_in_ten_requests(here: Site) -> None:
    """Two clients at once: 10,000 right labels in order, 10,000 rows, 10,000 answers, 10,000 files."""
    greys = [grey(value) for value in range(256)]
    values = [(number * 37) % 256 for number in range(_REQUESTS * _IMAGES)]
    # Different bytes for every image, so that one that counts twice is seen.
    contents = [greys[value] + f" {number}".encode() for number, value in enumerate(values)]

    def send(part: int) -> list[int]:
        images = contents[part * _IMAGES : (part + 1) * _IMAGES]
        body = {"images": [base64.b64encode(content).decode() for content in images]}
        answer = here.ask("POST", "/process_batch", json=body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["predictions"])

    with ThreadPoolExecutor(2) as clients:
        found = [label for labels in clients.map(send, range(_REQUESTS)) for label in labels]
    assert found == [value * 4 // 256 for value in values]
    with here.home.database.read() as connection:
        states = Counter(connection.execute(sa.select(tables.images.c.state)).scalars())
        kinds = set(connection.execute(sa.select(tables.images.c.sha256)).scalars())
        answered = set(connection.execute(sa.select(tables.predictions.c.image_id)).scalars())
        answers = connection.execute(sa.select(sa.func.count()).select_from(tables.predictions)).scalar_one()
    assert states == {"classified": _REQUESTS * _IMAGES}
    assert len(kinds) == len(answered) == answers == _REQUESTS * _IMAGES
    files = [path for path in here.home.settings.archive_dir.rglob("*") if path.is_file()]
    assert len(files) == _REQUESTS * _IMAGES
    assert list(here.home.settings.spool_dir.iterdir()) == []
