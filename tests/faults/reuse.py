"""Faults of the comparison of photos: a process that dies between the results of photos and their matches."""

from pathlib import Path

import sqlalchemy as sa

from returns_pipeline.store import tables
from tests.faults.night import Night, digests_of, until

_MOST = 250


def kill_comparisons(night: Night) -> int:
    """Kill a process that has committed the keys of photos, before their matches are committed.

    The second night has the files of the first one. Every match is there, once.
    """
    flag = Path(night.home.settings.home) / "killed"
    count = min(_MOST, max(6, int(300 * night.scale)))
    # The first night has nothing to match, so the process dies in the second one.
    night.worker_environment |= {"FAULT_MATCHING": str(flag)}
    night.start_worker()
    data: dict[int, bytes] = {}
    for name in ("first", "again"):
        folder = night.home.settings.incoming_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / f"{number}.png"
            if number in data:
                path.write_bytes(data[number])
                night.came_in += digests_of(path)
            else:
                data[number] = night.image(path, number).read_bytes()
        night.finish(night.scan())
        until(lambda: _is_compared(night), 60, "the photos are compared")
    assert flag.exists(), "no process was killed"
    earlier, later = tables.images.alias(), tables.images.alias()
    query = (
        sa.select(earlier.c.source_path, later.c.source_path, tables.image_matches.c.kind)
        .join_from(tables.image_matches, earlier, earlier.c.id == tables.image_matches.c.earlier_id)
        .join(later, later.c.id == tables.image_matches.c.image_id)
    )
    with night.home.database.read() as connection:
        found = sorted(
            (*(Path(path).parts[-2:] for path in row[:2]), row.kind) for row in connection.execute(query)
        )
    expected = [(("first", f"{number}.png"), ("again", f"{number}.png"), "exact") for number in range(count)]
    assert found == sorted(expected)
    return 1


def _is_compared(night: Night) -> bool:
    with night.home.database.read() as connection:
        return connection.execute(sa.select(tables.uncompared_chunks.c.chunk_id).limit(1)).first() is None
