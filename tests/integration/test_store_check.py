"""`doctor` says what each place in a store lacks, before a night finds out."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from returns_pipeline.errors import ConfigFault
from returns_pipeline.host.store_check import check_stores
from returns_pipeline.photos.objects import probe, stores
from returns_pipeline.records.places import folder_of
from tests.objects import contents, use
from tests.s3_proxy import Faults, proxy
from tests.support import Installation
from tests.web import free_port

_PLACES = ("archive", "quarantine", "report", "spool", "catalogue")


@pytest.fixture
def store(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:  # noqa: ARG001
    """Give the faults of a store that this process uses."""
    faults = Faults()
    with proxy(s3, faults) as address:
        use(address, monkeypatch)
        yield faults


@pytest.fixture
def home(sqlite_home: Installation, bucket: str) -> Installation:
    """Give an installation of which everything lies in the bucket."""
    inside = {f"{name}_dir": folder_of(f"{bucket}/{name}") for name in (*_PLACES, "incoming")}
    others = {"models_store": f"{bucket}/models", "object_links": "presigned"}
    return replace(sqlite_home, settings=sqlite_home.settings.model_copy(update={**inside, **others}))


def test_every_place_is_tried_and_left_as_it_was(home: Installation, bucket: str, store: Faults) -> None:
    """Six places are written, the intake is only listed; nothing stays in the bucket."""
    found = check_stores(home.settings)
    for name in (*_PLACES, "models"):
        assert f"objects are written, read and deleted in {bucket}/{name}" in found
    assert f"{bucket}/incoming is listed" in found
    assert contents(bucket) == {}
    assert store.counts["PUT"] == 2 * 6, store.counts


@pytest.mark.parametrize("name", ["archive", "quarantine", "report", "spool"])
def test_a_place_that_cannot_be_written_is_named(
    home: Installation, bucket: str, store: Faults, name: str
) -> None:
    """The sentence has the place, the store's own reason, and what to allow."""
    store.full = f"/{name}/"
    with pytest.raises(ConfigFault, match=f"No object can be written to {bucket}/{name}: .*Quota") as raised:
        check_stores(home.settings)
    assert "write" in str(raised.value.advice)


def test_what_is_only_read_may_be_read_only(home: Installation, bucket: str, store: Faults) -> None:
    """Pictures of products need no writing: the line says that, and the check passes."""
    store.full = "/catalogue/"
    assert f"objects are only read in {bucket}/catalogue" in check_stores(home.settings)
    store.full = "/models/"
    assert f"objects are only read in {bucket}/models" in check_stores(home.settings)


def test_a_missing_permission_to_delete_is_named(home: Installation, bucket: str, store: Faults) -> None:
    """The sentence names the object that stays."""
    store.kept = "spool/"
    with pytest.raises(ConfigFault, match=f"No object of {bucket}/spool can be deleted: .*AccessDenied") as e:
        check_stores(home.settings)
    (stays,) = (key for key in contents(bucket) if not key.endswith("-copy"))
    assert stays in e.value.message


def test_a_store_that_ignores_conditions_is_refused(home: Installation, bucket: str, store: Faults) -> None:
    """Two photos of one name would replace each other there."""
    store.ignores_conditions = True
    with pytest.raises(ConfigFault, match="it ignores conditions") as raised:
        check_stores(home.settings)
    assert "If-None-Match" in str(raised.value.advice)
    assert contents(bucket) == {}


def test_the_command_has_a_line_about_stores(sqlite_home: Installation, bucket: str) -> None:
    """`doctor` prints it, also for an installation without a store."""
    for place, message in (("", "no place is in"), (f"{bucket}/reports", "written, read and deleted")):
        done = sqlite_home.run("doctor", "--json", RETURNS_REPORT_DIR=place)
        found = {check["name"]: check for check in json.loads(done.stdout)}
        assert found["stores"]["ok"]
        assert message in found["stores"]["message"]


@pytest.fixture
def s3rver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a bucket of another S3 server, which knows no conditions; skipped where it is not installed."""
    program = shutil.which("s3rver")
    if program is None:
        pytest.skip("s3rver is not installed")
    port = free_port()
    command = [program, "-d", str(tmp_path), "-p", str(port), "-a", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--configure-bucket", "returns"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        use(f"http://127.0.0.1:{port}", monkeypatch)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "S3RVER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3RVER")
        _wait_for(os.environ["AWS_ENDPOINT_URL"])
        stores.store_of.cache_clear()
        yield "s3://returns"
    finally:
        process.terminate()
        process.wait()
        stores.store_of.cache_clear()


def _wait_for(address: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            requests.get(address, timeout=5)
        except requests.ConnectionError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


def test_another_server_is_refused_for_what_it_lacks(s3rver: str) -> None:
    """s3rver checks signatures and lists and copies, but it writes over what a condition protects."""
    with pytest.raises(ConfigFault, match="it ignores conditions"):
        probe.require_usable(f"{s3rver}/archive")
