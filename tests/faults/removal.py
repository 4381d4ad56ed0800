"""Faults of deletions."""

import subprocess
import sys

import sqlalchemy as sa

from returns_pipeline.records.places import folder_of
from returns_pipeline.store import deletion, returns, tables
from tests import places
from tests.faults.night import Night, digests_of, until

#: The command `images delete`, in a process that kills itself when it calls a function.
_KILLED = (
    "import os, signal, sys, types\n"
    "from returns_pipeline.photos import folder_removals\n"
    "from returns_pipeline.photos.objects import source\n"
    "from returns_pipeline.store import deletion\n"
    "folder_removals.os = types.SimpleNamespace(**vars(os))\n"
    "source.requests = types.SimpleNamespace(**vars(source.requests))\n"
    "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
    "{function} = die\n"
    "sys.argv = ['returns-pipeline', 'images', 'delete', '{image}', '--yes']\n"
    "from returns_pipeline.cli import main\n"
    "main()\n"
)
#: Before the file is hidden, before it is removed, and before its removal is recorded.
_MOMENTS = ("folder_removals.os.rename", "folder_removals.os.unlink", "deletion.finish")
#: Before the store is asked for the object, before it is deleted, and before its removal is recorded.
_MOMENTS_IN_STORE = ("source.requests.head", "source.requests.delete", "deletion.finish")


def kill_deletions(night: Night) -> int:
    """Kill commands in the middle of a deletion: the rows say deleted, and the sweep removes the files."""
    night.images(30)
    night.start_worker()
    night.finish(night.scan())
    database = night.home.database
    with database.read() as connection:
        rows = connection.execute(sa.select(tables.images.c.id, tables.images.c.archived_path)).all()
    moments = _MOMENTS_IN_STORE if night.store else _MOMENTS
    chosen = night.random.sample(list(rows), len(moments))
    for function, row in zip(moments, chosen, strict=True):
        night.came_in -= digests_of(folder_of(row.archived_path))
        code = _KILLED.format(function=function, image=row.id)
        done = subprocess.run(
            [sys.executable, "-c", code], env=night.home.environment(), capture_output=True, check=False
        )
        assert done.returncode == -9, done.stderr
    deleted = sa.select(sa.func.count()).where(tables.images.c.deleted_at.is_not(None))
    with database.read() as connection:
        assert connection.execute(deleted).scalar_one() == len(chosen)
    until(lambda: not deletion.open_removals(database), 60, "the sweep finishes the deletions")
    waiting = sa.select(sa.func.count()).where(tables.runs.c.corrected_at.is_not(None))

    def is_told() -> bool:
        with database.read() as connection:
            return not connection.execute(waiting).scalar_one()

    until(is_told, 60, "the reports are written again")
    until(lambda: not returns.is_queued(database), 60, "the returns of the deleted photos are judged again")
    for row in chosen:
        place = folder_of(row.archived_path)
        assert places.read(place) is None
        assert places.read(place.parent / f".returns-removing-{row.id}") is None
    return len(chosen)
