"""A real S3 server over HTTP for tests, and buckets in it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
import requests
from obstore.store import S3Store

from returns_pipeline.photos.objects import stores
from tests.web import free_port

_START_SECONDS = 60


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Give the address of a moto server, which ends with the block.

    A browser may send to a bucket only with its rules of CORS.
    """
    port = free_port()
    program = Path(sys.executable).with_name("moto_server")
    process = subprocess.Popen(
        [program, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MOTO_DISABLE_GLOBAL_CORS": "true"},
    )
    try:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def use(address: str, patch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, use the server at `address`."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    stores.store_of.cache_clear()


def endpoint() -> str:
    """Return the address of the server that this process uses."""
    return os.environ["AWS_ENDPOINT_URL"]


def new_bucket(address: str) -> str:
    """Create a bucket; return it as s3://NAME."""
    name = f"returns-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"{address}/{name}", method="PUT")  # noqa: S310 - the test's own server
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    return f"s3://{name}"


def allow_browsers(address: str, bucket: str, origin: str) -> None:
    """Set the rules of CORS that docs/object-storage.md has, for the web at `origin`."""
    name = bucket.removeprefix("s3://")
    rules = (
        f"<CORSConfiguration><CORSRule><AllowedOrigin>{origin}</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"
        "<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3600</MaxAgeSeconds>"
        "</CORSRule></CORSConfiguration>"
    )
    requests.put(f"{address}/{name}?cors", rules.encode(), timeout=30).raise_for_status()


def contents(bucket: str, prefix: str = "") -> dict[str, bytes]:
    """Return the content of each object of a bucket, by its key."""
    store = stores.store_of(bucket)
    assert isinstance(store, S3Store)
    return {
        meta["path"]: bytes(obstore.get(store, meta["path"]).bytes())
        for page in obstore.list(store, prefix or None)
        for meta in page
    }
