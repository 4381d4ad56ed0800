"""Files that break naive code, sent over HTTP: each has an answer in words, and none costs a worker."""

import base64
import hashlib
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from returns_pipeline.store import tables
from tests.faults.mutate import make_file, seed_images
from tests.support import digests
from tests.web import Site, site

#: Files damaged at random, always the same ones.
_MUTATED = 60
_NAMES = (
    *("../../etc/passwd", "C:\\photos\\shoe.png", ".hidden", "größe 44.jpg", "鞋.png", "a;b&c=d.png"),
    *("<script>alert(1)</script>.png", "x" * 250 + ".jpg", "..", "photo.part", "percent%00%2e.png"),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give one running installation."""
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


def made() -> dict[str, bytes]:
    """Return files of every kind: sound, cut short, damaged, disguised, too large, with odd names."""
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


def assert_each_is_answered(here: Site, files: Mapping[str, bytes]) -> dict[str, str]:
    """Send files one by one, as one batch, and by the page; return what each is or why it is nothing.

    The three ways say the same; nothing is lost, nothing twice; the workers' processes are those of before.
    """
    workers = _workers(here)
    contents = list(files.values())
    body = {"images": [base64.b64encode(content).decode() for content in contents]}
    batch = here.ask("POST", "/process_batch?detail=1", json=body)
    assert batch.status_code == 200, batch.text
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda name: _predicted(here, name, files[name]), files))
        pages = list(clients.map(lambda name: _tried(here, name, files[name]), files))
    found = {}
    for name, index, detail, answer, page in zip(
        files, batch.json()["predictions"], batch.json()["details"], answers, pages, strict=True
    ):
        said = detail.get("label") or detail["reason"]
        assert said.strip(), (name, detail)
        assert said.isprintable(), (name, detail)
        assert (index is None) == ("code" in detail), (name, detail)
        assert (answer == said) if index is not None else (said in answer), (name, said, answer)
        assert (page == said) if index is not None else (said in page), (name, said, page)
        found[name] = said if index is not None else f"{detail['code']}: {said}"
    assert _workers(here) == workers
    _assert_nothing_lost(here, Counter(hashlib.sha256(each).hexdigest() for each in contents * 3))
    return found


def _workers(here: Site) -> set[int]:
    here.processes.check()
    parent = psutil.Process(here.processes._running["worker-cpu"].pid)
    return {parent.pid, *(child.pid for child in parent.children())}


def _predicted(here: Site, name: str, content: bytes) -> str:
    answer = here.ask("POST", "/predict", files={"file": (name, content)})
    assert answer.status_code in {200, 400}, (name, answer.text)
    found = answer.json()
    return str(found["predicted_subcategory"] if answer.ok else found["error"])


def _tried(here: Site, name: str, content: bytes) -> str:
    """Return what the page says."""
    page = here.page("/try", "POST", files={"file": (name, content)})
    assert page.status_code in {200, 400}, (name, page.text)
    pattern = r"<strong>(.*?)</strong>" if page.ok else r'role="alert">(.*?)</p>'
    found = re.search(pattern, page.text)
    assert found, (name, page.text)
    return found[1].replace("&#39;", "'").replace("&#34;", '"')


def _assert_nothing_lost(here: Site, sent: Counter[str]) -> None:
    settings, columns = here.home.settings, tables.images.c
    kept = digests(settings.archive_dir) + digests(settings.quarantine_dir)
    assert kept == sent
    assert digests(settings.spool_dir) == Counter()
    with here.home.database.read() as connection:
        rows = connection.execute(sa.select(columns.state, columns.archived_path)).all()
    assert len(rows) == sent.total()
    assert {row.state for row in rows} == {"classified", "quarantined"}
    for row in rows:
        folder = settings.archive_dir if row.state == "classified" else settings.quarantine_dir
        assert Path(row.archived_path).is_relative_to(folder)


def test_every_messy_file_has_an_answer_in_words(here: Site) -> None:
    """Sound files have a label, the others a reason, the same ones whichever way they come."""
    files = made()
    found = assert_each_is_answered(here, files)
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
