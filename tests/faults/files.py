"""Faults of files and disks."""

import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.store import tables
from tests import places
from tests.faults.misbehaving import DEADLY, HANGING
from tests.faults.night import Night, digests_of, log_of, scanned, until
from tests.support import states


def fill_the_disk(night: Night) -> int:
    """Fill the archive's disk, then enlarge it: results are stored meanwhile, and files are moved later."""
    archive = night.home.settings.archive_dir
    archive.mkdir(parents=True)
    night.images(100)
    mount(archive, "40k")
    try:
        night.start_worker()
        request = night.scan()
        until(lambda: "cannot be moved" in log_of(night))
        assert not night.closed(request)
        mount(archive, "64m", remount=True)
        night.finish(request)
        kept = archive.with_name("kept")
        shutil.copytree(archive, kept)
    finally:
        subprocess.run(["umount", str(archive)], check=True)
    archive.rmdir()
    kept.rename(archive)
    return 1


def no_report_folder(night: Night) -> int:
    """Make the report folder unwritable: the run stays open, and closes once the folder is writable."""
    reports = night.home.settings.report_dir
    if night.store:
        night.store.full = "/reports/"
    else:
        reports.write_text("in the way")
    night.images(100)
    night.start_worker()
    request = night.scan()
    until(lambda: "cannot be written" in log_of(night))
    assert not night.closed(request)
    if night.store:
        night.store.full = None
    else:
        reports.unlink()
    night.finish(request)
    return 1


def change_files(night: Night) -> int:
    """Replace files between scan and classification: they are quarantined, and the next scan accepts them."""
    paths = night.images(200)
    request = night.scan()
    control = night.start_worker("control", "-Q", "control", "-c", "1")
    until(lambda: scanned(night, request))
    changed = night.random.sample(paths, 20)
    for path in changed:
        night.came_in -= digests_of(path)
        places.remove(path)
        night.image(path, 7)
    night.start_worker()
    until(lambda: night.closed(request))
    quarantined = [name for name, state in states(night.home, 1).items() if state == "quarantined"]
    assert sorted(quarantined) == sorted(path.name for path in changed)
    night.finish(request)
    control.terminate()
    control.wait(30)
    night.processes.release("control")
    return len(changed)


def odd_files(night: Night) -> int:
    """Names of arbitrary bytes, links out of the intake and in a loop, unfinished files, a large folder."""
    incoming = night.home.settings.incoming_dir
    names = [
        b"caf\xe9.png",
        "日本 🙂.png".encode(),
        b"two\nlines.png",
        b"back\\slash.png",
        b"-rf.png",
        b"y" * 251 + b".png",
    ]
    for name in names:
        night.image(incoming / os.fsdecode(name), 100)
    elsewhere = night.home.settings.home / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "not ours.png").write_bytes(b"x")
    (incoming / "link.png").symlink_to(elsewhere / "not ours.png")
    (incoming / "circle").symlink_to(incoming)
    (incoming / "copying.png.part").write_bytes(b"half")
    night.images(int(100_000 * night.scale) or 100)
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 600)
    assert sorted(path.name for path in incoming.iterdir()) == ["circle", "copying.png.part", "link.png"]
    assert (elsewhere / "not ours.png").read_bytes() == b"x"
    for path in incoming.iterdir():
        path.unlink()
    return len(names) + 3


def deadly_image(night: Night) -> int:
    """Images that kill their worker process: halving finds and quarantines them, and no others."""
    night.images(100)
    deadly = [night.image(night.home.settings.incoming_dir / f"deadly_{n}.png", DEADLY) for n in range(2)]
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 300)
    _assert_killers(night, deadly)
    return len(deadly)


def hanging_image(night: Night) -> int:
    """Hang the process on an image: the time limit kills it, halving finds and quarantines the image."""
    night.images(3)
    hanging = [night.image(night.home.settings.incoming_dir / "hanging.png", HANGING)]
    night.start_worker()
    request = night.scan()
    until(lambda: night.closed(request), 300)
    _assert_killers(night, hanging)
    return 1


def mount(folder: Path, size: str, *, remount: bool = False) -> None:
    """Mount a file system of `size` in memory on a folder."""
    options = f"{'remount,' if remount else ''}size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)


def _assert_killers(night: Night, killers: list[Path]) -> None:
    night.guilty |= {path.name for path in killers}
    with night.home.database.read() as connection:
        rows = connection.execute(
            sa.select(tables.images.c.source_path, tables.images.c.code).where(
                tables.images.c.state != "classified"
            )
        ).all()
    assert {row.source_path: row.code for row in rows} == dict.fromkeys(map(str, killers), "killed_worker")
