"""The object store of the stack, as this machine sees it."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import obstore
from obstore.store import S3Store
from PIL import Image

from tests.compose import nights

_BUCKET = "returns"
_KEYS = {"AWS_ACCESS_KEY_ID": "check", "AWS_SECRET_ACCESS_KEY": "check", "AWS_REGION": "us-east-1"}
_THREADS = 8
#: One of so many is no photo.
_BAD = 100


class Storage:
    """The bucket of the service `storage`."""

    def __init__(self, address: str) -> None:
        """Use the HOST:PORT at which the service is published."""
        self.address = address
        self._store = S3Store(
            _BUCKET,
            endpoint=f"http://{address}",
            access_key_id=_KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
            region=_KEYS["AWS_REGION"],
            client_options={"allow_http": True},
        )

    def settings(self) -> dict[str, str]:
        """Return the lines of .env that put all photos and reports into the bucket."""
        return _KEYS | {
            "AWS_ENDPOINT_URL": "http://storage:9000",
            "RETURNS_INTAKES": f"clothing=s3://{_BUCKET}/incoming",
            "RETURNS_ARCHIVE_DIR": f"s3://{_BUCKET}/archive",
            "RETURNS_QUARANTINE_DIR": f"s3://{_BUCKET}/quarantine",
            "RETURNS_REPORT_DIR": f"s3://{_BUCKET}/reports",
            "RETURNS_SPOOL_DIR": f"s3://{_BUCKET}/spool",
        }

    def fill(self, count: int) -> tuple[Counter[str], int]:
        """Put different photos into the intake; return their digests, and how many are no photos."""
        samples = [np.array(Image.open(path)) for path in sorted(nights.SAMPLES.glob("*_label_*.png"))]
        broken = [(nights.SAMPLES / name).read_bytes() for name in nights.BROKEN]
        photos = [
            broken[number // _BAD % len(broken)]
            if number % _BAD == 0
            else _photo(samples[number % len(samples)], number)
            for number in range(count)
        ]
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._put, range(count), photos))
        return Counter(map(_digest, photos)), len(range(0, count, _BAD))

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the key and the size of each object below a prefix."""
        for page in obstore.list(self._store, prefix):
            yield from ((meta["path"], meta["size"]) for meta in page)

    def digests(self, prefix: str) -> list[str]:
        """Return the digest of each object below a prefix: what this server takes as its ETag."""
        return [str(meta["e_tag"]).strip('"') for page in obstore.list(self._store, prefix) for meta in page]

    def report(self, run: int) -> int:
        """Return how many different lines the CSV of a run has."""
        content = bytes(obstore.get(self._store, f"reports/run-{run}/results.csv").bytes())
        return len(set(content.splitlines()))

    def _put(self, number: int, content: bytes) -> None:
        obstore.put(self._store, f"incoming/photo-{number:05}.png", content, use_multipart=False)


def _photo(sample: np.ndarray, number: int) -> bytes:
    """Return a sample as a PNG whose first two pixels are a number."""
    pixels = sample.copy()
    pixels[0, :2] = divmod(number, 256)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _digest(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - what S3 compares
