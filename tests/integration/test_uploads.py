"""Many images and damaged ones over HTTP: each has one result, and none ends a worker."""

import base64
import hashlib
import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.store import tables
from tests.faults.mutate import make_file, seed_images
from tests.support import digests
from tests.web import Site, site

_REQUESTS, _IMAGES = 10, 1000
#: Files damaged at random, always the same ones.
_MUTATED = 60
_NAMES = (
    *("../../etc/passwd", "C:\\photos\\shoe.png", ".hidden", "größe 44.jpg", "鞋.png", "a;b&c=d.png"),
    *("<script>alert(1)</script>.png", "x" * 250 + ".jpg", "..", "photo.part", "percent%00%2e.png"),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation."""
    with site(tmp_path_factory.mktemp("site"), api_seconds=120) as running:
        yield running


@dataclass(frozen=True)
class Stored:
    """What a site has stored: files by content, images by state, and the number of predictions."""

    archived: Counter[str]
    set_aside: Counter[str]
    states: Counter[str]
    predictions: int

    def since(self, before: "Stored") -> "Stored":
        """Return what was added since."""
        return Stored(
            self.archived - before.archived,
            self.set_aside - before.set_aside,
            self.states - before.states,
            self.predictions - before.predictions,
        )


def stored(here: Site) -> Stored:
    """Return what the site has stored; each file lies in the folder of its state."""
    settings, columns = here.home.settings, tables.images.c
    assert digests(settings.spool_dir) == Counter()
    with here.home.database.read() as connection:
        rows = connection.execute(sa.select(columns.state, columns.archived_path)).all()
        answered = Counter(connection.execute(sa.select(tables.predictions.c.image_id)).scalars())
    folders = {"classified": settings.archive_dir, "quarantined": settings.quarantine_dir}
    for row in rows:
        assert Path(row.archived_path).is_relative_to(folders[row.state])
    assert set(answered.values()) <= {1}
    return Stored(
        digests(settings.archive_dir),
        digests(settings.quarantine_dir),
        Counter(row.state for row in rows),
        len(answered),
    )


def grey(value: int) -> bytes:
    """Return a small PNG of one brightness."""
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_ten_thousand_images_in_ten_requests(here: Site) -> None:
    """From two parallel clients: 10,000 right labels in order, and as many rows, predictions and files."""
    before = stored(here)
    greys = [grey(value) for value in range(256)]
    values = [(number * 37) % 256 for number in range(_REQUESTS * _IMAGES)]
    # Every image has different bytes, so that one that counts twice is found.
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
    sent = Counter(hashlib.sha256(content).hexdigest() for content in contents)
    total = len(contents)
    assert stored(here).since(before) == Stored(sent, Counter(), Counter(classified=total), total)


def made() -> dict[str, bytes]:
    """Return files of every kind: sound, truncated, damaged, of a wrong type, too large, with odd names."""
    seeds = seed_images()
    files = {f"sound-{number}.{kind}": data for number, (kind, data) in enumerate(seeds)}
    files |= {f"cut-{number}.{kind}": data[: len(data) // 3] for number, (kind, data) in enumerate(seeds)}
    files |= {f"damaged-{number}": make_file(7, number)[1] for number in range(_MUTATED)}
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    files["bomb.png"] = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )
    files["empty.jpg"] = b""
    files["page.png"] = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    files["drawing.svg"] = b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>"
    files["film.jpg"] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500)
    files["zeros.bmp"] = bytes(5000)
    files["BMW.bmp"] = b"BMW and other words that begin like a bitmap"
    return files | dict.fromkeys(_NAMES, seeds[0][1])


def assert_each_has_one_result(here: Site, files: Mapping[str, bytes]) -> dict[str, str]:
    """Send files one by one and as one batch; return each one's label, or its code and reason.

    Both ways have the same result, and so has the page, for one file of each result and for each odd name.
    No file is lost or stored twice. No worker process ends.
    """
    workers, before = _workers(here), stored(here)
    contents = list(files.values())
    body = {"images": [base64.b64encode(content).decode() for content in contents]}
    batch = here.ask("POST", "/process_batch?detail=1", json=body)
    assert batch.status_code == 200, batch.text
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda name: _predicted(here, name, files[name]), files))
    found = {}
    for name, index, detail, answer in zip(
        files, batch.json()["predictions"], batch.json()["details"], answers, strict=True
    ):
        said = detail.get("label") or detail["reason"]
        assert said.strip(), (name, detail)
        assert said.isprintable(), (name, detail)
        assert (index is None) == ("code" in detail), (name, detail)
        assert (answer == said) if index is not None else (said in answer), (name, said, answer)
        found[name] = said if index is not None else f"{detail['code']}: {said}"
    # The first of each code or label.
    few = {found[name].partition(":")[0]: name for name in reversed(list(files))}
    tried = {*few.values(), *_NAMES}
    with ThreadPoolExecutor(4) as clients:
        pages = dict(
            zip(tried, clients.map(lambda name: _tried(here, name, files[name]), tried), strict=True)
        )
    for name, page in pages.items():
        code, _, reason = found[name].partition(": ")
        assert (reason in page) if reason else (page == code), (name, found[name], page)
    assert _workers(here) == workers
    sent = Counter(hashlib.sha256(each).hexdigest() for each in contents * 2)
    sent += Counter(hashlib.sha256(files[name]).hexdigest() for name in tried)
    new = stored(here).since(before)
    assert new.archived + new.set_aside == sent
    assert new.states.total() == sent.total()
    assert new.states["classified"] == new.predictions == new.archived.total()
    return found


def _workers(here: Site) -> set[int]:
    here.processes.check()
    parent = psutil.Process(here.processes.process("worker-cpu").pid)
    return {parent.pid, *(child.pid for child in parent.children())}


def _predicted(here: Site, name: str, content: bytes) -> str:
    answer = here.ask("POST", "/predict", files={"file": (name, content)})
    assert answer.status_code in {200, 400}, (name, answer.text)
    found = answer.json()
    return str(found["predicted_subcategory"] if answer.ok else found["error"])


def _tried(here: Site, name: str, content: bytes) -> str:
    """Return the label or the reason on the page."""
    page = here.page("/try", "POST", files={"file": (name, content)})
    assert page.status_code in {200, 400}, (name, page.text)
    pattern = r"<strong>(.*?)</strong>" if page.ok else r'role="alert">(.*?)</p>'
    found = re.search(pattern, page.text)
    assert found, (name, page.text)
    return found[1].replace("&#39;", "'").replace("&#34;", '"')


def test_every_damaged_file_has_a_reason_in_words(here: Site) -> None:
    """Sound files have a label, the others a reason, the same in every way of sending them."""
    files = made()
    found = assert_each_has_one_result(here, files)
    for name, said in found.items():
        if name.startswith("sound-") or name in _NAMES:
            assert said in {"dark", "dim", "bright", "white"}, (name, said)
        elif name.startswith("cut-"):
            assert said.startswith("truncated: "), (name, said)
    codes = {name: found[name].partition(":")[0] for name in found}
    assert codes["bomb.png"] == "too_many_pixels"
    assert codes["empty.jpg"] == "empty_file"
    assert codes["drawing.svg"] == "unsupported_format"
    assert {codes[name] for name in ("page.png", "film.jpg", "zeros.bmp", "BMW.bmp")} == {"not_an_image"}
