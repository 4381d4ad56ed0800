"""Photos in Azure's blob storage, against Azurite over HTTP, if it is in PATH: `npm install azurite`."""

import base64
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
import requests

from returns_pipeline.errors import ConfigFault
from returns_pipeline.photos.objects import files, stores
from returns_pipeline.photos.sources import Sources
from returns_pipeline.records.images import Move
from returns_pipeline.records.places import folder_of
from returns_pipeline.store import images, runs
from returns_pipeline.usecases.runs import scan
from tests import places
from tests.support import Installation, write_images
from tests.web import free_port

#: The account that every Azurite has. https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
AZURITE = shutil.which("azurite-blob")

pytestmark = pytest.mark.skipif(AZURITE is None, reason="azurite-blob is not in PATH: `npm install azurite`")


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start Azurite; return a new container, which this process may use."""
    port = free_port()
    command = [str(AZURITE), "--blobPort", str(port), "--location", str(tmp_path / "azurite"), "--silent"]
    process = subprocess.Popen([*command, "--skipApiVersionCheck"])
    try:
        _wait(port)
        for name, value in {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
        }.items():
            monkeypatch.setenv(name, value)
        stores.store_of.cache_clear()
        _create(port, "returns")
        yield "az://returns"
    finally:
        process.terminate()
        process.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)


def _create(port: int, name: str) -> None:
    """Create a container, which needs a request with the signature `Shared Key`."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = "".join(f"{key}:{value}\n" for key, value in headers.items())
    text = "PUT" + "\n" * 12 + signed + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{ACCOUNT}/{name}?restype=container", method="PUT", headers=headers
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def test_a_night_in_azure_keeps_every_promise(
    sqlite_home: Installation, container: str, tmp_path: Path
) -> None:
    """Photos are classified once, moved unchanged and never over others; the report can be downloaded."""
    names = ("incoming", "archive", "quarantine", "report")
    inside = {f"{name}_dir": folder_of(f"{container}/{name}") for name in names}
    home = replace(sqlite_home, settings=sqlite_home.settings.model_copy(update=inside))
    photos = write_images(tmp_path / "drawn", 40)
    for path in photos:
        places.write(inside["incoming_dir"] / "a folder" / path.name, path.read_bytes())
    places.write(inside["incoming_dir"] / "broken.png", b"not an image")
    context, queue = home.in_process()
    run_id = scan(context, "night")
    queue.deliver(context)
    run = runs.existing(home.database, run_id)
    assert (run.counts.seen, run.counts.classified, run.counts.quarantined) == (41, 40, 1)
    assert places.files(inside["incoming_dir"]) == []
    kept = sorted(places.read(path) or b"" for path in places.files(inside["archive_dir"]))
    assert kept == sorted(path.read_bytes() for path in photos)
    report = requests.get(files.link(str(run.report)), timeout=30)
    assert report.content == places.read(str(run.report))
    assert "attachment" in report.headers["Content-Disposition"]

    newest = next(iter(images.results(home.database, run_id)))
    source = inside["incoming_dir"] / "again.png"
    places.write(source, b"another photo, longer")
    again = Move(1, str(source), str(newest.archived_path), Sources().describe(str(source)).identity)
    with pytest.raises(ConfigFault, match="another file"):
        Sources().move([again], lambda: None)
    assert places.read(source) == b"another photo, longer"
