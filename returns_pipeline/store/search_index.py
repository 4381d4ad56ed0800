"""An index of file names by trigrams, the same on every database and without an extension.

Image ids are divided into blocks. For each block and trigram one row holds the images of the block whose
names have the trigram, so a search reads a few rows for each block, newest block first, and stops when its
page is full. It leaves out blocks that lack one of the trigrams (`search_groups`). Databases' own trigram
indexes read every match of a frequent trigram first.

Only blocks that are settled are indexed, in the sweep: the statements that insert images cost nothing. The
rows of one block are written together, and again only if one of its images is deleted. Newer images are few;
a search reads their names.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from returns_pipeline.records.text import fold
from returns_pipeline.store import bulk, search_groups
from returns_pipeline.store.database import Database
from returns_pipeline.store.joins import SHOWN_PATH
from returns_pipeline.store.search_places import BLOCK, packed
from returns_pipeline.store.tables import images, runs, search_grams, search_progress

_COLUMNS = ("block", "gram", "places")

#: The folder that an image's name is relative to: the intake of its run.
ROOT = sa.func.coalesce(runs.c.intake, runs.c.directory, type_=runs.c.intake.type).label("root")


def searchable(path: str, root: str | None, roots: Sequence[str]) -> str:
    """Return the folded text in which a search finds an image: its path below the intake.

    `root` is the intake that the run's row names, if any; `roots` are the folders that the settings name.
    """
    for folder in (root, *roots):
        if folder and path.startswith(folder) and path[len(folder) : len(folder) + 1] == "/":
            return fold(path[len(folder) + 1 :])
    return fold(path)


def grams_of_term(term: str) -> set[str]:
    """Return the trigrams that a name with a folded term has; a short term is the beginning of a name."""
    if len(term) < 3:
        return {term.rjust(3, "\0")}
    return {term[at : at + 3] for at in range(len(term) - 2)}


def _grams_of_name(text: str) -> set[str]:
    found = {text[at : at + 3] for at in range(len(text) - 2)}
    name = text.rpartition("/")[2]
    found.update(name[:length].rjust(3, "\0") for length in (1, 2) if len(name) >= length)
    return found


def key(gram: str) -> int:
    """Return a trigram as a number: 21 bits for each code point."""
    number = 0
    for letter in gram:
        number = number << 21 | ord(letter)
    return number


def progress(connection: sa.Connection) -> int:
    """Return the end of the ids that are in the index."""
    return int(connection.execute(sa.select(search_progress.c.indexed_end)).scalar() or 0)


def index(db: Database, roots: Sequence[str], seconds: float) -> int:
    """Index settled blocks for about `seconds`; return how many images were indexed.

    Idempotent; two processes may call it at the same time.
    """
    deadline = time.monotonic() + seconds
    indexed_end, settled_end = _settle(db)
    count = 0
    while time.monotonic() < deadline:
        start = _next_image(db, indexed_end) // BLOCK * BLOCK
        end = start + BLOCK
        if end > settled_end:
            break
        with db.read() as connection:
            rows, found, deleted = _rows(connection, start, roots)
        with db.write() as connection:
            mine = connection.execute(
                sa.update(search_progress).where(search_progress.c.indexed_end < end).values(indexed_end=end)
            )
            if not mine.rowcount:
                break
            if _deleted(connection, start) != deleted:
                rows, found, deleted = _rows(connection, start, roots)
            connection.execute(sa.delete(search_grams).where(search_grams.c.block == start // BLOCK))
            bulk.insert(connection, search_grams, _COLUMNS, rows)
        indexed_end = end
        count += found
    search_groups.extend(db, indexed_end // BLOCK, deadline)
    return count


def _settle(db: Database) -> tuple[int, int]:
    """Return where the index ends, and the end of the ids below which no row can still be inserted.

    Rows are deleted only in the transaction that inserts them, and SQLite commits ids in order. PostgreSQL
    does not: there, the ids that an earlier call has seen are settled when every transaction that was open
    then has ended.
    """
    newest = sa.select(sa.func.coalesce(sa.func.max(images.c.id), -1) + 1).scalar_subquery()
    with db.write() as connection:
        _add_progress(db, connection)
        row = connection.execute(sa.select(search_progress)).one()
        if db.is_sqlite:
            return row.indexed_end, int(connection.execute(sa.select(newest)).scalar_one())
        oldest, next_one, end = connection.execute(
            sa.select(_transaction("xmin"), _transaction("xmax"), newest)
        ).one()
        if oldest < row.seen_transaction:
            return row.indexed_end, row.settled_end
        connection.execute(
            sa.update(search_progress).values(
                settled_end=row.seen_end, seen_end=end, seen_transaction=next_one
            )
        )
        return row.indexed_end, row.seen_end


def _add_progress(db: Database, connection: sa.Connection) -> None:
    connection.execute(
        db.insert(search_progress)
        .values(id=1, indexed_end=0, settled_end=0, seen_end=0, seen_transaction=0)
        .on_conflict_do_nothing(index_elements=[search_progress.c.id])
    )


def _transaction(which: str) -> sa.ColumnElement[int]:
    """Return the number of PostgreSQL's oldest open transaction (`xmin`) or of the next one (`xmax`)."""
    return sa.cast(
        sa.cast(getattr(sa.func, f"pg_snapshot_{which}")(sa.func.pg_current_snapshot()), sa.Text),
        sa.BigInteger,
    )


def _next_image(db: Database, first: int) -> int:
    """Return the first id from `first` on; ids may have large gaps."""
    with db.read() as connection:
        found = connection.execute(sa.select(sa.func.min(images.c.id)).where(images.c.id >= first)).scalar()
    return first if found is None else int(found)


def lock(db: Database, connection: sa.Connection) -> None:
    """Let no other transaction extend the index until this one ends."""
    _add_progress(db, connection)
    connection.execute(sa.select(search_progress.c.id).with_for_update())


def rebuild(connection: sa.Connection, image_ids: Iterable[int], roots: Sequence[str]) -> None:
    """Write the blocks of images again whose names have changed. Call `lock` before the names change."""
    end = progress(connection)
    for start in {image_id // BLOCK * BLOCK for image_id in image_ids}:
        if start < end:
            rows, _, _ = _rows(connection, start, roots)
            connection.execute(sa.delete(search_grams).where(search_grams.c.block == start // BLOCK))
            bulk.insert(connection, search_grams, _COLUMNS, rows)
            search_groups.add(connection, [(start // BLOCK, gram) for gram in _grams_of_rows(rows)])


def _grams_of_rows(rows: Sequence[bulk.Row]) -> Iterator[int]:
    return (int(row[1] or 0) for row in rows)


def _deleted(connection: sa.Connection, start: int) -> int:
    """Return how many images of a block are deleted."""
    query = sa.select(sa.func.count()).where(
        images.c.id >= start, images.c.id < start + BLOCK, images.c.deleted_at.is_not(None)
    )
    return int(connection.execute(query).scalar_one())


def _rows(connection: sa.Connection, start: int, roots: Sequence[str]) -> tuple[list[bulk.Row], int, int]:
    """Return the rows of the block that begins at `start`, its images and its deleted images as numbers."""
    query = (
        sa.select(images.c.id, SHOWN_PATH, ROOT)
        .join_from(images, runs)
        .where(images.c.id >= start, images.c.id < start + BLOCK)
        .order_by(images.c.id)
    )
    places: dict[str, list[int]] = defaultdict(list)
    deleted = _deleted(connection, start)
    found = connection.execute(query).all()
    for image_id, path, root in found:
        for gram in _grams_of_name(searchable(path, root, roots)):
            places[gram].append(image_id - start)
    block = start // BLOCK
    return [(block, key(gram), packed(those)) for gram, those in places.items()], len(found), deleted
