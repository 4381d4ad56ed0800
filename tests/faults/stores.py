"""Faults of object stores, which a proxy before a real S3 server inflicts on the workers."""

import time
import urllib.request
from datetime import timedelta
from functools import partial

from returns_pipeline.photos.objects.stores import Address
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.store import runs
from tests import places
from tests.faults.night import Night, log_of, until
from tests.objects import endpoint
from tests.s3_proxy import Faults

#: The server checks who asks, but no signature.
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=none",
}


def throttled(night: Night) -> int:
    """Refuse a third of all requests with 503 SlowDown."""
    return _classified_in_spite_of(night, Faults(throttled=0.3), "throttled")


def cut_off(night: Night) -> int:
    """End bodies in the middle, and carry out requests whose response is lost."""
    return _classified_in_spite_of(night, Faults(cut=0.15, lost=0.1), "cut", "lost")


def slow(night: Night) -> int:
    """Let a fifth of all requests wait two seconds for the first byte, and a fifth of all bodies trickle."""
    return _classified_in_spite_of(night, Faults(slow=0.2, dripping=0.2), "slow", "dripping", count=150)


def refused_writes(night: Night) -> int:
    """Refuse to write into the archive, then allow it: photos are moved later, and none is lost."""
    night.images(100)
    _store(night).full = "/archive/"
    night.start_worker()
    request = night.scan()
    until(lambda: "QuotaExceeded" in log_of(night))
    assert not night.closed(request)
    _store(night).full = None
    night.finish(request)
    return _store(night).inflicted["full"]


def stale_listings(night: Night) -> int:
    """Show photos in listings that are archived already, and do not show the newest ones."""
    night.images(50, "first")
    night.start_worker()
    first = night.scan()
    until(lambda: night.closed(first))
    night.images(20, "second")
    night.images(5, "hidden")
    _store(night).repeats_listings, _store(night).unlisted = True, "hidden"
    second = night.scan()
    until(lambda: night.closed(second))
    _store(night).repeats_listings = False
    third = night.scan()
    until(lambda: night.closed(third))
    assert _newest(night).counts.classified == 20, _newest(night)
    _store(night).unlisted = None
    last = night.scan()
    until(lambda: night.closed(last))
    assert _newest(night).counts.classified == 5, _newest(night)
    assert _store(night).inflicted["stale"], "no listing was repeated"
    return _store(night).inflicted["stale"] + _store(night).inflicted["unlisted"]


def expired_credentials(night: Night) -> int:
    """Let the credentials of a profile expire in the middle of a run, and renew them in their file later."""
    night.images(night.many(400))
    credentials = night.home.settings.home / "credentials"
    _write_credentials(night, "first")
    night.worker_environment |= {
        "AWS_PROFILE": "night",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "FAULT_SECONDS": "0.004",
    }
    night.worker_prefix = ["env", "-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY"]
    night.start_worker()
    request = night.scan()
    until(lambda: night.progressed(request, 20))
    _store(night).expired.add("first")
    until(lambda: "ExpiredToken" in log_of(night))
    time.sleep(1)
    assert not night.closed(request)
    _write_credentials(night, "second")
    night.finish(request)
    return _store(night).inflicted["expired"]


def skewed_clock(night: Night) -> int:
    """Let the store's clock be hours ahead, then hours behind: photos settle by its own clock."""
    night.start_worker()
    for hours in (5, -5):
        _store(night).ahead = timedelta(hours=hours)
        night.images(20, f"image{hours}")
        request = night.scan()
        until(partial(night.closed, request))
        assert _newest(night).counts.classified == 20, _newest(night)
    return 2


def odd_keys(night: Night) -> int:
    """Use every character that a key may have; unfinished objects and those of folders stay."""
    incoming = night.home.settings.incoming_dir
    names = ["caf\u00e9.png", "cafe\u0301.png", "\u65e5\u672c \U0001f642.png", "back\\slash.png", "-rf.png"]
    names += ["a+b%20c#d?e&f=g.png", "<tag>&amp;'\".png", "y" * 251 + ".png", "\u00a0a b .png"]
    for name in names:
        night.image(incoming / "odd &+ folder" / name, 100)
    places.write(incoming / "copying.png.part", b"half")
    bucket, prefix = Address.of(str(incoming))
    _request("PUT", f"{bucket.removeprefix('s3://')}/{prefix}/folder/")
    night.images(int(10_000 * night.scale) // 20 or 100)
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 600)
    staying = places.files(incoming)
    assert sorted(path.name for path in staying) == ["copying.png.part", "folder"], staying
    _request("DELETE", f"{bucket.removeprefix('s3://')}/{prefix}/folder/")
    places.remove(incoming / "copying.png.part")
    return len(names) + 2


def _classified_in_spite_of(night: Night, faults: Faults, *names: str, count: int = 400) -> int:
    """Run a night with faults of single requests; return how many were inflicted."""
    night.images(night.many(count))
    store = _store(night)
    store.throttled, store.cut, store.lost = faults.throttled, faults.cut, faults.lost
    store.slow, store.dripping = faults.slow, faults.dripping
    night.start_worker()
    request = night.scan()
    night.finish(request)
    run = night.run_of(request)
    assert run is not None
    assert run.counts.classified == run.counts.seen, run
    return min(store.inflicted[name] for name in names)


def _write_credentials(night: Night, key: str) -> None:
    path = night.home.settings.home / "credentials"
    draft = path.with_suffix(".new")
    draft.write_text(f"[night]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
    draft.replace(path)


def _store(night: Night) -> Faults:
    assert night.store is not None
    return night.store


def _newest(night: Night) -> RunSummary:
    (run,) = runs.latest(night.home.database, 1)
    return run


def _request(method: str, path: str) -> None:
    """Send a request without a body to the server itself."""
    request = urllib.request.Request(f"{endpoint()}/{path}", b"", _SIGNED, method=method)  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - the test's own server
