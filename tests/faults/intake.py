"""Faults of intakes: file servers, their clocks, copies that are not complete, folders that refuse."""

import os
import subprocess
import threading
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from PIL import Image

from returns_pipeline.errors import RefusedError
from returns_pipeline.records.places import folder_of
from returns_pipeline.records.runs import RunSummary
from returns_pipeline.records.tasks import Task
from returns_pipeline.store import runs, tables
from returns_pipeline.store.database import utc_now
from returns_pipeline.usecases.intakes import alarms
from tests import places
from tests.faults.files import mount
from tests.faults.night import Night, digests_of, log_of, scanned, until


def reserved_space(night: Night) -> int:
    """Copy photos slowly into their full size: none is classified before it is whole."""
    incoming = night.home.settings.incoming_dir
    night.images(20)
    ended = threading.Event()
    copies = [
        threading.Thread(target=_copy_slowly, args=(incoming / f"slow_{number}.png", number, ended))
        for number in range(3)
    ]
    for copy in copies:
        copy.start()
    until(lambda: len(list(incoming.glob("slow_*"))) == len(copies))
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request))
    first = night.run_of(request)
    ended.set()
    for copy in copies:
        copy.join()
    assert first is not None
    assert (first.counts.classified, first.left.still_changing) == (20, len(copies)), first
    for path in incoming.glob("slow_*"):
        night.came_in += digests_of(path)
    night.finish(request)
    assert _newest(night).counts.classified == len(copies)
    return len(copies)


def _copy_slowly(path: Path, number: int, ended: threading.Event) -> None:
    """Reserve a photo's whole size, then write byte by byte until `ended`, then the rest."""
    pixels = np.random.default_rng(number).integers(0, 200, (64, 64), dtype=np.uint8)
    whole = path.with_name(f".{path.name}")
    Image.fromarray(pixels).save(whole, "PNG")
    content = whole.read_bytes()
    whole.unlink()
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, len(content))
        position = 0
        while not ended.wait(0.05):
            position += os.pwrite(stream.fileno(), content[position : position + 1], position)
        os.pwrite(stream.fileno(), content[position:], position)


def nas_folders(night: Night) -> int:
    """Add folders and files as network drives do: they stay where they are, and are counted."""
    incoming = night.home.settings.incoming_dir
    photos = [(path.name, places.read(path) or b"") for path in night.images(20)]
    extra = ("@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", ".Trashes", ".AppleDouble")
    for folder in extra:
        for name, content in photos:
            places.write(incoming / folder / name, content)
    files = ("Thumbs.db", "desktop.ini", "IMG_1.aae", "IMG_1.jpg.xmp", ".DS_Store")
    for name in files:
        places.write(incoming / name, b"not a photo")
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request))
    left = _newest(night).left
    assert left.skipped == len(extra) + len(files), left
    staying = places.files(incoming)
    assert len(staying) == len(extra) * len(photos) + len(files)
    assert {path.relative_to(incoming).parts[0] for path in staying} == {*extra, *files}
    for path in staying:
        places.remove(path)
    return len(extra) + len(files)


def dates_in_the_future(night: Night) -> int:
    """Set modification times years ahead, as a camera or a file server with a wrong clock does."""
    paths = night.images(20)
    for path in paths:
        ahead = path.stat().st_mtime + 10**8
        os.utime(path, (ahead, ahead))
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request))
    assert _newest(night).counts.classified == len(paths)
    return len(paths)


def clock_step(night: Night) -> int:
    """Claim chunks and die while the clock is a month ahead: once it is right, they are classified."""
    night.images(100)
    control = night.start_worker("control", "-Q", "control", "-c", "1")
    request = night.scan()
    until(lambda: scanned(night, request))
    month = timedelta(days=30)
    with night.home.database.write() as connection:
        claimed = {"state": "leased", "lease_owner": "dead", "lease_token": "dead", "attempts": 1}
        chunks = sa.update(tables.chunks).values(
            **claimed, lease_until=utc_now() + month, sent_at=utc_now() + month
        )
        connection.execute(chunks)
        connection.execute(
            sa.update(tables.runs).values(opened_at=utc_now() + month, touched_at=utc_now() + month)
        )
    night.start_worker()
    until(lambda: night.closed(request))
    control.terminate()
    control.wait(30)
    night.processes.release("control")
    return 1


def immovable_photo(night: Night) -> int:
    """Let a worker read but not write a folder: its photos are classified and stay, the run closes."""
    night.images(10)
    locked = night.home.settings.incoming_dir / "locked"
    staying = [night.image(locked / f"stays_{number}.png", number) for number in range(3)]
    if night.store:
        night.store.kept = "in/locked/"
    else:
        locked.chmod(0o555)
    if os.geteuid() == 0:
        # Without these capabilities, the kernel checks root's accesses like those of any other user.
        night.worker_prefix = ["setpriv", "--bounding-set=-dac_override,-fowner"]
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 120)
    run = _newest(night)
    assert (run.counts.seen, run.counts.classified) == (13, 13), run
    assert all(places.read(path) for path in staying)
    night.staying = {path.name for path in staying}
    again = night.scan()
    until(lambda: night.closed(again))
    assert _newest(night).counts.seen == 0
    return len(staying)


def stalled_move(night: Night) -> int:
    """Stall between look and rename, while another process archives the photo and a new one arrives.

    In a store, the process stalls between its look at the source and its deletion. It goes on when both have
    happened: after a fixed time, the other process of a busy machine may not have begun.
    """
    night.images(60)
    flag = night.home.settings.home / "stalled"
    night.worker_environment |= {"FAULT_STALL": str(flag)}
    night.start_worker()
    request = night.scan()
    until(lambda: flag.exists() and bool(flag.read_text()))
    source = folder_of(flag.read_text())
    until(lambda: places.read(source) is None)
    night.image(source, 9)
    flag.with_suffix(".on").touch()
    until(lambda: "chunk_lease_lost" in log_of(night), 60, "the stalled process gives up")
    night.finish(request)
    return 1


def unmounted_intake(night: Night) -> int:
    """Scan the installation's own folder, which is refused, and an intake without its share: an alarm."""
    incoming = night.home.settings.incoming_dir
    night.start_worker()
    refused = str(uuid.uuid4())
    night.queue().send(Task.SCAN, str(night.home.settings.home), request_id=refused)
    until(lambda: isinstance(night.queue().error_of(refused), RefusedError))
    assert night.run_of(refused) is None
    mount(incoming, "16m")
    try:
        night.images(20)
        first = night.scan()
        until(lambda: night.closed(first))
        assert not _alarms(night)
    finally:
        subprocess.run(["umount", str(incoming)], check=True)
    second = night.scan()
    until(lambda: night.closed(second))
    assert _newest(night).counts.seen == 0
    (alarm,) = _alarms(night)
    assert "instead of tmpfs" in alarm, alarm
    assert "intake_empty" in log_of(night)
    return 2


def _alarms(night: Night) -> list[str]:
    return [str(alarm) for alarm in alarms(night.home.settings, night.home.database, utc_now())]


def _newest(night: Night) -> RunSummary:
    (run,) = runs.latest(night.home.database, 1)
    return run
